"""Intraclass correlations from the variance components of a fitted model, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from mixflow.errors import MixflowError, Problem
from mixflow.inference.components import Components, alone, components, place
from mixflow.inference.exact_ratio import Limits, limits
from mixflow.inference.refit import Fitted
from mixflow.status import MEANING, Status

ONEWAY, CONSISTENCY, AGREEMENT = "oneway", "consistency", "agreement"
KINDS = (ONEWAY, CONSISTENCY, AGREEMENT)
COLUMNS = {
    "feature": "feature",
    "group": "what is measured again: the levels that the correlation is within",
    "kind": "oneway, consistency or agreement",
    "icc": "intraclass correlation: share of the variance that lies between levels",
    "conf_low": "lower confidence limit",
    "conf_high": "upper confidence limit",
    "method": "exact (Harville and Fenech), or delta: large-sample limits on the logit scale",
    "f_statistic": "exact test that the correlation is zero: F; empty where there is none",
    "df1": "its numerator degrees of freedom",
    "df2": "its denominator degrees of freedom",
    "p_value": "its p",
    "sem": "standard error of measurement: standard deviation of one level's values (unit of the feature)",
    "smallest_change": "change of one level that 5 % of repeated measurements exceed by chance: 1.96 sqrt(2) sem",
    "status": "how it ended: ok, at the boundary (no limits), or why there is none",
}


def icc(
    fitted: Fitted, group: str, rater: str | None = None, kind: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Intraclass correlation of ``group`` for every feature, one row each (see `COLUMNS`).

    Numerator: variance of the group. Denominator: all variances of the model, that of a random ``rater`` left
    out for consistency (Shrout and Fleiss 1979, Psychol. Bull. 86:420, ICC(3,1); agreement: ICC(2,1); oneway,
    without a rater in the model: ICC(1,1)). Exact limits where the group is the model's only random effect,
    else the delta method on the logit with the asymptotic covariance of theta. Raises for unknown groups, for
    random slopes, and where the kind needs another model.
    """
    kind = kind or (CONSISTENCY if rater else ONEWAY)
    found = components(fitted)
    own, left_out = place(found, "group", group), _left_out(fitted, found, rater, kind)
    value, error = share(found, own, left_out)
    exact = alone(fitted.design) and not fitted.recipe.options.get("known_sigma", False)
    numbers = _exact(fitted, level) if exact else _delta(value, error, level)
    sem = fitted.fit.sigma * np.sqrt(_error_variance(found, own, left_out))
    table = pd.DataFrame({"feature": fitted.fit.feature_ids, "group": group, "kind": kind, "icc": value})
    table = table.assign(**numbers, method="exact" if exact else "delta", sem=sem)
    table = table.assign(smallest_change=ndtri(0.975) * np.sqrt(2) * sem, status=_status(fitted, table))
    _hide(table, fitted.fit.fitted)
    return table[list(COLUMNS)]


def share(found: Components, own: int, left_out: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The correlation (N,) and the standard error of its logit (N,); NaN where the variance is zero."""
    ratio, slope = found.theta**2, np.zeros_like(found.theta)
    others = 1 + _error_ratio(found, own, left_out)
    for i in range(ratio.shape[1]):
        if i != own and i != left_out:
            slope[:, i] = -2 * found.theta[:, i] / others
    inside = ratio[:, own] > 0
    slope[:, own] = np.where(inside, 2 / np.where(inside, found.theta[:, own], 1.0), np.nan)
    counted = np.where(slope[:, :, None] * slope[:, None, :] == 0, 0.0, found.covariance)
    variance = (slope[:, :, None] * slope[:, None, :] * counted).sum(axis=(1, 2))
    return ratio[:, own] / (ratio[:, own] + others), np.sqrt(np.where(variance > 0, variance, np.nan))


def _error_ratio(found: Components, own: int, left_out: int | None) -> np.ndarray:
    rest = [i for i in range(len(found.groups)) if i not in (own, left_out)]
    return (found.theta[:, rest] ** 2).sum(axis=1)


def _error_variance(found: Components, own: int, left_out: int | None) -> np.ndarray:
    """Variance of repeated values of one level over sigma^2."""
    return 1 + _error_ratio(found, own, left_out)


def _left_out(fitted: Fitted, found: Components, rater: str | None, kind: str) -> int | None:
    """Number of the random rater whose variance consistency leaves out; checks kind against model."""
    if rater is None and kind == ONEWAY:
        return None
    if rater is None or kind == ONEWAY:
        message = "Agreement and consistency need a rater, oneway has none"
        remedy = "Name the factor of raters, occasions or devices by `rater`, or choose kind: oneway."
        raise MixflowError(Problem(message, column="kind", value=kind, remedy=remedy))
    if kind == AGREEMENT:
        place(found, "rater", rater)
        return None
    fixed = {variable.name for variable in fitted.design.variables}
    return None if rater in fixed else place(found, "rater", rater)


def _exact(fitted: Fitted, level: float) -> dict[str, np.ndarray]:
    told: Limits = limits(fitted.design, fitted.values, fitted.recipe.weights, level)
    return {
        "conf_low": told.low / (1 + told.low),
        "conf_high": told.high / (1 + told.high),
        "f_statistic": told.statistic,
        "df1": told.df1,
        "df2": told.df2,
        "p_value": told.p_value,
    }


def _delta(value: np.ndarray, error: np.ndarray, level: float) -> dict[str, np.ndarray]:
    half, centre = ndtri(0.5 + level / 2) * error, logit(value)
    nothing = np.full(len(value), np.nan)
    ends = {"conf_low": expit(centre - half), "conf_high": expit(centre + half)}
    return ends | dict.fromkeys(("f_statistic", "df1", "df2", "p_value"), nothing)


def _status(fitted: Fitted, table: pd.DataFrame) -> list[str]:
    """ok; at the boundary where the variance is zero; or the fit's own word."""
    label = np.array([MEANING[Status(s)].label for s in fitted.fit.status], dtype=object)
    words = np.where(table["icc"].to_numpy() > 0, "ok", "at the boundary")
    return list(np.where(fitted.fit.fitted, words, label))


def _hide(table: pd.DataFrame, fitted: np.ndarray) -> None:
    """No numbers for features that were not fitted."""
    numbers = table.select_dtypes("number").columns
    table.loc[~fitted, numbers] = np.nan
