"""Residual degrees of freedom of a mixed model by the trace of its hat matrix, as dream takes them."""

from __future__ import annotations

import numpy as np

from mixflow.design import Design
from mixflow.likelihood.hat import shrinkage
from mixflow.model import Fit
from mixflow.optimise import mapped
from mixflow.optimise.observed_grams import chunks


def hat_df(fit: Fit, design: Design, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """tr((I - H)'(I - H)) = n - 2 tr(H) + tr(HH), H the hat matrix at the estimated theta. (N,).

    variancePartition's ``rdf.merMod`` (Hoffman and Roussos 2021); n - p without random effects.
    ``values`` (N, n), ``weights`` (n,) or (N, n): what was fitted.
    """
    out = np.full(len(fit.status), np.nan)
    for chunk in chunks(design, values, fit.fitted, reml=fit.reml, weights=weights):
        theta = fit.theta[chunk.rows] * chunk.prepared.theta_scale
        taken = mapped.each(shrinkage, chunk.prepared.layout, chunk.gram, theta)
        out[chunk.rows] = chunk.observed.n_obs - chunk.observed.rank - taken
    return out
