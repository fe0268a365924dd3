"""X = Q R by Householder reflections, with columns that depend on earlier ones set aside."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-9
"""A column depends on those before it if less than this share of its length is left of it."""


def factor(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q (n, p) and R (p, p) with X = Q R; orthonormal columns in Q, zero for a dependent column.

    Columns are scaled to length 1 first, so that units do not decide what is dependent; their order is kept,
    so the later column of a dependent set is the one set aside, as in R. Its R[j, j] is 1 and R[:j, j] its
    weights on the earlier ones: R is invertible whatever the rank. Golub and Van Loan (2013), section 5.2.
    """
    n, p = x.shape
    scale = np.sqrt((x**2).sum(axis=0))
    scale[scale == 0] = 1.0
    work = x / scale
    reflectors: list[np.ndarray] = []
    r = np.zeros((p, p))
    places = []
    for j in range(p):
        column, rank = work[:, j].copy(), len(reflectors)
        for k, v in enumerate(reflectors):
            column[k:] -= 2.0 * v * (v @ column[k:])
        r[places, j] = column[:rank]
        left = float(np.linalg.norm(column[rank:]))
        if left <= TOLERANCE:
            r[j, j] = 1.0
            continue
        v = column[rank:].copy()
        sign = 1.0 if v[0] >= 0 else -1.0
        v[0] += sign * left
        reflectors.append(v / np.linalg.norm(v))
        places.append(j)
        r[j, j] = -sign * left
    q = _columns(n, p, reflectors, places)
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    dependent = np.setdiff1d(np.arange(p), places)
    r = r * signs[:, None] * scale
    r[dependent, dependent] = 1.0
    return q * signs, r


def _columns(n: int, p: int, reflectors: list[np.ndarray], places: list[int]) -> np.ndarray:
    """The columns of Q: the reflections applied, last first, to columns of the identity."""
    q = np.zeros((n, p))
    q[np.arange(len(places)), places] = 1.0
    for k in reversed(range(len(reflectors))):
        v = reflectors[k]
        q[k:] -= 2.0 * np.outer(v, v @ q[k:])
    return q
