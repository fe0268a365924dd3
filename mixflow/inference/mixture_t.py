"""Mixtures of Student's t: what is left of a contrast when theta is averaged over."""

from __future__ import annotations

import numpy as np
from scipy import special

HALVINGS = 45


def cdf(
    x: np.ndarray, weight: np.ndarray, centre: np.ndarray, scale: np.ndarray, df: np.ndarray
) -> np.ndarray:
    """P(X <= x). x (N, r); weight (N, G); centre, scale (N, G, r); df (N,), inf for the normal. (N, r)."""
    z = (x[:, None] - centre) / scale
    each = np.where(np.isinf(df)[:, None, None], special.ndtr(z), special.stdtr(_finite(df), z))
    return np.einsum("ng,ngr->nr", weight, each)


def two_sided(weight: np.ndarray, centre: np.ndarray, scale: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Twice the smaller tail beyond zero. (N, r)."""
    zero = np.zeros((len(weight), centre.shape[2]))
    below = cdf(zero, weight, centre, scale, df)
    above = cdf(zero, weight, -centre, scale, df)  # the other tail by symmetry: no digits lost in 1 - p
    return np.minimum(1.0, 2 * np.minimum(below, above))


def quantile(
    p: float, weight: np.ndarray, centre: np.ndarray, scale: np.ndarray, df: np.ndarray
) -> np.ndarray:
    """x with P(X <= x) = p, by halving between the quantiles of the components. (N, r)."""
    t = np.where(np.isinf(df), special.ndtri(p), special.stdtrit(_finite(df)[:, 0, 0], p))
    each = centre + scale * t[:, None, None]
    low, high = each.min(axis=1), each.max(axis=1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        under = cdf(middle, weight, centre, scale, df) < p
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return (low + high) / 2


def _finite(df: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(df), 1e10, df)[:, None, None]
