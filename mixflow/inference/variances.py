"""Variances and correlations as answers: do slopes differ, and do those who start high gain less?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from mixflow.design import Design, RandomColumns
from mixflow.errors import MixflowError, Problem
from mixflow.inference import lrt
from mixflow.inference.intervals import confint
from mixflow.inference.quantities import COLUMNS as LIMITS
from mixflow.inference.refit import Fitted
from mixflow.optimise.natural import CORRELATION, STD_DEV, Natural

INTERCEPT = "(Intercept)"

COLUMNS = {name: LIMITS[name] for name in ("feature", "group", "term", "term_2", "quantity", "estimate")} | {
    "conf_low": "lower profile-likelihood limit",
    "conf_high": "upper profile-likelihood limit",
    "statistic": "likelihood-ratio statistic against the model without it",
    "df": "parameters that this model has more",
    "p_value": "p; of a standard deviation by the boundary mixture",
    "q_value": "Benjamini-Hochberg over the features, for each quantity",
    "status": "how interval and test ended: ok, at the boundary, or why there are none",
}


def slopes(fitted: Fitted, group: str, term: str, level: float = 0.95) -> pd.DataFrame:
    """Interval and test of a random slope's standard deviation and of its correlation with the intercept.

    Standard deviation: against the model without the slope (mixture, `mixflow.inference.lrt`). Correlation:
    against the model in which the slope is independent of the other effects of its term; no row where the
    model has no such correlation. Profile limits (maximum likelihood). Raises for an unknown group or term.
    """
    place, column = _find(fitted.design, group, term)
    found = [_answer(fitted, Natural(STD_DEV, group, term), _without(fitted.design, place, column), level)]
    own = fitted.design.random[place]
    if own.covariance == "us" and len(own.terms) > 1 and INTERCEPT in own.terms and term != INTERCEPT:
        name = Natural(CORRELATION, group, *(t for t in own.terms if t in (INTERCEPT, term)))
        found.append(_answer(fitted, name, _apart(fitted.design, place, column), level))
    n = len(fitted.fit.feature_ids)
    order = np.arange(len(found) * n).reshape(len(found), n).T.ravel()
    return pd.concat(found, ignore_index=True).iloc[order].reset_index(drop=True)


def _answer(fitted: Fitted, name: Natural, null: Design, level: float) -> pd.DataFrame:
    limits = confint(fitted, "profile", level, quantities=[name]).drop(columns="method")
    test = lrt.compare(fitted.refit(null), fitted)
    status = np.where(limits["status"].isin(["ok", "at the boundary"]), test["status"], limits["status"])
    status = np.where(np.isin(status, ["ok", "singular"]), limits["status"], status)
    numbers = test[["statistic", "df", "p_value", "q_value"]]
    return pd.concat([limits.drop(columns="status"), numbers], axis=1).assign(status=status)


def _find(design: Design, group: str, term: str) -> tuple[int, int]:
    """Number of the random term that has the column, and the column's place in it."""
    for i, random in enumerate(design.random):
        if random.group == group and term in random.terms and random.covariance in ("us", "diag"):
            return i, random.terms.index(term)
    known = [f"{t} of {random.group}" for random in design.random for t in random.terms]
    message = f"There is no random effect '{term}' of '{group}'"
    remedy = f"Random effects of the model: {', '.join(known) or 'none'}."
    raise MixflowError(Problem(message, column="term", value=term, remedy=remedy))


def _without(design: Design, place: int, column: int) -> Design:
    """The design without one column of a random term (without the term where it is the only one)."""
    rest = [j for j in range(len(design.random[place].terms)) if j != column]
    return _with(design, place, [_columns(design.random[place], rest)] if rest else [], "without")


def _apart(design: Design, place: int, column: int) -> Design:
    """The design with one column independent of the others of its term."""
    rest = [j for j in range(len(design.random[place].terms)) if j != column]
    own = design.random[place]
    return _with(design, place, [_columns(own, rest), _columns(own, [column])], "with independent")


def _columns(term: RandomColumns, places: list[int]) -> RandomColumns:
    return replace(term, terms=tuple(term.terms[j] for j in places), Z=term.Z[:, places])


def _with(design: Design, place: int, terms: list[RandomColumns], word: str) -> Design:
    random = (*design.random[:place], *terms, *design.random[place + 1 :])
    text = f"{design.terms.text} {word} random effects of {design.random[place].group}"
    return replace(design, random=random, terms=replace(design.terms, text=text))
