"""What differs by feature: which rows are observed, their weights, and what they can estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

PIVOT_TOLERANCE = 1e-6
"""Relative pivots of X'WX below this send a feature to the exact rank computation."""

RANK_TOLERANCE = 1e-7
"""Singular values below this (relative) count as zero, as the tolerance of R's `lm`."""

NOISE = 1e-12
"""Rounding in a column of Q (of length 1 over all samples): a feature's rows that hold no more hold nothing."""


@dataclass(frozen=True)
class Observed:
    """Rows and weights of N features over n samples, and the estimable part of each one's X.

    ``basis`` V (N, p, p) is orthogonal; its first ``rank`` columns span the rows of the feature's own Q, the
    rest is what its rows cannot see. ``log_det_r`` is log|det| of the kept columns of X in that basis, the
    constant that makes REML criteria those of lme4; ``log_weight`` is log|W| of the rows observed.
    """

    weights: np.ndarray  # (N, n), 0 where missing
    n_obs: np.ndarray  # (N,)
    rank: np.ndarray  # (N,)
    deficient: np.ndarray  # (N,) bool
    basis: dict[int, np.ndarray]  # feature -> V, for deficient features only
    log_det_r: np.ndarray  # (N,)
    log_weight: np.ndarray  # (N,)
    weighted: bool = False  # whether prior weights were given, whatever they are


def observe(values: np.ndarray, q: np.ndarray, r: np.ndarray, weights: np.ndarray | None) -> Observed:
    """Work out rank and estimability once for each feature (exactly only where in doubt).

    ``values`` (N, n) with NaN where missing; ``q`` (n, p) orthonormal; ``r`` (p, p); ``weights`` (N, n), (n,)
    or None.
    """
    seen = np.isfinite(values)
    if weights is not None:
        weight = np.broadcast_to(weights, values.shape)
        seen = seen & (weight > 0)
        w = np.where(seen, weight, 0.0)
    else:
        w = seen.astype(float)
    n_obs, log_weight = seen.sum(axis=1), np.zeros(len(values))
    if weights is not None:
        log_weight = np.log(np.where(seen, w, 1.0)).sum(axis=1)
    doubtful = _doubtful(w, q)
    n, p = len(values), q.shape[1]
    rank = np.full(n, p)
    log_det = np.full(n, np.log(np.abs(np.diag(r))).sum())
    basis: dict[int, np.ndarray] = {}
    known: dict[bytes, tuple[int, np.ndarray, float]] = {}
    for i in np.flatnonzero(doubtful):
        key = np.packbits(seen[i]).tobytes()
        if key not in known:
            known[key] = _row_space(q[seen[i]], r)
        rank[i], v, log_det[i] = known[key]
        if rank[i] < p:
            basis[int(i)] = v
    return Observed(w, n_obs, rank, rank < p, basis, log_det, log_weight, weights is not None)


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b (N, n) (n, m) with each row's sums in an order that does not depend on N or on threads."""
    return np.ascontiguousarray((sparse.csr_matrix(b.T) @ np.ascontiguousarray(a.T)).T)


def _doubtful(w: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Features whose X'WX has a small pivot. (N,)."""
    p = q.shape[1]
    if p == 0:
        return np.zeros(len(w), dtype=bool)
    pairs = (q[:, :, None] * q[:, None, :]).reshape(len(q), p * p)
    rest = times(w, pairs).reshape(-1, p, p)
    diagonal = np.diagonal(rest, axis1=1, axis2=2).max(axis=1)
    least = np.maximum(PIVOT_TOLERANCE * diagonal, NOISE**2 * w.max(axis=1, initial=0.0))
    doubtful = np.zeros(len(w), dtype=bool)
    for j in range(p):
        pivot = rest[:, j, j]
        doubtful |= pivot <= least
        safe = np.where(pivot > 0, pivot, 1.0)
        rest = rest - rest[:, :, j, None] * (rest[:, None, j, :] / safe[:, None, None])
    return doubtful


def _row_space(q: np.ndarray, r: np.ndarray) -> tuple[int, np.ndarray, float]:
    """Rank, orthogonal basis (estimable directions first) and log|det| of the columns kept, of masked Q."""
    p = q.shape[1]
    if len(q) == 0:
        return 0, np.eye(p), 0.0
    _, singular, vt = np.linalg.svd(q, full_matrices=True)
    singular = np.concatenate([singular, np.zeros(p - len(singular))])
    rank = int((singular > max(RANK_TOLERANCE * singular[0], NOISE)).sum())
    if rank == p:
        return p, np.eye(p), float(np.log(np.abs(np.diag(r))).sum())
    v = vt.T
    kept = _first_independent(q @ r, np.linalg.norm(r, axis=0))[:rank]
    log_det = np.linalg.slogdet(v[:, : len(kept)].T @ r[:, kept])[1]
    return len(kept), v, float(log_det)


def _first_independent(x: np.ndarray, size: np.ndarray) -> list[int]:
    """Columns that are not combinations of those before them (R's rule for aliased columns).

    ``size``: length of each column over all samples, so that rounding in an unobserved one counts as zero.
    """
    kept: list[int] = []
    basis = np.zeros((len(x), 0))
    for j in range(x.shape[1]):
        column = x[:, j]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        norm = np.linalg.norm(rest)
        if norm > RANK_TOLERANCE * max(size[j], 1e-300):
            kept.append(j)
            basis = np.column_stack([basis, rest / norm])
    return kept
