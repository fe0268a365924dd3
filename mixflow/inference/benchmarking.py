"""Groups compared after adjustment: raw and shrunken effects of each level, and funnel limits by size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import ndtri
from scipy.stats import rankdata

from mixflow.design.layout import Layout
from mixflow.design.observed import times
from mixflow.errors import MixflowError, Problem
from mixflow.inference.components import INTERCEPT
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import effect_columns, fixed_part, residual_sd
from mixflow.optimise.prepare import prepare
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "level": "level of the group",
    "n": "observed values of the level",
    "raw": "mean residual of the level after the fixed effects, not shrunken (unit of the feature)",
    "shrunken": "conditional mode: the raw mean drawn towards zero as far as chance explains it",
    "std_error": "conditional standard deviation of the shrunken effect",
    "conf_low": "lower limit of the shrunken effect",
    "conf_high": "upper limit of the shrunken effect",
    "reliability": "how far the shrunken effect rests on the level's own values: 0 not at all, 1 altogether",
    "rank": "rank of the shrunken effect among the levels, 1 = highest",
    "z": "raw mean over its standard error if the level were like all others",
    "funnel_low_95": "lower 95 % funnel limit of the raw mean at this size",
    "funnel_high_95": "upper 95 % funnel limit",
    "funnel_low_998": "lower 99.8 % funnel limit",
    "funnel_high_998": "upper 99.8 % funnel limit",
    "status": "how the fit ended",
}
FUNNEL = {"95": 0.95, "998": 0.998}


def benchmark(fitted: Fitted, group: str, level: float = 0.95) -> pd.DataFrame:
    """Every level of ``group`` for every feature observed there (see `COLUMNS`).

    Funnel limits and z (Spiegelhalter 2005, Stat. Med. 24:1185) take the variance of a level's mean residual
    without a difference between levels: residuals and the model's other random effects within the level; the
    uncertainty of the fixed part is left out. Raises where the group is no single random intercept, or where
    residuals are correlated.
    """
    fit, layout = fitted.fit, prepare(fitted.design, fitted.fit.reml).layout
    term = _term(fitted, group)
    marks = np.equal.outer(np.asarray(term.index), np.arange(len(term.levels))).astype(float)
    weights = _weights(fitted)
    total = times(weights, marks)
    held = np.where(total > 0, total, np.nan)
    line = np.where(weights > 0, np.nan_to_num(fitted.values) - fixed_part(fit, fitted.design), 0.0)
    raw = times(weights * line, marks) / held
    chance = np.sqrt(_chance(fitted, layout, group, weights, marks)) / held
    own = fit.components.index((group, INTERCEPT, ""))
    return _table(
        fitted,
        term.levels,
        times((weights > 0) * 1.0, marks),
        raw,
        chance,
        fit.variance[:, own],
        group,
        level,
    )


def _term(fitted: Fitted, group: str):
    """The random intercept of the group; raises for what this analysis does not know."""
    design = fitted.design
    own = [term for term in design.random if term.group == group]
    if len(own) != 1 or own[0].terms != (INTERCEPT,) or own[0].within is not None:
        known = ", ".join(term.group for term in design.random if term.terms == (INTERCEPT,))
        remedy = f"Random intercepts of the model: {known or 'none'}."
        message = "The group is not one independent random intercept of the model"
        raise MixflowError(Problem(message, column="group", value=group, remedy=remedy))
    if design.residual is not None and design.residual.correlation is not None:
        message = "Funnel limits are not worked out for correlated residuals"
        remedy = "Ask for this analysis of a model without `residual`."
        raise MixflowError(Problem(message, column="group", value=group, remedy=remedy))
    return own[0]


def _weights(fitted: Fitted) -> np.ndarray:
    """Precision of each row over 1 / sigma^2: weights and dispersion; 0 where missing. (N, n)."""
    spread = residual_sd(fitted.fit, fitted.design, prepare(fitted.design, fitted.fit.reml).layout)
    given = 1.0 if fitted.recipe.weights is None else fitted.recipe.weights
    return np.where(fitted.observed, given / spread**2, 0.0)


def _chance(fitted: Fitted, layout: Layout, group: str, weights: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Variance of each level's weighted sum of residuals, the group's own effect left out. (N, levels)."""
    fit = fitted.fit
    theta, total = np.nan_to_num(fit.theta), times(weights, marks)
    level = marks.argmax(axis=1)
    for other, index, columns in effect_columns(fitted.design, layout):
        first = 0
        for effect, part in [(effect, part) for own, effect, part in layout.slices if own is other]:
            z = columns[:, first : first + effect.size]
            first += effect.size
            if other.name != group:
                matrix = effect.matrix(theta[:, part])
                total = total + _within(weights, level, marks.shape[1], index, z, matrix)
    return total * fit.sigma[:, None] ** 2


def _within(
    weights: np.ndarray,
    level: np.ndarray,
    n_levels: int,
    index: np.ndarray,
    z: np.ndarray,
    matrix: np.ndarray,
) -> np.ndarray:
    """Variance that one other random effect gives the weighted sum of each level's rows. (N, levels).

    Rows of one level of the group and one level of the effect move together: s' Sigma s with s the weighted
    sums of their columns. ``matrix`` (N, k, k).
    """
    pair, number = np.unique(np.column_stack([level, index]), axis=0, return_inverse=True)
    number = number.ravel()
    to_pair = sparse.csr_matrix((np.ones(len(number)), (number, np.arange(len(number)))))
    sums = [np.asarray((to_pair @ (weights * column).T).T) for column in z.T]
    k = range(z.shape[1])
    each = sum(matrix[:, a, b, None] * sums[a] * sums[b] for a in k for b in k)
    return times(np.asarray(each), np.equal.outer(pair[:, 0], np.arange(n_levels)).astype(float))


def _table(
    fitted: Fitted,
    levels: tuple[str, ...],
    n: np.ndarray,
    raw: np.ndarray,
    chance: np.ndarray,
    variance: np.ndarray,
    group: str,
    level: float,
) -> pd.DataFrame:
    """Arrays (N, levels) as rows; levels without a value of the feature have none."""
    fit = fitted.fit
    mode, sd = fit.modes[group], fit.mode_sds[group]
    seen = (n > 0) & np.isfinite(mode)
    rank = np.full(mode.shape, np.nan)
    for i, row in enumerate(seen):
        rank[i, row] = rankdata(-mode[i, row], method="min")
    between = np.where(variance > 0, variance, np.nan)[:, None]
    half = ndtri(0.5 + level / 2) * sd
    numbers = {
        "raw": raw,
        "shrunken": mode,
        "std_error": sd,
        "conf_low": mode - half,
        "conf_high": mode + half,
        "reliability": np.where(variance[:, None] == 0, 0.0, 1 - sd**2 / between),
        "rank": rank,
        "z": raw / chance,
    }
    for name, p in FUNNEL.items():
        numbers |= {
            f"funnel_{end}_{name}": sign * ndtri(0.5 + p / 2) * chance
            for end, sign in (("low", -1), ("high", 1))
        }
    kept = (n > 0).ravel()
    table = {
        "feature": np.repeat(fit.feature_ids, len(levels)),
        "level": np.tile(np.array(levels, dtype=object), len(n)),
        "n": n.ravel().astype(int),
    }
    table |= {k: np.where(fit.fitted[:, None], v, np.nan).ravel() for k, v in numbers.items()}
    status = np.repeat(np.array([MEANING[Status(s)].label for s in fit.status], dtype=object), len(levels))
    return pd.DataFrame(table | {"status": status})[kept].reset_index(drop=True)[list(COLUMNS)]
