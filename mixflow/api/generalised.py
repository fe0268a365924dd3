"""`mixflow.fit` with a family: counts, yes/no, proportions and others, by Laplace or adaptive quadrature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from mixflow.api import responses
from mixflow.api.answers import Answers
from mixflow.api.opened import Opened
from mixflow.design import Design
from mixflow.design.several import predictor_terms, several
from mixflow.errors import MixflowError, Problem
from mixflow.family import Cumulative, Family, named
from mixflow.family.outcome import check_support
from mixflow.family.zeros import with_zeros
from mixflow.formula import parse
from mixflow.inference import contrasts as words
from mixflow.inference import family_lrt, intervals, smooths
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.refit import Fitted, Recipe
from mixflow.inference.tails import p_value
from mixflow.inference.terms import term_tests
from mixflow.inference.weights import prior_weights
from mixflow.model.unbounded import told
from mixflow.optimise.generalised import fit_generalised
from mixflow.optimise.glmm_nodes import AUTO
from mixflow.optimise.glmm_prior import Prior
from mixflow.status import MEANING, Status

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
        fit, estimate = self.model, told(self.model.more, self.model.more_cov)[:, i]
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

    def smooths(self, points: int = 50) -> pd.DataFrame:
        """Each smooth of mu on a grid, on the scale of the link (`mixflow.inference.smooths.CURVE_COLUMNS`)."""
        return smooths.curves(self.outcome, points)

    @property
    def smooth_edf(self) -> pd.DataFrame:
        """Effective df and tests of each smooth of mu (`mixflow.inference.smooths.EDF_COLUMNS`)."""
        return smooths.smooth_edf(self.outcome)

    def anova(self, other: GeneralisedResult, replicates: int = 0, seed: int = 1) -> pd.DataFrame:
        """Likelihood-ratio test against a nested fit of the same outcomes, for every feature.

        Columns: `mixflow.inference.lrt.COLUMNS`; with ``replicates`` also a parametric bootstrap's
        (`mixflow.inference.family_lrt.BOOTSTRAP_COLUMNS`).
        """
        if not isinstance(other, GeneralisedResult):
            _not_here("A comparison with a Gaussian model")
        return family_lrt.compare(self.outcome, other.outcome, replicates, seed)

    def confint(
        self, method: str = "wald", level: float = 0.95, *, replicates: int = 500, seed: int = 1
    ) -> pd.DataFrame:
        """Limits of standard deviations, correlations and coefficients of all predictors, tidy.

        ``method``: wald, profile or bootstrap (parametric, ``replicates`` by ``seed``).
        """
        limits = intervals.confint
        return limits(self.outcome, method, level, replicates=replicates, seed=seed, df="z")

    @property
    def fitted(self) -> Fitted:
        """Not for generalised models: what needs the values again would fit them as Gaussian."""
        _not_here("This")

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
    thresholds: str | None = None,
) -> GeneralisedResult:
    """As `mixflow.fit` says; raises MixflowError with every problem of formula and data."""
    _check_nodes(nagq)
    table = data.frame if isinstance(data, Opened) else data
    left, terms = responses.read(formula)
    responses.check_sides(left, formula, data)
    own, first = _no_categories(family, thresholds), 0
    if own is None:
        own, table, first = responses.categories(data, table, terms)
        own |= {"thresholds": thresholds or "flexible"}
    chosen = _family(family, link, zi, own)
    responses.check_limits(left, chosen)
    frame = responses.coded(table, terms, chosen)
    wanted = predictor_terms(chosen, terms, dispersion, zi)
    second = parse(f"{left.parts[1]} ~ 1") if left.kind == "cbind" else None
    designs, other, rows = several(wanted, frame, contrasts, second, relationship=relationship)
    design = designs["mu"]
    used = prior_weights(frame.iloc[rows], weights, design)
    failures = None if other is None else other.response
    values, ids, y, used = responses.columns(left, data, frame, design, rows, chosen, failures, used, first)
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


def _no_categories(family: str | Family, thresholds: str | None) -> dict[str, Any] | None:
    """Options of a family that is not made of the categories of the data; None for one that is."""
    if family == Cumulative.name:
        return None
    if thresholds is not None:
        remedy = "Leave it out, or ask for family='cumulative'."
        raise MixflowError(
            Problem(
                "Thresholds are of cumulative models", column="thresholds", value=thresholds, remedy=remedy
            )
        )
    return {}


def _family(family: str | Family, link: str | None, zi: str | None, own: Mapping[str, Any]) -> Family:
    chosen = named(family, link, **own) if isinstance(family, str) else family
    has = any(p.name == "zi" for p in chosen.predictors)
    if zi is not None and not has:
        chosen = with_zeros(chosen)
    return chosen
