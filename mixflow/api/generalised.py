"""`mixflow.fit` with a family: counts, yes/no, proportions and others, by Laplace or adaptive quadrature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from mixflow.api.answers import Answers
from mixflow.api.opened import Opened, outcomes
from mixflow.api.weights import prior_weights
from mixflow.design import Design
from mixflow.design.several import coded_response, predictor_terms, several
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family, named
from mixflow.family.outcome import check_support, outcome_columns
from mixflow.family.zeros import with_zeros
from mixflow.formula import parse
from mixflow.inference import contrasts as words
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.refit import Fitted, Recipe
from mixflow.inference.tails import p_value
from mixflow.inference.terms import term_tests
from mixflow.optimise.generalised import fit_generalised
from mixflow.optimise.glmm_nodes import AUTO
from mixflow.optimise.glmm_prior import Prior
from mixflow.status import MEANING, Status

TWO_COLUMNS = re.compile(r"^\s*cbind\s*\((?P<inside>.*)\)\s*$", re.DOTALL)
QUANTILE = 1.959963984540054
MOST_NODES = 100


@dataclass(frozen=True, eq=False, repr=False)
class GeneralisedResult(Answers):
    """Result of a generalised model; estimates are on the scale of the predictors, tests are z tests.

    ``designs``: of the predictors by name; ``family`` with its links; ``y`` (N, n, c) what was fitted.
    """

    designs: Mapping[str, Design] = field(kw_only=True)
    family: Family = field(kw_only=True)
    y: np.ndarray = field(kw_only=True)

    @property
    def coefficients(self) -> pd.DataFrame:
        """One row for each feature and coefficient; ``component``: the predictor, or ``family`` for its own."""
        own = self._table(words.build_coefficients(self.design), "term")
        own.insert(1, "component", "mu")
        tables = [own] + [self._more(i, *name) for i, name in enumerate(self.model.more_names)]
        order = {name: i for i, name in enumerate(self.model.feature_ids)}
        table = pd.concat(tables, ignore_index=True)
        return table.sort_values("feature", key=lambda s: s.map(order), kind="stable", ignore_index=True)

    def _more(self, i: int, component: str, name: str) -> pd.DataFrame:
        """A coefficient of another predictor; no test of a dispersion or a family's own parameter against 0."""
        fit, estimate = self.model, self.model.more[:, i]
        with np.errstate(invalid="ignore"):
            se = np.sqrt(fit.more_cov[:, i, i])
        tested = component == "zi" or name != "(Intercept)"
        z = estimate / se if component != "family" and tested else np.full(len(se), np.nan)
        row = {"feature": fit.feature_ids, "component": component, "term": name, "estimate": estimate}
        row |= {"std_error": se, "df": np.inf, "statistic": z, "p_value": p_value(z, np.full(len(z), np.inf))}
        row |= {"conf_low": estimate - QUANTILE * se, "conf_high": estimate + QUANTILE * se}
        return pd.DataFrame(row | {"status": [MEANING[Status(s)].label for s in fit.status]})

    def terms(self, type: int = 3, df: str | None = None) -> pd.DataFrame:
        """Wald tests of the fixed part's terms of mu (F with infinite denominator df: chi-squared over df)."""
        return term_tests(self.model, self.design, type, "z", np.isfinite(self.values))

    @property
    def outcome(self) -> FittedFamily:
        """The fit as predictions, simulations and refits need it."""
        options = dict(self.recipe.options)
        return FittedFamily(self.model, self.designs, self.family, self.y, self.recipe.weights, options)

    @property
    def nodes(self) -> pd.Series:
        """Quadrature points of each feature, 1 for Laplace's approximation."""
        return self._series(self.model.nodes_of_feature, "nodes")

    @property
    def fitted(self) -> Fitted:
        """Not for generalised models: what needs the values again would fit them as Gaussian."""
        _not_here("This")

    def save(self, path: Any) -> NoReturn:
        """Not yet for generalised models."""
        _not_here("Saving to a store")

    def __repr__(self) -> str:
        fit = self.model
        points = np.unique(fit.nodes_of_feature)
        most = f"adaptive quadrature, {', '.join(str(n) for n in points if n > 1)} points"
        how = " and ".join(
            [*["Laplace"] * bool((points <= 1).all() or 1 in points), *[most] * bool((points > 1).any())]
        )
        done = f"{int(fit.fitted.sum())} of {len(fit.status)} features fitted"
        return f"<mixflow {fit.family}({fit.link}) fit, {how}: {fit.formula}; {done}>\n{self.coefficients}"


