"""Exact limits of the variance ratio of a model with one random intercept, also unbalanced.

Harville and Fenech (1985, Biometrics 41:137): of y = X beta + Z b + e, with tau = var(b) / var(e), the pivot
F(tau) = (S(tau) - S_e) / r over S_e / f has the F distribution with r and f degrees of freedom. S(tau) is the
generalised residual sum of squares at tau, S_e that with Z as fixed effects, f its degrees of freedom and r
what Z adds to the rank of X. F falls in tau, so limits are found by bisection. Balanced data give Searle's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from mixflow.design import Design
from mixflow.design.observed import times

BLOCK = 256
"""Features whose cross-products are held at once."""
STEPS = 52
"""Halvings of the range of tau / (1 + tau): below 1e-15."""
RANK = 1e-9
"""Eigenvalues of X'X in orthonormal columns below this count as zero."""


@dataclass(frozen=True)
class Limits:
    """``low`` and ``high`` of tau (N,), ``statistic`` F(0), its degrees of freedom and p of tau = 0 (N,)."""

    low: np.ndarray
    high: np.ndarray
    statistic: np.ndarray
    df1: np.ndarray
    df2: np.ndarray
    p_value: np.ndarray


@dataclass(frozen=True, eq=False)
class _Sums:
    """Weighted sums of N features by level: of 1 (N, q), of X (N, q, p), of y (N, q), and over all rows."""

    n: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    def shrunk(self, by_level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X'V^-1 X, X'V^-1 y, y'V^-1 y with V^-1 = W - W Z diag(by_level) Z' W."""
        xw = self.x * by_level[:, :, None]
        xx = self.xx - (xw[:, :, :, None] * self.x[:, :, None, :]).sum(axis=1)
        xy = self.xy - (xw * self.y[:, :, None]).sum(axis=1)
        return xx, xy, self.yy - (by_level * self.y**2).sum(axis=1)


def limits(design: Design, values: np.ndarray, weights: np.ndarray | None, level: float) -> Limits:
    """Limits of var(b) / var(e) for every feature's own rows. ``values`` (N, n); weights (n,), (N, n) or None.

    NaN where a feature's rows leave no degrees of freedom.
    """
    parts = [_block(sums, seen, level) for sums, seen in _blocks(design, values, weights)]
    columns = zip(*parts, strict=True) if parts else [[np.zeros(0)]] * 6
    return Limits(*(np.concatenate(list(column)) for column in columns))


def _blocks(
    design: Design, values: np.ndarray, weights: np.ndarray | None
) -> Iterator[tuple[_Sums, np.ndarray]]:
    """Sums of a block of features, and the number of rows that count (N,)."""
    for first in range(0, len(values), BLOCK):
        some = slice(first, first + BLOCK)
        w = np.isfinite(values[some]).astype(float)
        if weights is not None:
            w = w * (weights[some] if weights.ndim == 2 else weights)
        yield _sums(design, np.where(w > 0, np.nan_to_num(values[some]), 0.0), w), (w > 0).sum(axis=1)


def _sums(design: Design, y: np.ndarray, w: np.ndarray) -> _Sums:
    random, q, p = design.random[0], design.Q, design.Q.shape[1]
    marks = np.equal.outer(np.asarray(random.index), np.arange(len(random.levels))).astype(float)
    y = y - np.where(w > 0, design.offset, 0.0)
    xx = times(w, (q[:, :, None] * q[:, None, :]).reshape(len(q), -1)).reshape(-1, p, p)
    y = y - times(_solve(xx, times(w * y, q)), q.T)  # least squares first: sums of squares lose no digits
    by_level = times(w, (marks[:, :, None] * q[:, None, :]).reshape(len(q), -1))
    return _Sums(
        n=times(w, marks),
        x=by_level.reshape(len(w), -1, p),
        y=times(w * y, marks),
        xx=xx,
        xy=times(w * y, q),
        yy=(w * y * y).sum(axis=1),
    )


def _solve(xx: np.ndarray, xy: np.ndarray) -> np.ndarray:
    return (np.linalg.pinv(xx, rcond=RANK, hermitian=True) @ xy[:, :, None])[:, :, 0]


def _block(sums: _Sums, n_rows: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    filled = sums.n > 0
    inside, xy, yy = sums.shrunk(np.where(filled, 1 / np.where(filled, sums.n, 1.0), 0.0))
    within = yy - (_solve(inside, xy) * xy).sum(axis=1)
    rank = (np.linalg.eigvalsh(sums.xx) > RANK).sum(axis=1)
    rank_inside = (np.linalg.eigvalsh(inside) > RANK).sum(axis=1)
    r = filled.sum(axis=1) + rank_inside - rank
    f = n_rows - filled.sum(axis=1) - rank_inside
    usable = (r > 0) & (f > 0) & (within > 0)
    r, f = np.where(usable, r, 1), np.where(usable, f, 1)
    unseen = _unseen(sums.xx)

    def pivot(tau: np.ndarray) -> np.ndarray:
        xx, xy, yy = sums.shrunk(tau[:, None] / (1 + sums.n * tau[:, None]))
        beta = np.linalg.solve(xx + unseen, xy[:, :, None])[:, :, 0]
        return (yy - (beta * xy).sum(axis=1) - within) / r / np.where(usable, within / f, 1.0)

    tail = (1 - level) / 2
    low = _falls_to(pivot, special.fdtri(r, f, 1 - tail))
    high = _falls_to(pivot, special.fdtri(r, f, tail))
    statistic = pivot(np.zeros(len(f)))
    found = (low, high, statistic, r, f, special.fdtrc(r, f, np.maximum(statistic, 0.0)))
    return tuple(np.where(usable, a, np.nan) for a in found)


def _unseen(xx: np.ndarray) -> np.ndarray:
    """Projector on the directions that a feature's rows do not have, which keeps its equations regular."""
    value, vector = np.linalg.eigh(xx)
    vector = vector * (value <= RANK)[:, None, :]
    return vector @ np.swapaxes(vector, 1, 2)


def _falls_to(pivot: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """The tau at which the pivot has fallen to ``wanted``, 0 where it is below it at once. (N,)."""
    low, high = np.zeros(len(wanted)), np.full(len(wanted), 1 - 1e-12)
    for _ in range(STEPS):
        middle = (low + high) / 2
        above = pivot(middle / (1 - middle)) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(pivot(np.zeros(len(wanted))) > wanted, low / (1 - low), 0.0)
