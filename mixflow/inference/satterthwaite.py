"""Satterthwaite degrees of freedom from a stored fit (Kuznetsova, Brockhoff, Christensen 2017, lmerTest)."""

from __future__ import annotations

import numpy as np

from mixflow.model import Fit


def degrees_of_freedom(fit: Fit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance and df of contrasts l' beta: df = 2 Var^2 / (g' A g), g = d Var / d(theta, sigma).

    ``rows`` (N, p), one contrast a feature (or (1, p) for all); returns (N,), (N,). A is the asymptotic
    covariance of (theta, sigma); it must be these coordinates, since the df depend on the choice.
    """
    rows = np.broadcast_to(rows, (len(fit.beta_cov), rows.shape[1]))
    variance = np.einsum("ni,nij,nj->n", rows, fit.beta_cov, rows)
    gradient = np.einsum("nqij,ni,nj->nq", fit.beta_cov_deriv, rows, rows)
    spread = np.einsum("nq,nqr,nr->n", gradient, fit.par_cov, gradient)
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance, 2 * variance**2 / spread


def combined(df: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Denominator df of an F statistic that is the mean of squared t's with ``df`` each (lmerTest).

    ``df``, ``used`` (N, r); F has the expectation of the mean: 2 E / (E - r), E = sum df / (df - 2).
    """
    r = used.sum(axis=1)
    low = np.where(used, df, np.inf).min(axis=1)
    high = np.where(used, df, -np.inf).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(used, np.where(np.isinf(df), 1.0, df / (df - 2)), 0.0).sum(axis=1)
        mixed = np.where(low > 2, 2 * expected / (expected - r), 2.0)
        mean = np.where(used, df, 0.0).sum(axis=1) / r
    return np.where(high <= low + 1e-8, mean, mixed)  # no difference of two infinite ones
