"""Parameters of the residual side of which a feature's own rows say nothing."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mixflow.covariance import UnstructuredByVisit
from mixflow.design.residual import ResidualColumns

RANK = 1e-9
"""Singular values below this share of the largest count as zero."""


def unseen(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    """Which natural parameters (N, r) the rows ``seen`` (N, n) cannot estimate; correlation's come first.

    A correlation of two visits never seen in one unit, the sd of a visit or group never seen, and every ratio
    of standard deviations to a reference never seen. Which of the points that fit alike is taken: `reference`.
    """
    return np.concatenate([_correlation(residual, seen), _dispersion(residual, seen)], axis=1)


def _correlation(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    """(N, parameters of the correlation)."""
    own, unit = residual.correlation, residual.unit
    if own is None:
        return np.zeros((len(seen), 0), dtype=bool)
    if not isinstance(own, UnstructuredByVisit):
        member = sparse.csr_matrix((np.ones(len(unit)), (unit, np.arange(len(unit)))))
        most = (member @ seen.T.astype(float)).max(axis=0, initial=0.0)
        return np.repeat(most[:, None] < 2, own.n_params, axis=1)
    marks = np.zeros((len(seen), unit.max(initial=0) + 1, own.size))
    marks[:, unit, residual.where.astype(int)] = seen
    together = np.swapaxes(marks, 1, 2) @ marks > 0
    i, j = (part[1:] for part in np.tril_indices(own.size))
    return np.where(i == j, ~(together[:, i, i] & together[:, :1, 0]), ~together[:, i, j])


def _dispersion(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    """(N, columns of the dispersion): once for each set of different rows of the dispersion that features have."""
    if not residual.dispersion.shape[1]:
        return np.zeros((len(seen), 0), dtype=bool)
    rows, which = np.unique(residual.dispersion, axis=0, return_inverse=True)
    member = sparse.csr_matrix((np.ones(len(which)), (which.ravel(), np.arange(len(which)))))
    present = (member @ seen.T.astype(float) > 0).T
    patterns, of = np.unique(present, axis=0, return_inverse=True)
    found = [_hidden(rows[pattern]) for pattern in patterns]
    return np.array(found, dtype=bool).reshape(-1, rows.shape[1])[of.ravel()]


def _hidden(rows: np.ndarray) -> np.ndarray:
    """Columns (r, d) that the others and an intercept make up, in these rows. (d,)."""
    columns = np.column_stack([np.ones(len(rows)), rows])
    length = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(length > 0, length, 1.0)
    _, size, turned = np.linalg.svd(scaled, full_matrices=True)
    rank = int((size > RANK * size.max(initial=1e-300)).sum())
    return np.asarray((np.abs(turned[rank:, 1:]) > 1e-6).any(axis=0))
