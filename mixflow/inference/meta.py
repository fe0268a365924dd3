"""Meta-analysis of estimates with known sampling variances: moment estimators, heterogeneity, pooled coefficients.

One row a study: y_i ~ N(x_i' beta, tau^2 + v_i). REML and ML are the Gaussian engine with known variances; here is
what needs no engine. Formulas of metafor (Viechtbauer 2010, Journal of Statistical Software 36(3)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

MOMENTS = ("DL", "PM")
LARGEST = 1e12
"""Above this many times the largest sampling variance no limit of tau^2 is looked for."""


@dataclass(frozen=True)
class Studies:
    """Estimates ``y`` (k,), their sampling variances ``v`` (k,) and moderators ``x`` (k, p), intercept included."""

    y: np.ndarray
    v: np.ndarray
    x: np.ndarray

    @property
    def df(self) -> int:
        """Studies less coefficients."""
        return len(self.y) - self.x.shape[1]


@dataclass(frozen=True)
class Pooled:
    """Coefficients (p,) given tau^2, their covariance (p, p), and the df of their tests (infinite for z)."""

    estimate: np.ndarray
    covariance: np.ndarray
    df: float


def pool(studies: Studies, tau2: float, knapp_hartung: bool = False) -> Pooled:
    """Weighted least squares with weights 1 / (v + tau^2).

    ``knapp_hartung``: the covariance is scaled by the weighted mean square of the residuals and tests are t with
    k - p df (Knapp and Hartung 2003, Statistics in Medicine 22, 2693).
    """
    weight = 1.0 / (studies.v + tau2)
    covariance = np.linalg.inv((studies.x.T * weight) @ studies.x)
    estimate = covariance @ (studies.x.T @ (weight * studies.y))
    if not knapp_hartung:
        return Pooled(estimate, covariance, np.inf)
    spread = float(weight @ (studies.y - studies.x @ estimate) ** 2)
    return Pooled(estimate, covariance * spread / studies.df, float(studies.df))


def generalised_q(studies: Studies, tau2: float) -> float:
    """Weighted sum of squared residuals, weights 1 / (v + tau^2); Cochran's Q at tau^2 = 0."""
    residual = studies.y - studies.x @ pool(studies, tau2).estimate
    return float((residual**2 / (studies.v + tau2)).sum())


def _trace_p(studies: Studies) -> float:
    """Trace of W - W X (X'WX)^-1 X'W with W = 1 / v."""
    weight = 1.0 / studies.v
    wx = studies.x * weight[:, None]
    return float(weight.sum() - np.trace(np.linalg.inv(studies.x.T @ wx) @ (wx.T @ wx)))


def typical_variance(studies: Studies) -> float:
    """The sampling variance that stands for all (Higgins and Thompson 2002, Statistics in Medicine 21, 1539)."""
    return studies.df / _trace_p(studies)


def tau2_by_moments(studies: Studies, method: str) -> float:
    """tau^2 by DerSimonian and Laird (``DL``, 1986) or by Paule and Mandel (``PM``, 1982); not below zero."""
    if method == "DL":
        return max(0.0, (generalised_q(studies, 0.0) - studies.df) / _trace_p(studies))
    return _where(studies, float(studies.df)) or 0.0


def _where(studies: Studies, value: float) -> float | None:
    """The tau^2 at which the generalised Q, which falls with tau^2, is ``value``; None where it starts below."""
    if generalised_q(studies, 0.0) < value:
        return None
    excess: Callable[[float], float] = lambda tau2: generalised_q(studies, tau2) - value  # noqa: E731
    most = float(studies.v.max())
    while excess(most) > 0:
        if most > LARGEST * studies.v.max():
            return np.inf
        most *= 4.0
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-14 * most, rtol=1e-14))


def tau2_limits(studies: Studies, level: float = 0.95) -> tuple[float, float]:
    """Limits of tau^2 by Q profiles (Viechtbauer 2007, Statistics in Medicine 26, 37); NaN with no df left."""
    if studies.df < 1:
        return np.nan, np.nan
    ends = (stats.chi2.isf((1 - side * level) / 2, studies.df) for side in (1, -1))
    low, high = (_where(studies, float(end)) or 0.0 for end in ends)
    return low, high


def heterogeneity(studies: Studies, tau2: float, level: float = 0.95) -> dict[str, float]:
    """tau^2 with limits, I^2 (percent) and H^2 by the typical variance, and Cochran's Q with its test."""
    typical = typical_variance(studies) if studies.df > 0 else np.nan
    q = generalised_q(studies, 0.0)
    low, high = tau2_limits(studies, level)
    return {
        "tau2": tau2,
        "tau2_low": low,
        "tau2_high": high,
        "tau": float(np.sqrt(tau2)),
        "I2": 100 * tau2 / (tau2 + typical),
        "H2": tau2 / typical + 1,
        "Q": q,
        "Q_df": float(studies.df),
        "Q_p": float(stats.chi2.sf(q, studies.df)) if studies.df > 0 else np.nan,
    }
