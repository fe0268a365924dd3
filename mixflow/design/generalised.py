"""Rows of a generalised model laid out for its kernels: what all features share, and the shape of it.

Rows stand by level of the leading group in chunks of one length, so that sums over a level are sums over a
row of a matrix; X, Z and products of their columns are the same for all features and are never mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array
from mixflow.design.layout import Layout
from mixflow.family import Family

MOST_PRODUCTS = 2**22
"""Numbers in the products of pairs of corner columns up to which they are kept."""

CHUNKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)
"""Lengths of a chunk that are tried; the largest that pads least wins."""


@dataclass(frozen=True)
class Shape:
    """The static argument of a generalised model's kernels.

    ``layout``: the groups (its coefficients are not in the corner: n_coef = -1, neither X nor y);
    ``coefs``: columns of X of each predictor of the family; ``lead_of``, ``corner_of``: which predictor each
    column of the leading group, and of the corner, belongs to; ``chunks``: (number, rows); ``nodes``: points
    of the quadrature, 1 for Laplace; ``restricted``: beta of the first predictor is integrated too; ``penalty``:
    the kind of penalty on it (`likelihood.penalty`), or empty; ``single``: predictors that are one number for all
    rows (an intercept, no offset), so that what hangs on them alone is computed once.
    """

    family: Family
    layout: Layout
    coefs: tuple[int, ...]
    lead_of: tuple[int, ...]
    corner_of: tuple[int, ...]
    chunks: tuple[int, int]
    nodes: int = 1
    restricted: bool = False
    penalty: str = ""
    single: tuple[int, ...] = ()

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each predictor's coefficients begin in psi; the last entry is their number."""
        return tuple(int(i) for i in np.cumsum([0, *self.coefs]))

    @property
    def n_beta(self) -> int:
        """Coefficients of all predictors."""
        return self.starts[-1]

    @property
    def theta(self) -> slice:
        """The random effects' part of psi = (beta of all predictors, theta, own)."""
        return slice(self.n_beta, self.n_beta + self.layout.n_theta)

    @property
    def own(self) -> slice:
        """The family's own parameters in psi."""
        return slice(self.theta.stop, self.n_psi)

    @property
    def n_psi(self) -> int:
        return self.n_beta + self.layout.n_theta + self.family.n_own

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Predictors that have random effects."""
        return tuple(sorted({*self.lead_of, *self.corner_of}))

    @property
    def random(self) -> bool:
        """Whether there is any random effect."""
        return bool(self.used)


class Columns(NamedTuple):
    """Columns of the random effects by predictor, and their products by pairs of predictors; S chunks of r rows.

    ``lead`` (S, r, k) and ``corner`` (S, r, m) for each predictor used, zero where a column is another's;
    ``lead2`` (S, r, k k), ``border2`` (S, r, k m), ``corner2`` (S r, m m) or () for each ordered pair.
    """

    lead: tuple[Array, ...]
    corner: tuple[Array, ...]
    lead2: tuple[Array, ...]
    border2: tuple[Array, ...]
    corner2: tuple[Array, ...]


class Shared(NamedTuple):
    """What no feature has of its own: ``X`` (S, r, p) and ``offset`` (S, r) of each predictor, columns.

    ``level`` (S,) level of each chunk, ``member`` (L, S) the same as marks, () where each level is one chunk;
    ``joint``: columns with X of the first predictor in the corner, for the start; ``penalty``: rows that turn
    its beta into what a normal prior sees, or ().
    """

    X: tuple[Array, ...]
    offset: tuple[Array, ...]
    effects: Columns
    joint: Columns
    level: Array
    member: tuple[Array, ...]
    penalty: tuple[Array, ...] = ()


class Place(NamedTuple):
    """Where the rows lie: ``row`` (S, r) row numbers, -1 where padded; ``level`` (S,)."""

    row: np.ndarray
    level: np.ndarray


def place_rows(level: np.ndarray, n_levels: int) -> Place:
    """Chunks of rows of one level each, of the length that pads least. ``level`` (n,) of the leading group."""
    count = np.bincount(level, minlength=n_levels)
    sizes = [size for size in CHUNKS if size <= max(count.max(), CHUNKS[0])]
    padded = [(np.maximum(-(-count // size), 1) * size).sum() for size in sizes]
    whole = int(count.max())  # one chunk a level
    least = min(padded)
    best = max(size for size, total in zip(sizes, padded, strict=True) if total <= 1.05 * least)
    if whole * n_levels <= 1.15 * least:
        best = whole
    order = np.argsort(level, kind="stable")
    rows, levels, first = [], [], 0
    for own in range(n_levels):
        members = order[first : first + count[own]]
        first += count[own]
        for start in range(0, max(len(members), 1), best):
            part = members[start : start + best]
            rows.append(np.concatenate([part, np.full(best - len(part), -1)]))
            levels.append(own)
    return Place(np.array(rows, dtype=int), np.array(levels, dtype=int))


def laid(values: np.ndarray, place: Place, fill: float = 0.0) -> np.ndarray:
    """(..., n) -> (..., S, r); ``fill`` where padded."""
    out = np.asarray(values)[..., np.maximum(place.row, 0)]
    return np.where(place.row < 0, fill, out)


def laid_columns(matrix: np.ndarray, place: Place) -> np.ndarray:
    """(n, k) -> (S, r, k)."""
    return np.moveaxis(laid(matrix.T, place), 0, -1)


def columns_of(
    lead: np.ndarray, lead_of: tuple[int, ...], corner: np.ndarray, corner_of: tuple[int, ...], place: Place
) -> Columns:
    """Columns (n, k) and (n, m), each with its predictor, as the kernels see them."""
    used = sorted({*lead_of, *corner_of})
    leads, corners = [], []
    for j in used:
        leads.append(laid_columns(lead * (np.array(lead_of, dtype=int) == j), place))
        corners.append(laid_columns(corner * (np.array(corner_of, dtype=int) == j), place))
    pairs = [(a, b) for a in range(len(used)) for b in range(len(used))]
    small = place.row.size * corner.shape[1] ** 2 <= MOST_PRODUCTS
    return Columns(
        tuple(leads),
        tuple(corners),
        tuple(_products(leads[a], leads[b]) for a, b in pairs),
        tuple(_products(leads[a], corners[b]) for a, b in pairs),
        tuple(_products(corners[a], corners[b]) for a, b in pairs) if small else (),
    )


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(S, r, k), (S, r, m) -> (S, r, k m)."""
    return (a[..., :, None] * b[..., None, :]).reshape(*a.shape[:2], -1)


def membership(place: Place, n_levels: int) -> tuple[np.ndarray, ...]:
    """Marks (L, S) of the chunks of each level; () where each level is one chunk."""
    if len(place.level) == n_levels:
        return ()
    return (np.equal.outer(np.arange(n_levels), place.level).astype(float),)
