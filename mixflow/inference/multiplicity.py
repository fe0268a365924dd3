"""Correction for many tests."""

from __future__ import annotations

import numpy as np


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q-values of a family of p-values of any shape; NaN is not tested and stays NaN.

    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57:289; as R's ``p.adjust(method = "BH")``.
    """
    q = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    values = p[tested]
    order = np.argsort(values, kind="stable")[::-1]
    n = len(values)
    scaled = values[order] * n / np.arange(n, 0, -1)
    out = np.empty(n)
    out[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    q[tested] = out
    return q
