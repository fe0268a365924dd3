"""Two-sided p-values of t, and their logarithm where p itself underflows."""

from __future__ import annotations

import numpy as np
from scipy import special

SMALL = 1e-290


def p_value(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided p of Student's t."""
    return 2 * special.stdtr(df, -np.abs(t))


def f_p_value(f: np.ndarray, r: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Upper tail of F with ``r`` and ``df`` degrees of freedom; chi-squared over r where df are infinite."""
    infinite = np.isinf(df)
    return np.where(infinite, special.chdtrc(r, r * f), special.fdtrc(r, np.where(infinite, 1.0, df), f))


def log10_p(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """log10 of the two-sided p, also below the smallest float.

    p = I_x(df/2, 1/2) with x = df / (df + t^2); where it underflows, by the hypergeometric series
    I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * 2F1(a + b, 1; a + 1; x) (DLMF 8.17.8).
    """
    p = p_value(t, df)
    with np.errstate(divide="ignore"):
        out = np.log10(p)
    for i in zip(*np.nonzero(np.isfinite(t) & (p < SMALL)), strict=True):
        out[i] = _log10_series(float(df[i]), float(t[i]))
    return out


def _log10_series(df: float, t: float) -> float:
    if np.isinf(df):
        return float((np.log(2) + special.log_ndtr(-abs(t))) / np.log(10))
    a, b = df / 2, 0.5
    log_x, x = -np.log1p(t * t / df), df / (df + t * t)
    total, term, k = 1.0, 1.0, 0
    while term > 1e-17 * total:
        term *= (a + b + k) / (a + 1 + k) * x
        total += term
        k += 1
    log_p = a * log_x + b * np.log1p(-x) - np.log(a) - special.betaln(a, b) + np.log(total)
    return float(log_p / np.log(10))
