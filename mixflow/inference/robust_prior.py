"""The prior of residual variances where some features are outliers: winsorised moments, prior df by feature.

Phipson, Lee, Majewski, Alexander, Smyth (2016), Ann. Appl. Stat. 10:946, sections 4 and 5; written from the
paper and held against limma 3.54 (tests/reference/limma.R), whose conventions it keeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize, special, stats

from mixflow.inference.lowess import lowess
from mixflow.inference.variance_prior import Prior, fit_prior

TAILS = (0.05, 0.1)
"""Shares of the smallest and largest log variances that are pulled in before moments are taken."""

TINY = 1e-300
SPAN = 0.4
HUGE = 1e300
"""Stands for infinite df where both branches of a choice are worked out."""


def fit_prior_robust(variance: np.ndarray, df: np.ndarray, covariate: np.ndarray | None = None) -> Prior:
    """As `fit_prior`; features with a larger variance than the others allow get fewer prior df. (N,)."""
    n = len(variance)
    used = np.isfinite(variance) & np.isfinite(df) & (df > 1e-6)
    if used.sum() < 3:
        return fit_prior(variance, df, covariate)
    own = None if covariate is None else covariate[used]
    found, centre = _fit(variance[used], df[used], own)
    level, prior_df = np.full(n, found.variance[0]), np.full(n, centre)
    prior_df[used] = found.df
    if own is not None and covariate is not None:
        order = np.argsort(own, kind="stable")
        level = np.exp(np.interp(covariate, own[order], np.log(found.variance[order])))
        level[used] = found.variance
    return Prior(prior_df, level)


def _fit(variance: np.ndarray, df: np.ndarray, covariate: np.ndarray | None) -> tuple[Prior, float]:
    """Prior of features that all count, and the prior df of those that are no outliers."""
    n = len(variance)
    x = np.maximum(variance, 1e-12 * np.median(variance))
    plain = fit_prior(x, df, covariate)
    if max(TAILS) < 1 / n:
        return plain, float(plain.df[0])
    x, most = _same_df(x, df, plain)
    z = np.log(x)
    trend = stats.trim_mean(z, TAILS[1]) if covariate is None else lowess(covariate, z, SPAN)
    mean, spread = _winsorised(z - trend)
    d0 = _prior_df(most, spread, float(plain.df[0]))
    if d0 is None:
        return plain, float(plain.df[0])
    level = trend + mean - winsorised_moments(most, d0)[0]
    f = np.exp(z - level)
    shrunk = _without_spread(f, most) if np.isinf(d0) else _with_spread(f, most, d0)
    return Prior(shrunk, np.exp(np.broadcast_to(level, n))), d0


def _same_df(x: np.ndarray, df: np.ndarray, plain: Prior) -> tuple[np.ndarray, float]:
    """Variances as they would be with the largest df of all: the same quantile of the F fitted at first."""
    most = float(df.max())
    fewer = df < most - 1e-14
    level, d0 = plain.variance[fewer], plain.df[fewer]
    f = x[fewer] / level
    upper, lower = _sf(f, df[fewer], d0), _cdf(f, df[fewer], d0)
    high = upper < lower
    moved = np.where(
        high, _isf(np.maximum(upper, TINY), most, d0), _ppf(np.clip(lower, TINY, 1 - 1e-16), most, d0)
    )
    x = x.copy()
    x[fewer] = moved * level
    return x, most


def _winsorised(z: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(z, [TAILS[0], 1 - TAILS[1]])
    pulled = np.clip(z, low, high)
    return float(pulled.mean()), float(pulled.var(ddof=1))


def winsorised_moments(df: float, d0: float) -> tuple[float, float]:
    """Mean and variance of log F(df, d0), winsorised at `TAILS`; quadrature on f / (1 + f)."""
    ends = np.array([_ppf(TAILS[0], df, d0), _isf(TAILS[1], df, d0)], dtype=float)
    low, high = ends / (1 + ends)
    nodes, weights = np.polynomial.legendre.leggauss(128)
    u = low + (high - low) * (nodes + 1) / 2
    f = u / (1 - u)
    weight = (high - low) / 2 * weights * _pdf(f, df, d0) / (1 - u) ** 2
    tails, z = np.array(TAILS), np.log(f)
    mean = (weight * z).sum() + (tails * np.log(ends)).sum()
    spread = (weight * (z - mean) ** 2).sum() + (tails * (np.log(ends) - mean) ** 2).sum()
    return float(mean), float(spread)


def _prior_df(df: float, spread: float, plain: float) -> float | None:
    """d0 at which log F(df, d0) has the winsorised variance seen; None: the plain prior is to be kept."""
    excess = lambda u: np.log(spread / winsorised_moments(df, np.inf if u >= 1 else u / (1 - u))[1])  # noqa: E731
    if excess(1.0) <= 0:
        return np.inf
    if np.isinf(plain):
        return None
    start = plain / (1 + plain)
    if excess(start) >= 0:
        return plain
    root = float(optimize.brentq(excess, start, 1.0, xtol=1e-10))
    return root / (1 - root)


def _not_outlier(log_tail: np.ndarray, f: np.ndarray) -> np.ndarray:
    """log of the probability of being no outlier: tail of the fitted F over the observed tail, at most 1."""
    rank = stats.rankdata(f)
    return np.minimum(log_tail - np.log((len(f) - rank + 0.5) / len(f)), 0.0)


def _without_spread(f: np.ndarray, df: float) -> np.ndarray:
    """Prior df where the others share one variance: infinite, but for outliers. (N,)."""
    log_tail = np.asarray(stats.chi2.logsf(f * df, df))
    share = np.exp(_not_outlier(log_tail, f))
    shrunk = np.where(share < 1, share * len(f) * df, np.inf)
    return _rising(shrunk, log_tail)


def _with_spread(f: np.ndarray, df: float, d0: float) -> np.ndarray:
    """Prior df between d0 and the few that make the most extreme feature the median of its F. (N,)."""
    log_tail = log_upper_tail(f, df, d0)
    log_share = _not_outlier(log_tail, f)
    if not (log_share < 0).any():
        return np.full(len(f), d0)
    lowest = np.log(0.5) / log_tail.min() * d0
    lowest *= np.log(0.5) / log_upper_tail(f.max(keepdims=True), df, lowest)[0]
    shrunk = np.exp(log_share) * d0 - np.expm1(log_share) * lowest
    order = np.argsort(log_tail, kind="stable")
    mean = np.cumsum(shrunk[order]) / np.arange(1, len(f) + 1)
    first = int(mean.argmin())
    shrunk[order[: first + 1]] = mean[first]
    return _rising(shrunk, log_tail)


def _rising(shrunk: np.ndarray, log_tail: np.ndarray) -> np.ndarray:
    """No feature has fewer prior df than a more extreme one."""
    out, order = shrunk.copy(), np.argsort(log_tail, kind="stable")
    out[order] = np.maximum.accumulate(shrunk[order])
    return out


def log_upper_tail(f: np.ndarray, df: float, d0: float) -> np.ndarray:
    """log P(F > f), also where the probability underflows (series of I_x, DLMF 8.17.8). (N,)."""
    with np.errstate(divide="ignore"):
        out = np.log(_sf(f, df, d0))
    for i in np.flatnonzero(out < np.log(TINY)):
        a, b, x = d0 / 2, df / 2, d0 / (d0 + df * f[i])
        total, term, k = 1.0, 1.0, 0
        while term > 1e-17 * total:
            term *= (a + b + k) / (a + 1 + k) * x
            total += term
            k += 1
        out[i] = a * np.log(x) + b * np.log1p(-x) - np.log(a) - special.betaln(a, b) + np.log(total)
    return out


def _sf(f: np.ndarray, df: Any, d0: Any) -> np.ndarray:
    return np.where(np.isinf(d0), special.chdtrc(df, f * df), special.fdtrc(df, np.minimum(d0, HUGE), f))


def _cdf(f: np.ndarray, df: Any, d0: Any) -> np.ndarray:
    return np.where(np.isinf(d0), special.chdtr(df, f * df), special.fdtr(df, np.minimum(d0, HUGE), f))


def _ppf(p: Any, df: Any, d0: Any) -> np.ndarray:
    finite = stats.f.ppf(p, df, np.minimum(d0, HUGE))
    return np.where(np.isinf(d0), stats.chi2.ppf(p, df) / df, finite)


def _isf(p: Any, df: Any, d0: Any) -> np.ndarray:
    finite = stats.f.isf(p, df, np.minimum(d0, HUGE))
    return np.where(np.isinf(d0), stats.chi2.isf(p, df) / df, finite)


def _pdf(f: np.ndarray, df: float, d0: float) -> np.ndarray:
    return np.asarray(df * stats.chi2.pdf(f * df, df) if np.isinf(d0) else stats.f.pdf(f, df, d0))
