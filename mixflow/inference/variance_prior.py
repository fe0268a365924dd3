"""The prior of residual variances over features: s^2 ~ s0^2 F(d, d0), fitted by moments of log s^2.

Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3(1):3; with a trend Sartor et al. (2006), BMC Bioinformatics
7:538; against outliers Phipson, Lee, Majewski, Alexander, Smyth (2016), Ann. Appl. Stat. 10:946. Written from
the papers and held against limma 3.54 (tests/reference/limma.R), whose conventions it keeps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

SMALLEST = 1e-5
"""Variances are raised to this share of their median before logarithms are taken (limma's rule)."""


class Prior(NamedTuple):
    """Prior degrees of freedom (inf: all features share one variance) and variance of each feature. (N,)."""

    df: np.ndarray
    variance: np.ndarray


def fit_prior(variance: np.ndarray, df: np.ndarray, covariate: np.ndarray | None = None) -> Prior:
    """Fit the prior to residual variances (N,) with ``df`` (N,) residual degrees of freedom.

    ``covariate`` (N,): the prior variance is a natural cubic spline of it on the log scale. Features with NaN
    or without df do not count, and get the prior that theirs would be. NaN where fewer than two count.
    """
    n, used = len(variance), usable(variance, df)
    if used.sum() < 2:
        return Prior(np.full(n, np.nan), np.full(n, np.nan))
    x = np.maximum(variance[used], 0.0)
    middle = float(np.median(x)) or 1.0
    x = np.maximum(x, SMALLEST * middle)
    half = df[used] / 2
    e = np.log(x) - special.digamma(half) + np.log(half)
    trend, spread = _centre(e, covariate, used)
    spread -= float(special.polygamma(1, half).mean())
    if spread <= 0:
        flat = covariate is None or len(trend) == 1
        return Prior(np.full(n, np.inf), np.full(n, x.mean()) if flat else np.exp(trend))
    d0 = 2 * inverse_trigamma(spread)
    level = np.exp(trend + special.digamma(d0 / 2) - np.log(d0 / 2))
    return Prior(np.full(n, d0), np.broadcast_to(level, n).copy())


def usable(variance: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Features whose variance is a number and rests on some degrees of freedom. Bool (N,)."""
    return np.isfinite(df) & (df > 1e-15) & np.isfinite(variance) & (variance > -1e-15)


def _centre(e: np.ndarray, covariate: np.ndarray | None, used: np.ndarray) -> tuple[np.ndarray, float]:
    """Expected e of all features ((1,) without a trend), and the variance of e about it."""
    size = 1 if covariate is None else _spline_size(covariate[used])
    if covariate is None or size < 2:
        return np.array([e.mean()]), float(e.var(ddof=1))
    basis = natural_spline(covariate, size, covariate[used])
    weights = np.linalg.lstsq(basis[used], e, rcond=None)[0]
    rest = e - basis[used] @ weights
    return basis @ weights, float((rest**2).sum() / (len(e) - size))


def _spline_size(x: np.ndarray) -> int:
    """Columns of the spline: more with more features, as limma has it."""
    n = len(x)
    return min(1 + (n >= 3) + (n >= 6) + (n >= 30), len(np.unique(x)))


def natural_spline(x: np.ndarray, size: int, within: np.ndarray) -> np.ndarray:
    """Natural cubic splines with knots at quantiles of ``within``, linear beyond its ends. (N, size).

    Hastie, Tibshirani, Friedman (2009), eq. 5.4: the columns of R's
    ``ns(within, df = size, intercept = TRUE)`` span the same space.
    """
    low, high = within.min(), within.max()
    knots = np.quantile(within, np.linspace(0, 1, size))
    t, k = (x - low) / (high - low), (knots - low) / (high - low)
    columns = [np.ones_like(t), t]
    cubes = lambda j: (np.maximum(t - k[j], 0) ** 3 - np.maximum(t - k[-1], 0) ** 3) / (k[-1] - k[j])  # noqa: E731
    columns += [cubes(j) - cubes(size - 2) for j in range(size - 2)]
    return np.column_stack(columns)


def inverse_trigamma(value: float) -> float:
    """y with trigamma(y) = value > 0: Newton on 1 / trigamma, which is convex (Smyth 2004, appendix)."""
    if value > 1e7:
        return 1 / np.sqrt(value)
    if value < 1e-6:
        return 1 / value
    y = 0.5 + 1 / value
    for _ in range(50):
        tri = float(special.polygamma(1, y))
        step = tri * (1 - tri / value) / float(special.polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y
