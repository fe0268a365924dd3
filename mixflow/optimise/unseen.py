"""Parameters of the residual side of which a feature's own rows say nothing."""

from __future__ import annotations

import numpy as np

from mixflow.covariance import UnstructuredByVisit
from mixflow.design.residual import ResidualColumns

RANK = 1e-9
"""Singular values below this share of the largest count as zero."""


def unseen(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    """Which natural parameters (N, r) the rows ``seen`` (N, n) cannot estimate; correlation's come first.

    A correlation of two visits never seen in one unit, the sd of a visit or group never seen, and every ratio
    of standard deviations to a reference never seen: the optimum has them where the optimiser started.
    """
    rows, which = np.unique(seen, axis=0, return_inverse=True)
    found = [np.concatenate([_correlation(residual, own), _dispersion(residual, own)]) for own in rows]
    width = len(residual.names)
    return np.array(found, dtype=bool).reshape(-1, width)[which.ravel()]


def _correlation(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    own = residual.correlation
    if own is None:
        return np.zeros(0, dtype=bool)
    _, unit = np.unique(residual.unit[seen], return_inverse=True)
    if not isinstance(own, UnstructuredByVisit):
        return np.full(own.n_params, np.bincount(unit, minlength=1).max() < 2)
    marks = np.zeros((unit.max(initial=0) + 1, own.size))
    marks[unit, residual.where[seen].astype(int)] = 1.0
    together = marks.T @ marks > 0
    i, j = (part[1:] for part in np.tril_indices(own.size))
    return np.where(i == j, ~(together[i, i] & together[0, 0]), ~together[i, j])


def _dispersion(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    columns = np.column_stack([np.ones(seen.sum()), residual.dispersion[seen]])
    length = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(length > 0, length, 1.0)
    _, size, turned = np.linalg.svd(scaled, full_matrices=True)
    rank = int((size > RANK * size.max(initial=1e-300)).sum())
    return np.asarray((np.abs(turned[rank:, 1:]) > 1e-6).any(axis=0))
