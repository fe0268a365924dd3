"""Groups compared after adjustment by standardised ratios: counts and yes/no outcomes of hospitals, devices.

Indirect standardisation: observed over expected events of a level, expected as its own rows would have them at a
level like the middle one (random effect 0). Shrunken: predicted over expected, predicted with the level's own
conditional mode (Normand and Shahian 2007, Stat. Sci. 22:206; the ratio by which hospitals are reported in the
United States).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import ndtri

from mixflow.backend import jax
from mixflow.design import RandomColumns
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family
from mixflow.family.cumulative import Cumulative
from mixflow.inference.benchmarking import FUNNEL, ranks_of, table_of_levels
from mixflow.inference.components import INTERCEPT
from mixflow.inference.family_means import expected, rowwise
from mixflow.inference.family_rows import FamilyRows, Piece, family_rows, fixed_predictors, modes_part
from mixflow.inference.family_simulate import values_of
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.mode_errors import ModeEquations
from mixflow.model import Fit

STEP = 1e-4
"""Of the link scale, for the slope of a level's events by its effect."""

COLUMNS = {
    "feature": "feature",
    "level": "level of the group",
    "n": "observed rows of the level",
    "observed": "events of the level: sum of counts, or successes",
    "expected": "events expected of its rows at a level with random effect 0",
    "raw": "observed over expected (standardised ratio), not shrunken",
    "shrunken": "predicted over expected: the ratio drawn towards 1 as far as chance explains it",
    "std_error": "standard error of the level's random effect on the link scale, that of all parameters included",
    "conf_low": "lower limit of the shrunken ratio",
    "conf_high": "upper limit of the shrunken ratio",
    "adjusted_rate": "shrunken ratio times the overall rate: events per trial, per unit of exposure, or per row",
    "rank": "rank of the shrunken ratio among the levels, 1 = highest",
    "z": "observed beside expected if the level were like the middle one: standard normal (square-root scale)",
    "funnel_low_95": "lower 95 % funnel limit of the raw ratio at this size",
    "funnel_high_95": "upper 95 % funnel limit",
    "funnel_low_998": "lower 99.8 % funnel limit",
    "funnel_high_998": "upper 99.8 % funnel limit",
    "status": "how the fit ended",
}


