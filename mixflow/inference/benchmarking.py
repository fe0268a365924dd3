"""Groups compared after adjustment: raw and shrunken effects of each level, and funnel limits by size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import ndtri
from scipy.stats import rankdata

from mixflow.design import RandomColumns
from mixflow.design.layout import Layout
from mixflow.design.observed import times
from mixflow.errors import MixflowError, Problem
from mixflow.inference.components import INTERCEPT
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import effect_columns, fixed_part, residual_sd
from mixflow.model import Fit
from mixflow.optimise.prepare import prepare
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "level": "level of the group",
    "n": "observed values of the level",
    "raw": "mean residual of the level after the fixed effects, not shrunken (unit of the feature)",
    "shrunken": "conditional mode: the raw mean drawn towards zero as far as chance explains it",
    "std_error": "standard error of the shrunken effect, that of the estimated variances and fixed effects included",
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
    uncertainty of the fixed part is left out. Standard errors of shrunken effects: `_mean_squared_error`.
    Raises where the group is no single random intercept, or where residuals are correlated.
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
    between = fit.variance[:, fit.components.index((group, INTERCEPT, ""))]
    centre = (
        np.stack([times(weights * column, marks) for column in fitted.design.X.T], axis=2) / held[:, :, None]
    )
    error = _mean_squared_error(fitted, group, between, chance**2, centre)
    sizes = times((weights > 0) * 1.0, marks)
    return _table(
        fitted, term.levels, group, sizes, raw, chance, between, half=ndtri(0.5 + level / 2), mse=error
    )


def _mean_squared_error(
    fitted: Fitted, group: str, between: np.ndarray, chance: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Mean squared error of the shrunken effects, g1 + g2 + 2 g3. (N, levels).

    The levels' raw means are a Fay-Herriot model with variances A between and D_j within levels, and its
    second-order approximation is used (Prasad and Rao 1990, J. Am. Stat. Assoc. 85:163; REML: Datta and
    Lahiri 2000, Stat. Sinica 10:613): g1 the conditional variance, g2 from the fixed effects at the level's
    mean covariates ``centre`` (N, levels, p), g3 from the estimate of A, which may be zero. ``chance`` is D.
    """
    fit = fitted.fit
    total = between[:, None] + chance
    g2 = np.einsum("nla,nab,nlb->nl", centre, fit.beta_cov, centre) * (chance / total) ** 2
    known = np.nansum(total**-2.0, axis=1)
    variance = 2 / np.where(known > 0, known, np.nan)
    g3 = chance**2 / total**3 * variance[:, None]
    return fit.mode_sds[group] ** 2 + g2 + 2 * g3


def _term(fitted: Fitted, group: str) -> RandomColumns:
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
    group: str,
    n: np.ndarray,
    raw: np.ndarray,
    chance: np.ndarray,
    variance: np.ndarray,
    *,
    half: float,
    mse: np.ndarray,
) -> pd.DataFrame:
    """Arrays (N, levels) as rows; levels without a value of the feature have none."""
    fit = fitted.fit
    mode, error = fit.modes[group], np.sqrt(mse)
    numbers = {
        "raw": raw,
        "shrunken": mode,
        "std_error": error,
        "conf_low": mode - half * error,
        "conf_high": mode + half * error,
        "reliability": _reliability(variance, fit.mode_sds[group]),
        "rank": ranks_of(mode, (n > 0) & np.isfinite(mode)),
        "z": raw / chance,
    }
    for name, p in FUNNEL.items():
        for end, sign in (("low", -1), ("high", 1)):
            numbers[f"funnel_{end}_{name}"] = sign * ndtri(0.5 + p / 2) * chance
    return table_of_levels(fit, levels, n, numbers, n > 0)[list(COLUMNS)]


def table_of_levels(
    fit: Fit, levels: tuple[str, ...], n: np.ndarray, numbers: dict[str, np.ndarray], kept: np.ndarray
) -> pd.DataFrame:
    """Arrays (N, levels) as rows, those ``kept``, with feature, level, the number of rows ``n`` and the status."""
    label = np.array([MEANING[Status(s)].label for s in fit.status], dtype=object)
    table = {
        "feature": np.repeat(fit.feature_ids, len(levels)),
        "level": np.tile(np.array(levels, dtype=object), len(n)),
        "n": n.ravel().astype(int),
        "status": np.repeat(label, len(levels)),
    }
    table |= {name: np.where(fit.fitted[:, None], v, np.nan).ravel() for name, v in numbers.items()}
    return pd.DataFrame(table)[kept.ravel()].reset_index(drop=True)


def _reliability(variance: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """1 - conditional over marginal variance, 0 where there is none. (N, levels)."""
    between = np.where(variance > 0, variance, np.nan)[:, None]
    return np.where(variance[:, None] == 0, 0.0, 1 - sd**2 / between)


def ranks_of(mode: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Ranks of the levels seen, 1 = highest. (N, levels)."""
    rank = np.full(mode.shape, np.nan)
    for i, row in enumerate(seen):
        rank[i, row] = rankdata(-mode[i, row], method="min")
    return rank
