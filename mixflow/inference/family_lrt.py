"""Likelihood-ratio tests of nested generalised models, feature by feature, by chi-squared or by the bootstrap.

As `lrt`, for every predictor of the family. A Poisson model is nested in a negative binomial one, a binomial in a
beta-binomial one, and a model without zero inflation in one with it: the null value of the parameter that is added
lies at the end of its range, so that it counts as a variance does (Self and Liang 1987).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family
from mixflow.family.zeros import ZeroInflated
from mixflow.inference.family_simulate import simulate
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.lrt import COLUMNS, table
from mixflow.inference.nested import Nesting, nesting, require_same_rows
from mixflow.inference.refit import same_rows

WIDER = {
    "poisson": ("nbinom1", "nbinom2"),
    "binomial": ("betabinomial",),
    "truncated_poisson": ("truncated_nbinom1", "truncated_nbinom2"),
}
"""Families with a dispersion at whose end the family of the key lies."""

ROWS = 4_000
"""Simulated data sets fitted at once, at most (at least all replicates of one feature)."""

BOOTSTRAP_COLUMNS = {
    "p_bootstrap": "share of data sets simulated by the simpler model whose statistic is as large",
    "replicates": "data sets simulated",
    "failed": "those that one of the models could not be fitted to",
}


def compare(one: FittedFamily, other: FittedFamily, replicates: int = 0, seed: int = 1) -> pd.DataFrame:
    """Likelihood-ratio test of two nested fits of the same outcomes, one row a feature (`lrt.COLUMNS`).

    Both are evaluated with the same number of quadrature points, by maximum likelihood unless both are restricted
    and differ in their random parts alone. ``replicates``: also a bootstrap p (`BOOTSTRAP_COLUMNS`). Raises
    MixflowError where the models are not nested, or not of the same outcomes.
    """
    null, full = _ordered(one, other)
    _require_same(null, full)
    how = family_nesting(null, full)
    null, full = _alike(null, full, how)
    found = table(null.fit, full.fit, how).assign(null=words_of(null), full=words_of(full))
    return found if not replicates else found.assign(**_bootstrap(null, full, found, replicates, seed))


def simpler(full: FittedFamily, formula: str) -> FittedFamily:
    """The same outcomes by a simpler formula of mu on the same rows."""
    return full.refit({**full.designs, "mu": same_rows(formula, full.design)})


def words_of(outcome: FittedFamily) -> str:
    """The model in words: the formula of mu, the family, and formulas of other predictors that have more than 1."""
    more = [f"{name} {d.terms.text}" for name, d in outcome.designs.items() if name != "mu" and _more(d)]
    return ", ".join([outcome.fit.formula, outcome.family.name, *more])


def family_nesting(null: FittedFamily, full: FittedFamily) -> Nesting:
    """How all predictors are nested; raises with the reasons why they are not."""
    same, ends, several = True, 0, False
    own, wider = _part(null.family), _part(full.family)
    if own.name != wider.name and wider.name not in WIDER.get(own.name, ()):
        message = "The families are not nested"
        raise MixflowError(Problem(message, value=(own.name, wider.name), remedy="Compare their AIC."))
    if null.family.predictors[0].link != full.family.predictors[0].link:
        message = "The models have different links"
        raise MixflowError(Problem(message, column="link", remedy="Compare their AIC."))
    for name in full.designs:
        if name in null.designs:
            how = nesting(null.designs[name], full.designs[name])
            same, ends, several = same and how.same_fixed, ends + how.boundary, several or how.several
        else:
            same, ends, several = False, ends + 1, several or _more(full.designs[name])
    return Nesting(same, ends == 1 and not several, several or ends > 1)


def _part(family: Family) -> Family:
    return family.part if isinstance(family, ZeroInflated) else family


def _more(design: Design) -> bool:
    """Whether a predictor has more than an intercept."""
    return design.X.shape[1] > 1 or bool(design.random)


def _ordered(one: FittedFamily, other: FittedFamily) -> tuple[FittedFamily, FittedFamily]:
    """The simpler model first."""
    sizes = [_size(m.designs, m) for m in (one, other)]
    if sizes[0] == sizes[1]:
        message = "Both models have the same number of parameters: neither is nested in the other"
        remedy = "Compare their AIC or BIC."
        raise MixflowError(Problem(message, value=(words_of(one), words_of(other)), remedy=remedy))
    return (one, other) if sizes[0] < sizes[1] else (other, one)


def _size(designs: Mapping[str, Design], outcome: FittedFamily) -> int:
    return sum(d.rank for d in designs.values()) + outcome.fit.theta.shape[1] + outcome.family.n_own


def _require_same(null: FittedFamily, full: FittedFamily) -> None:
    remedy = "Fit both to the same data."
    if list(null.fit.feature_ids) != list(full.fit.feature_ids):
        raise MixflowError(Problem("The fits are not of the same features", remedy=remedy))
    require_same_rows(null.design, full.design)
    if null.y.shape != full.y.shape or not np.array_equal(null.y, full.y, equal_nan=True):
        raise MixflowError(Problem("The fits are not of the same outcomes", remedy=remedy))
    a, b = (np.ones(1) if m.weights is None else m.weights for m in (null, full))
    if a.shape != b.shape or (a != b).any():
        raise MixflowError(Problem("The fits have different weights", remedy="Use the same weights in both."))


def _alike(null: FittedFamily, full: FittedFamily, how: Nesting) -> tuple[FittedFamily, FittedFamily]:
    """Both by the same criterion: restricted or not, and the same points for each feature."""
    restricted = null.fit.reml and full.fit.reml and how.same_fixed
    groups = [{t.group for d in m.designs.values() for t in d.random} for m in (null, full)]
    points = np.ones(len(full.fit.status), dtype=np.int32)
    if not restricted and all(len(own) <= 1 for own in groups):
        points = np.maximum(_points(null, groups[0]), _points(full, groups[1]))
    out = []
    for m, own in zip((null, full), groups, strict=True):
        wanted = points if own else np.ones_like(points)
        if m.fit.reml == restricted and np.array_equal(_points(m, own), wanted):
            out.append(m)
        else:
            out.append(replace(m, options={**m.options, "reml": restricted}).refit(m.designs, wanted))
    return out[0], out[1]


def _points(outcome: FittedFamily, groups: set[str]) -> np.ndarray:
    """Points of each feature, 1 where nothing is integrated."""
    return outcome.fit.nodes_of_feature if groups else np.ones(len(outcome.fit.status), dtype=np.int32)


def _bootstrap(
    null: FittedFamily, full: FittedFamily, found: pd.DataFrame, replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """Both models fitted to data sets simulated by the simpler one, all of a chunk in one run."""
    statistic = found["statistic"].to_numpy()
    run = np.flatnonzero(np.isfinite(statistic))
    p, failed = np.full(len(statistic), np.nan), np.zeros(len(statistic), dtype=int)
    each = max(1, ROWS // replicates)
    for first in range(0, len(run), each):
        rows = run[first : first + each]
        y = simulate(null.take(rows), seed, replicates)
        y, of = y.reshape(-1, *y.shape[2:]), np.repeat(rows, replicates)
        fits = [m.fit_values(y, of) for m in (null, full)]
        good = (fits[0].fitted & fits[1].fitted).reshape(len(rows), -1)
        drawn = np.maximum(2 * (fits[1].loglik - fits[0].loglik), 0.0).reshape(len(rows), -1)
        as_large = (good & (drawn >= statistic[rows, None] - 1e-6)).sum(axis=1)
        p[rows], failed[rows] = (1 + as_large) / (1 + good.sum(axis=1)), (~good).sum(axis=1)
    return {"p_bootstrap": p, "replicates": np.where(np.isfinite(p), replicates, 0), "failed": failed}


__all__ = ["BOOTSTRAP_COLUMNS", "COLUMNS", "compare", "family_nesting", "simpler", "words_of"]
