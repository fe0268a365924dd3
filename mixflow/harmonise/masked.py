"""Least squares of every feature on one design, each in the samples in which it was observed.

The cross-products of all features are one matrix product; features with the same missingness pattern share
their factor. Notation: y (feature, sample) with NaN missing, X (sample, p), G = X'MX with M the feature's
mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK = 2048
"""Features held at once, which bounds the memory for their p x p matrices."""
ALIASED = 1e-10
"""A column whose unexplained part (1 - R^2 on the columns before it) is below this is aliased."""


def blocks(n: int) -> Iterator[slice]:
    """Slices that cover ``range(n)`` in steps of BLOCK."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


@dataclass(frozen=True)
class MaskedFit:
    """``beta`` (feature, p), 0 for aliased columns; ``rank`` and ``n_obs`` (feature,); ``rss`` (feature,)."""

    beta: Values
    rank: NDArray[np.int64]
    n_obs: NDArray[np.int64]
    rss: Values

    def take(self, rows: Mask) -> MaskedFit:
        """The fits of some features."""
        return MaskedFit(self.beta[rows], self.rank[rows], self.n_obs[rows], self.rss[rows])


def cholesky(G: Values) -> tuple[Values, Mask]:
    """Cholesky factors of G (k, p, p), column by column for all k; aliased columns get a zero column.

    Returns L (k, p, p) and which columns are kept (k, p). Column j is aliased when it depends on those before
    it, so a later column gives way, as in R's lm.
    """
    k, p, _ = G.shape
    L, kept = np.zeros_like(G), np.zeros((k, p), dtype=bool)
    for j in range(p):
        column = G[:, j:, j] - np.einsum("kir,kr->ki", L[:, j:, :j], L[:, j, :j])
        kept[:, j] = column[:, 0] > ALIASED * np.maximum(G[:, j, j], np.finfo(float).tiny)
        root = np.sqrt(np.where(kept[:, j], column[:, 0], 1.0))
        L[:, j:, j] = np.where(kept[:, [j]], column / root[:, None], 0.0)
    return L, kept


def _solve(L: Values, kept: Mask, c: Values) -> tuple[Values, Values]:
    """Solve: z with Lz = c and beta with L'beta = z, both 0 in aliased columns."""
    p = c.shape[1]
    pivot = np.where(kept, np.einsum("kjj->kj", L), 1.0)
    z, beta = np.zeros_like(c), np.zeros_like(c)
    for j in range(p):
        rest = c[:, j] - np.einsum("kr,kr->k", L[:, j, :j], z[:, :j])
        z[:, j] = np.where(kept[:, j], rest / pivot[:, j], 0.0)
    for j in reversed(range(p)):
        rest = z[:, j] - np.einsum("kr,kr->k", L[:, j + 1 :, j], beta[:, j + 1 :])
        beta[:, j] = np.where(kept[:, j], rest / pivot[:, j], 0.0)
    return z, beta


def _patterns(observed: Mask) -> tuple[Mask, NDArray[np.int64]]:
    """The distinct rows of ``observed`` and, for each row, which of them it is."""
    packed = np.packbits(observed, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return observed[first], which.ravel()


def _grams(observed: Mask, X: Values) -> Values:
    p = X.shape[1]
    products = (X[:, :, None] * X[:, None, :]).reshape(len(X), p * p)
    return (observed.astype(np.float64) @ products).reshape(-1, p, p)


def ranks(observed: Mask, X: Values) -> NDArray[np.int64]:
    """Rank of X in the observed rows of each feature: (feature,)."""
    out = np.zeros(len(observed), dtype=np.int64)
    for block in blocks(len(observed)):
        patterns, which = _patterns(observed[block])
        out[block] = cholesky(_grams(patterns, X))[1].sum(axis=1)[which]
    return out


def fit(y: Values, X: Values) -> MaskedFit:
    """Least squares of each row of ``y`` (feature, sample) on ``X`` (sample, p).

    Columns of X must be of like size (centre and scale numbers) and rows of y centred, as the normal
    equations square the condition number. ``rss`` is the residual sum of squares.
    """
    observed = ~np.isnan(y)
    out = MaskedFit(
        np.zeros((len(y), X.shape[1])),
        np.zeros(len(y), dtype=np.int64),
        observed.sum(axis=1),
        np.zeros(len(y)),
    )
    for block in blocks(len(y)):
        patterns, which = _patterns(observed[block])
        L, kept = cholesky(_grams(patterns, X))
        y0 = np.where(observed[block], y[block], 0.0)
        z, out.beta[block] = _solve(L[which], kept[which], y0 @ X)
        out.rank[block] = kept.sum(axis=1)[which]
        out.rss[block] = np.maximum((y0 * y0).sum(axis=1) - (z * z).sum(axis=1), 0.0)
    return out


def centred(y: Values) -> tuple[Values, Values]:
    """Rows less the mean of their observed values, and these means (feature,); all-missing rows stay NaN."""
    observed = ~np.isnan(y)
    count = np.maximum(observed.sum(axis=1), 1)
    mean = np.where(observed, y, 0.0).sum(axis=1) / count
    return y - mean[:, None], mean