def _not_here(what: str) -> NoReturn:
    remedy = (
        "Use coefficients, contrast, means, terms, variance_components, random_effects, loglik, aic, bic."
    )
    raise MixflowError(Problem(f"{what} is not available for generalised models", remedy=remedy))


def fit_family(
    formula: str,
    data: pd.DataFrame | Opened,
    family: str | Family,
    *,
    link: str | None,
    dispersion: str | None,
    zi: str | None,
    nagq: int | str,
    weights: str | None,
    contrasts: Mapping[str, str] | None,
    reml: bool = False,
    prior: Mapping[str, object] | None = None,
    relationship: Mapping[str, pd.DataFrame] | None = None,
) -> GeneralisedResult:
    """As `mixflow.fit` says; raises MixflowError with every problem of formula and data."""
    _check_nodes(nagq)
    chosen = _family(family, link, zi)
    table = data.frame if isinstance(data, Opened) else data
    left, text = _response(formula)
    terms = parse(text)
    if (terms.response is None) != isinstance(data, Opened):
        message = "A store's features are the responses; a table needs one in the formula"
        remedy = "Write `outcome ~ ...` for a table, and nothing left of `~` for a store."
        raise MixflowError(Problem(message, column="formula", value=formula, remedy=remedy))
    frame = coded_response(table, terms, chosen)
    wanted = predictor_terms(chosen, terms, dispersion, zi)
    second = parse(f"{left[1]} ~ 1") if len(left) > 1 else None
    designs, other, rows = several(wanted, frame, contrasts, second, relationship=relationship)
    design = designs["mu"]
    used = prior_weights(frame.iloc[rows], weights, design)
    values, ids = outcomes(data, design, rows)
    y, used = outcome_columns(chosen, values, None if other is None else other.response, used)
    check_support(chosen, y, ids)
    options = {"nodes": nagq, "reml": reml, "prior": Prior.of(prior)}
    found = fit_generalised(designs, chosen, y, ids, weights=used, **options)
    own = {"designs": designs, "family": chosen, "y": y}
    return GeneralisedResult(found, design, values, Recipe(used, options), "z", **own)


def _check_nodes(nagq: object) -> None:
    if nagq == AUTO:
        return
    if not isinstance(nagq, int) or isinstance(nagq, bool) or not 1 <= nagq <= MOST_NODES:
        remedy = f"Give a whole number from 1 (Laplace's approximation) to {MOST_NODES}, or 'auto'."
        raise MixflowError(
            Problem("nagq is the number of quadrature points", column="nagq", value=nagq, remedy=remedy)
        )


def _family(family: str | Family, link: str | None, zi: str | None) -> Family:
    chosen = named(family, link) if isinstance(family, str) else family
    has = any(p.name == "zi" for p in chosen.predictors)
    if zi is not None and not has:
        chosen = with_zeros(chosen)
    return chosen


def _response(formula: str) -> tuple[list[str], str]:
    """Expressions of the response, two for ``cbind(success, failure)``, and the formula with the first alone."""
    left, tilde, right = formula.partition("~")
    found = TWO_COLUMNS.match(left)
    if not tilde or not found:
        return [left], formula
    parts, depth, start, inside = [], 0, 0, found["inside"]
    for i, character in enumerate(inside):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(inside[start:i])
            start = i + 1
    parts.append(inside[start:])
    if len(parts) != 2:
        remedy = "Write cbind(success, failure) ~ ..."
        raise MixflowError(Problem("cbind() takes two columns", column="formula", value=left, remedy=remedy))
    return parts, f"{parts[0]} ~ {right}"
