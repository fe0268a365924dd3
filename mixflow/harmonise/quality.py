"""Coefficient of variation of quality-control samples, on the scale of the measurement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Values = NDArray[np.float64]

LOG_BASE = {"log2": np.log(2.0), "clr": 1.0}
BACK = {
    "log1p": np.expm1,
    "logit": expit,
    "asin_sqrt": lambda z: np.sin(np.clip(z, 0.0, np.pi / 2)) ** 2,
}


def coefficient_of_variation(values: Values, chosen: NDArray[np.bool_], scale: str) -> Values:
    """CV (feature,) over the samples ``chosen`` (sample,), as a fraction; NaN with fewer than 3 values.

    On log scales that of the log-normal, sqrt(exp(s^2) - 1) with s in natural logarithms (Canchola et al.
    2017, MOJ Proteomics & Bioinformatics 6(4)); on log1p, logit and asin_sqrt after transforming back;
    else sd over |mean|.
    """
    x = values[:, chosen]
    x = BACK[scale](x) if scale in BACK else x
    observed = ~np.isnan(x)
    n = observed.sum(axis=1)
    mean = np.where(observed, x, 0.0).sum(axis=1) / np.maximum(n, 1)
    variance = (np.where(observed, x - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(n - 1, 1)
    if scale in LOG_BASE:
        cv = np.sqrt(np.expm1(variance * LOG_BASE[scale] ** 2))
    else:
        size = np.abs(mean)
        cv = np.divide(np.sqrt(variance), size, out=np.full(len(x), np.nan), where=size > 0)
    return np.where(n >= 3, cv, np.nan)
