"""Estimated marginal means of generalised models on the scale of the response, and their ratios.

Means are averaged on the link scale and carried over, with their limits, as emmeans does by `type = "response"`
(Lenth 2016, J. Stat. Softw. 69(1)): of a zero-inflated or hurdle model those of its count or positive part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixflow.design import Design
from mixflow.design.frame import is_factor, series
from mixflow.family import Family
from mixflow.family.cumulative import Cumulative
from mixflow.formula.allowed import variables
from mixflow.inference.family_prediction import inverse, inverse_slope
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.mean_tests import tested_contrasts, tested_means
from mixflow.inference.means import means
from mixflow.model import Fit

RATIOS = {"log": "ratio", "logit": "odds ratio"}
"""What exp(a difference of means) is, by the link."""

COLUMNS = {
    "scale": "what `response` is: rate or mean, probability, ratio of means, odds ratio; empty where it has no name",
    "response": "the estimate on the scale of the response: a mean, or for a contrast of a log or logit link a ratio",
    "response_std_error": "its standard error (delta method)",
    "response_low": "its lower limit: that of the link scale carried over",
    "response_high": "its upper limit",
}


def family_means(
    outcome: FittedFamily,
    factors: str | Sequence[str],
    at: Mapping[str, Any] | None = None,
    offset: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Means of every feature on both scales. Estimates include the offset, at the means of its variables.

    ``offset``: a number in its place; 0 gives rates per unit of exposure. A cumulative model's means are those
    of its latent scale, on which there is no other.
    """
    design, fit = outcome.design, outcome.fit
    moved = offset_at_means(design) if offset is None else offset
    table = tested_means(fit, design, means(design, factors, at), "z", level)
    if moved:
        table = _moved(table, moved)
    return _with_mean(table, outcome.family, level)


def family_mean_contrasts(
    fit: Fit,
    design: Design,
    family: Family,
    factors: str | Sequence[str],
    method: str | Sequence[str],
    *,
    at: Mapping[str, Any] | None = None,
    adjust: str = "none",
    level: float = 0.95,
) -> pd.DataFrame:
    """Contrasts of means on the link scale, and as ratios where the link is log or logit; offsets cancel."""
    table = tested_contrasts(fit, design, factors, method, at=at, adjust=adjust, df="z", level=level)
    return with_ratios(table, family)


def with_ratios(table: pd.DataFrame, family: Family) -> pd.DataFrame:
    """Rate or odds ratios beside differences on the link scale; empty for other links."""
    word = RATIOS.get(family.predictors[0].link.name, "")
    value = np.exp(table["estimate"].to_numpy()) if word else np.full(len(table), np.nan)
    return _beside(
        table,
        word,
        value,
        value * table["std_error"].to_numpy(),
        *(np.exp(table[name].to_numpy()) if word else value for name in ("conf_low", "conf_high")),
    )


def offset_at_means(design: Design) -> float:
    """The offset where its variables stand at their means, as emmeans' reference grid has it."""
    if not design.terms.offset:
        return 0.0
    names = sorted(frozenset().union(*map(variables, design.terms.offset)))
    columns = {name: series(design.frame, name) for name in names}
    one = {name: [c.iloc[0] if is_factor(c) else float(c.mean())] for name, c in columns.items()}
    return float(design.offsets(pd.DataFrame(one))[0])


def _moved(table: pd.DataFrame, offset: float) -> pd.DataFrame:
    """Means with an offset: tests against zero speak of another number, and are left out as they stand."""
    moved = {name: table[name] + offset for name in ("estimate", "conf_low", "conf_high")}
    return table.assign(**moved, statistic=np.nan, p_value=np.nan, q_value=np.nan)


def _with_mean(table: pd.DataFrame, family: Family, level: float) -> pd.DataFrame:
    if isinstance(family, Cumulative):
        nothing = np.full(len(table), np.nan)
        return _beside(table, "", nothing, nothing, nothing, nothing)
    link = family.predictors[0].link
    line, error = table["estimate"].to_numpy(), table["std_error"].to_numpy()
    half = ndtri(0.5 + level / 2) * error
    ends = inverse(link, line - half), inverse(link, line + half)
    word = "probability" if link.name in ("logit", "probit", "cloglog") else "mean"
    slope = np.abs(inverse_slope(link, line))
    return _beside(table, word, inverse(link, line), slope * error, np.minimum(*ends), np.maximum(*ends))


def _beside(table: pd.DataFrame, word: str, *numbers: np.ndarray) -> pd.DataFrame:
    """The columns of the response before the status."""
    status = table["status"]
    added = dict(zip([*COLUMNS][1:], numbers, strict=True))
    return table.drop(columns="status").assign(scale=word, **added).assign(status=status)
