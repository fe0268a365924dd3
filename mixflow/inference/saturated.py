"""Features whose rows just suffice for the coefficients: estimates without a residual variance of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixflow.design import Design
from mixflow.design.observed import observe
from mixflow.model import Fit
from mixflow.optimise.estimates import null_space
from mixflow.status import Status


def filled(
    fit: Fit,
    design: Design,
    values: np.ndarray,
    weights: np.ndarray | None = None,
    feature_of_row: np.ndarray | None = None,
) -> Fit:
    """The fit with estimates of the features of as many values as coefficients that these can estimate.

    limma fits such features (df.residual = 0) and moderates them; alone they have no test. Their residual
    variance is taken as 1 on one degree of freedom, which whoever asks for them replaces by a prior. Only in
    a linear model without random effects and residual structure; ``values`` (N, n), or (n,) where features
    have rows of their own (``feature_of_row``); ``weights``: prior weights that were fitted.
    """
    if design.random or design.residual is not None:
        return fit
    few = (fit.status == Status.TOO_FEW_OBSERVATIONS) & (fit.n_obs == fit.rank) & (fit.n_obs > 0)
    arrays = {name: getattr(fit, name).copy() for name in ("solution", "beta_cov", "beta_cov_deriv")}
    arrays |= {name: getattr(fit, name).copy() for name in ("par_cov", "null_space", "sigma", "status")}
    for i in np.flatnonzero(few):
        y, weight = _own(int(i), values, weights, feature_of_row)
        solution, cov, null = _estimate(design, y, weight)
        arrays["solution"][i], arrays["beta_cov"][i], arrays["null_space"][i] = solution, cov, null
        arrays["beta_cov_deriv"][i, -1], arrays["par_cov"][i] = 2 * cov, 0.5
        arrays["sigma"][i], arrays["status"][i] = 1.0, Status.OK
    return replace(fit, **arrays)


def _own(
    i: int, values: np.ndarray, weights: np.ndarray | None, feature_of_row: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Values (n,) of feature ``i``, NaN where missing, and the weights of the rows."""
    y = values[i] if feature_of_row is None else np.where(feature_of_row == i, values, np.nan)
    weight = np.ones(len(y)) if weights is None else weights[i] if weights.ndim == 2 else weights
    return np.where(weight > 0, y, np.nan), weight


def _estimate(design: Design, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A solution of the normal equations (p,), its covariance at sigma = 1, and the null space (p, p)."""
    observed = observe(y[None, :], design.Q, design.R, weight)
    rows = np.flatnonzero(np.isfinite(y))
    root = np.sqrt(weight[rows])
    length = np.linalg.norm(design.X, axis=0)
    inverse = np.linalg.pinv(root[:, None] * design.X[rows] / length, rcond=1e-10) / length[:, None]
    return inverse @ (root * (y - design.offset)[rows]), inverse @ inverse.T, null_space(design, observed)[0]