def benchmark(outcome: FittedFamily, group: str, level: float = 0.95) -> pd.DataFrame:
    """Every level of ``group`` for every feature observed there (see `COLUMNS`).

    Limits of shrunken ratios: the level's conditional mode and its error, carried over. Funnel limits take the
    family's variance of the level's events without a difference between levels, on the square-root scale; other
    random effects stand at 0. Raises where the group is no single random intercept of mu, and for ordered
    categories.
    """
    if isinstance(outcome.family, Cumulative):
        message = "Ordered categories have no standardised ratio"
        raise MixflowError(Problem(message, column="group", value=group, remedy="Compare a yes/no outcome."))
    term, rows = _term(outcome, group), family_rows(outcome)
    (piece,) = [p for p in rows.pieces if p.group.name == group]
    marks = sparse.csr_matrix(
        np.equal.outer(np.asarray(term.index), np.arange(len(term.levels))).astype(float)
    )
    fit, size = outcome.fit, _size(outcome)
    seen = outcome.observed & fit.fitted[:, None]
    eta = np.nan_to_num(fixed_predictors(outcome, rows) + modes_part(outcome, rows, curves_alone=True))
    total = lambda a: np.asarray((marks.T @ np.where(seen, a, 0.0).T).T)  # noqa: E731
    mode, own = fit.modes[group], np.nan_to_num(fit.free)
    events = lambda b: total(size * _mean(outcome.family, eta, own, term, b))  # noqa: E731
    at_zero, observed = events(0.0 * mode), total(size * np.nan_to_num(values_of(outcome.family, outcome.y)))
    chance = total(size**2 * _variances(outcome, eta))
    error = mode_errors(outcome, rows, piece, len(term.levels))
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = (events(0.0 * mode + STEP) - events(0.0 * mode - STEP)) / (2 * STEP)
        error = np.where(_no_variance(fit, group)[:, None], _error_at_zero(chance / steep**2), error)
    half = ndtri(0.5 + level / 2) * error
    n, exposure = total(np.ones_like(size)), np.where(seen, _exposure(outcome), 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = {
            "observed": observed,
            "expected": at_zero,
            "raw": observed / at_zero,
            "shrunken": events(mode) / at_zero,
            "std_error": error,
            "conf_low": events(mode - half) / at_zero,
            "conf_high": events(mode + half) / at_zero,
        }
        numbers["adjusted_rate"] = numbers["shrunken"] * (observed.sum(axis=1) / exposure)[:, None]
        numbers["rank"] = ranks_of(mode, (n > 0) & np.isfinite(mode))
        spread = np.sqrt(chance / at_zero)
        numbers["z"] = 2 * (np.sqrt(observed) - np.sqrt(at_zero)) / spread
        for name, p in FUNNEL.items():
            for end, sign in (("low", -1), ("high", 1)):
                root = np.sqrt(at_zero) + sign * ndtri(0.5 + p / 2) * spread / 2
                numbers[f"funnel_{end}_{name}"] = np.maximum(root, 0.0) ** 2 / at_zero
    kept = (n > 0) | ~outcome.fit.fitted[:, None]
    return table_of_levels(outcome.fit, term.levels, n, numbers, kept)[list(COLUMNS)]


def _no_variance(fit: Fit, group: str) -> np.ndarray:
    """Features whose levels are estimated to be all alike. Bool (N,)."""
    return fit.variance[:, fit.components.index((group, INTERCEPT, ""))] == 0


def _error_at_zero(chance: np.ndarray) -> np.ndarray:
    """Error of effects that are all put to zero since their variance was: that it is not known to be zero.

    2 g3 of Prasad and Rao (1990, J. Am. Stat. Assoc. 85:163) at A = 0, on the link scale; ``chance`` (N, levels)
    is D, the variance of a level's own estimate. Without it the limits would be of no width.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(np.isfinite(chance) & (chance > 0), chance**-2.0, 0.0).sum(axis=1, keepdims=True)
        return np.sqrt(2 * (1 / chance) * 2 / known)


def _term(outcome: FittedFamily, group: str) -> RandomColumns:
    """The random intercept of the group in mu; raises for what is none."""
    everywhere = [
        (j, t) for j, d in enumerate(outcome.designs.values()) for t in d.random if t.group == group
    ]
    if len(everywhere) == 1:
        (j, own) = everywhere[0]
        if j == 0 and own.terms == (INTERCEPT,) and own.within is None:
            return own
    known = ", ".join(t.group for t in outcome.design.random if t.terms == (INTERCEPT,))
    message = "The group is not one independent random intercept of the model"
    remedy = f"Random intercepts of the model: {known or 'none'}."
    raise MixflowError(Problem(message, column="group", value=group, remedy=remedy))


def _size(outcome: FittedFamily) -> np.ndarray:
    """What a row's mean is multiplied by: trials of a binomial, and prior weights. (N, n)."""
    trials = np.ones(outcome.observed.shape)
    if outcome.family.columns == ("success", "failure"):
        trials = np.nan_to_num(outcome.y.sum(axis=2))
    return trials if outcome.weights is None else trials * outcome.weights


def _exposure(outcome: FittedFamily) -> np.ndarray:
    """Trials, or the exposure whose logarithm is the offset. (N, n)."""
    size = _size(outcome)
    if outcome.family.predictors[0].link.name == "log":
        return size * np.exp(outcome.design.offset)
    return size


def _mean(family: Family, eta: np.ndarray, own: np.ndarray, term: RandomColumns, b: np.ndarray) -> np.ndarray:
    """Means of the rows with b (N, levels) added to mu's predictor. (N, n)."""
    moved = eta.copy()
    moved[:, :, 0] += np.nan_to_num(b)[:, np.asarray(term.index)]
    return expected(family, moved, own, slopes=False)[0][:, :, 0]


def _variances(outcome: FittedFamily, eta: np.ndarray) -> np.ndarray:
    """Variance of each row's value at eta. (N, n)."""
    n, m, d = eta.shape
    y = np.where(outcome.observed[:, :, None], outcome.y, np.array(outcome.family.filler))
    own = np.repeat(np.nan_to_num(outcome.fit.free), m, axis=0)
    found = rowwise(_variance(outcome.family), y.reshape(n * m, y.shape[2]), eta.reshape(n * m, d), own)
    return np.asarray(found).reshape(n, m)


@lru_cache(maxsize=64)
def _variance(family: Family) -> Callable[..., jax.Array]:
    return jax.jit(jax.vmap(family.variance))


def mode_errors(outcome: FittedFamily, rows: FamilyRows, piece: Piece, levels: int) -> np.ndarray:
    """Standard errors of a term's modes, errors of the parameters included. (N, levels)."""
    out = np.full((len(outcome.fit.status), levels), np.nan)
    equations = ModeEquations(outcome, rows)
    place = piece.start + np.arange(levels) * piece.group.size + piece.first
    pick = sparse.csr_matrix((np.ones(levels), (np.arange(levels), place)), shape=(levels, rows.n_effects))
    for i in np.flatnonzero(outcome.fit.fitted):
        errors = equations.errors(int(i))
        slope = errors.slope[place]
        moved = ((slope @ outcome.fit.joint_cov[i]) * slope).sum(axis=1)
        out[i] = np.sqrt(errors.variance(pick) + moved)
    return out
