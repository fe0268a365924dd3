"""Several rows of a hypothesis made independent, for each feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.model import Fit


@dataclass(frozen=True)
class Reduced:
    """L turned to the eigenvectors of L Phi L', as lmerTest's contestMD does.

    ``rows`` (N, r, p), zero beyond the rank; ``values`` (N, r) their variances, 1 beyond; ``used`` (N, r).
    """

    rows: np.ndarray
    values: np.ndarray
    used: np.ndarray
    along: np.ndarray  # (N, r) rows' estimates

    @property
    def rank(self) -> np.ndarray:
        """Independent rows. (N,)."""
        return self.used.sum(axis=1)

    @property
    def mean_square(self) -> np.ndarray:
        """F by the fit's own covariance of beta. (N,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.along**2 / self.values).sum(axis=1) / self.rank

    def wald(self, cov: np.ndarray) -> np.ndarray:
        """(L b)' C^-1 (L b) for another covariance C (N, r, r) of the rows, NaN where not finite. (N,)."""
        both = self.used[:, :, None] & self.used[:, None, :]
        filled = np.where(both, cov, np.eye(cov.shape[1]))
        fine = np.isfinite(filled).all(axis=(1, 2))
        filled[~fine] = np.eye(cov.shape[1])
        solved = np.linalg.solve(filled, self.along[:, :, None])[:, :, 0]
        return np.where(fine, (self.along * solved).sum(axis=1), np.nan)


def reduce(fit: Fit, L: np.ndarray, good: np.ndarray) -> Reduced:
    """``L`` (r, p) for the features ``good`` (N,); the others get the rows as they are."""
    cov = np.einsum("ri,nij,sj->nrs", L, fit.beta_cov, L)
    good = good & np.isfinite(cov).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(good[:, None, None], cov, np.eye(len(L))))
    used = values > np.sqrt(np.finfo(float).eps) * values[:, -1:]
    rows = np.where(used[:, :, None], np.einsum("nrk,ri->nki", vectors, L), 0.0)
    along = np.where(used, np.einsum("nki,ni->nk", rows, fit.solution), 0.0)
    return Reduced(rows, np.where(used, values, 1.0), used, along)
