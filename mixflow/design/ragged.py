"""Features with their own rows: each one's columns orthogonalised, its levels numbered, its cross-products.

Rows are sorted by feature and every sum runs over the rows of one feature in their order, so that a feature's
bytes depend on its own rows alone. All columns carry the root of the weight: cross-products are plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.design.design import Design, RandomColumns
from mixflow.design.gram import GramArrays
from mixflow.design.layout import Layout

DEPENDENT = 1e-7
"""A column depends on earlier ones if less than this share of its length is left (tolerance of R's lm)."""

ROUNDING = 1e-12
"""A column of a feature below this share of the column's largest entry in all features is zero."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Rows of F features, sorted: ``rows`` (n,) places in the design, ``feature`` (n,) each one's feature.

    Features are numbered 0..F-1 in ascending order of ``ids``; each has at least one row.
    """

    rows: np.ndarray
    ids: np.ndarray
    feature: np.ndarray
    starts: np.ndarray
    n_obs: np.ndarray

    @classmethod
    def of(cls, feature_of_row: np.ndarray, used: np.ndarray) -> Segments:
        """From the feature's number of each row (n,), for the rows where ``used`` (n,)."""
        rows = np.flatnonzero(used)
        rows = rows[np.argsort(feature_of_row[rows], kind="stable")]
        ids, starts, feature, count = np.unique(
            feature_of_row[rows], return_index=True, return_inverse=True, return_counts=True
        )
        return cls(rows, ids, feature.reshape(-1), starts, count)

    def sum(self, a: np.ndarray) -> np.ndarray:
        """Sums over each feature's rows. (..., n) -> (..., F)."""
        return np.add.reduceat(np.ascontiguousarray(a), self.starts, axis=-1)

    def spread(self, a: np.ndarray) -> np.ndarray:
        """Each feature's number on all its rows. (..., F) -> (..., n)."""
        return np.repeat(a, self.n_obs, axis=-1)


@dataclass(frozen=True, eq=False)
class Levels:
    """One grouping factor: ``local`` (n,) level numbers within the feature, ``n_levels`` (F,), columns ``z``.

    ``z`` (k, n) is divided by its root mean square ``scale`` (F, k) in the feature and has the root of the
    weight; ``moment`` (F, k, k): mean of z_a z_b in the user's units. ``seen_feature``, ``seen_level``: each
    observed pair of a feature and a level of the design, by feature and then local number.
    """

    local: np.ndarray
    n_levels: np.ndarray
    z: np.ndarray
    scale: np.ndarray
    moment: np.ndarray
    seen_feature: np.ndarray
    seen_level: np.ndarray


@dataclass(frozen=True, eq=False)
class Ragged:
    """All that differs by feature; F features, p coefficients, n rows.

    Root of weight times X of a feature = Q R: ``q`` (p, n), zero where a column depends on earlier ones,
    ``r`` (F, p, p) invertible, ``kept`` (F, p). ``y`` (n,) is the residual of least squares, whose
    coefficients on Q are ``shift`` (F, p), divided by ``scale`` (F,).
    """

    segments: Segments
    q: np.ndarray
    r: np.ndarray
    kept: np.ndarray
    y: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    flat: np.ndarray
    log_weight: np.ndarray
    groups: tuple[Levels, ...]

    @property
    def rank(self) -> np.ndarray:
        """Independent columns of each feature. (F,)."""
        return self.kept.sum(axis=1)

    @property
    def n_levels(self) -> np.ndarray:
        """Observed levels of each group. (F, groups)."""
        counts = [group.n_levels for group in self.groups]
        return np.stack(counts, axis=1) if counts else np.zeros((len(self.kept), 0), dtype=int)


def ragged(
    design: Design,
    groups: list[list[RandomColumns]],
    y: np.ndarray,
    segments: Segments,
    weights: np.ndarray | None,
) -> Ragged:
    """Meet the design with the rows of each feature. ``y``, ``weights`` (n,) for the rows of the design.

    ``groups``: for each grouping factor its random terms.
    """
    rows = segments.rows
    w = np.ones(len(rows)) if weights is None else weights[rows]
    root = np.sqrt(w)
    q, r, kept = orthonormal(segments, design.X[rows].T * root, np.abs(design.X).max(axis=0))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends as the status 'not finite'
        values = y[rows] * root
        total = np.sqrt(segments.sum(values**2))
        rest, shift = _residual(segments, q, values)
        norm = np.sqrt(segments.sum(rest**2))
        flat = ~(norm > 1e-13 * total)
        scale = np.where(flat, 1.0, norm / np.sqrt(segments.n_obs))
        rest = rest / segments.spread(scale)
    levels = tuple(_levels(segments, terms, root) for terms in groups)
    return Ragged(segments, q, r, kept, rest, shift.T, scale, flat, segments.sum(np.log(w)), levels)


def orthonormal(
    segments: Segments, x: np.ndarray, largest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q (p, n), R (F, p, p) and the columns kept (F, p) of each feature's x (p, n).

    Gram-Schmidt with a second round ("twice is enough", Giraud et al. 2005, Numer. Math. 101:87). As in
    `orthogonal.factor`, a dependent column of R holds its weights on the earlier ones and 1 on the diagonal.
    ``largest`` (p,): size of each column over all features, so that rounding in one counts as zero.
    """
    p, n_features = len(x), len(segments.ids)
    q, kept = np.zeros_like(x), np.zeros((n_features, p), dtype=bool)
    r = np.tile(np.eye(p), (n_features, 1, 1))
    for j in range(p):
        length = np.sqrt(segments.sum(x[j] ** 2))
        tiny = length <= ROUNDING * largest[j]
        length = np.where(tiny, 1.0, length)
        rest, weight = _residual(segments, q[:j], x[j] / segments.spread(length))
        left = np.sqrt(segments.sum(rest**2))
        kept[:, j] = (left > DEPENDENT) & ~tiny
        q[j] = rest * segments.spread(np.where(kept[:, j], 1.0 / np.where(left > 0, left, 1.0), 0.0))
        r[:, :j, j] = np.where(tiny, 0.0, weight * length).T
        r[:, j, j] = np.where(kept[:, j], left * length, 1.0)
    return q, r, kept


def _residual(segments: Segments, q: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v less its projection on orthonormal q, and the coefficients (p, F); twice, to remove rounding."""
    total = np.zeros((len(q), len(segments.ids)))
    for _ in range(2 if len(q) else 0):
        step = segments.sum(q * v)
        v = v - (q * segments.spread(step)).sum(axis=0)
        total += step
    return v, total


def _levels(segments: Segments, terms: list[RandomColumns], root: np.ndarray) -> Levels:
    rows, n_features = segments.rows, len(segments.ids)
    size = len(terms[0].levels)
    pairs = segments.feature * size + terms[0].index[rows]
    seen, number = np.unique(pairs, return_inverse=True)
    n_levels = np.bincount(seen // size, minlength=n_features)
    first = np.cumsum(n_levels) - n_levels
    z = np.concatenate([term.Z[rows] for term in terms], axis=1).T
    products = z[:, None, :] * z[None, :, :]
    moment = np.moveaxis(segments.sum(products) / segments.n_obs, -1, 0)
    scale = np.sqrt(np.diagonal(moment, axis1=1, axis2=2))
    scale = np.where(scale > 0, scale, 1.0)
    z = z / segments.spread(scale.T) * root
    local = number.reshape(-1) - segments.spread(first)
    return Levels(local, n_levels, z, scale, moment, seen // size, seen % size)


def gram(data: Ragged, layout: Layout, order: tuple[int, ...], members: np.ndarray) -> GramArrays:
    """Cross-products of some features, padded to ``layout``, whose groups are ``order`` of the data's.

    Q is orthonormal and y orthogonal to it, hence I and 0 in the corner; a dependent column is inert.
    """
    place = np.full(len(data.segments.ids), -1)
    place[members] = np.arange(len(members))
    slot = place[data.segments.feature]
    rows = np.flatnonzero(slot >= 0)
    parts = [_Part(data.groups[g], rows, slot[rows], layout.groups[i].n_levels) for i, g in enumerate(order)]
    dense = [*data.q[:, rows], data.y[rows]]
    n, c, p = len(members), layout.n_corner_effects, layout.n_coef
    corner = np.zeros((n, layout.corner, layout.corner))
    corner[:, range(c, c + p), range(c, c + p)] = 1.0
    corner[:, -1, -1] = np.bincount(slot[rows], data.y[rows] ** 2, minlength=n)
    first = 0
    for i, part in enumerate(parts[1:]):
        own = slice(first, first + part.width)
        corner[:, own, c:] = part.by(dense, n)
        corner[:, c:, own] = np.swapaxes(corner[:, own, c:], 1, 2)
        beside = first
        for other in parts[i + 1 :]:
            there = slice(beside, beside + other.width)
            corner[:, own, there] = part.across(other, n)
            corner[:, there, own] = np.swapaxes(corner[:, own, there], 1, 2)
            beside = there.stop
        first = own.stop
    blocks, border = _leading(layout, parts, dense, n)
    dof = (data.segments.n_obs - (data.rank if layout.reml else 0))[members].astype(float)
    constant = 2 * dof * np.log(data.scale[members]) - data.log_weight[members]
    if layout.reml:
        sizes = np.abs(np.diagonal(data.r[members], axis1=1, axis2=2))
        constant = constant + 2 * np.log(np.where(data.kept[members], sizes, 1.0)).sum(axis=1)
    return GramArrays(
        blocks, border, corner, dof, data.shift[members], data.scale[members], constant, data.flat[members]
    )


def _leading(
    layout: Layout, parts: list[_Part], dense: list[np.ndarray], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Blocks (n, L, k, k) of the group that leads, and its border (n, L, k, m)."""
    levels, k = layout.n_leading, layout.k_leading
    if not parts:
        return np.zeros((n, 0, 1, 1)), np.zeros((n, 0, 1, layout.corner))
    others = [parts[0].across(other, n) for other in parts[1:]]
    border = np.concatenate([*others, parts[0].by(dense, n)], axis=2)
    return parts[0].own(n), border.reshape(n, levels, k, layout.corner)


class _Part:
    """One group in some features: ``slot`` of the feature, ``local`` level, columns ``z`` (k, rows)."""

    def __init__(self, group: Levels, rows: np.ndarray, slot: np.ndarray, levels: int) -> None:
        self.z, self.levels = group.z[:, rows], levels
        self.slot, self.local = slot, group.local[rows]
        self.cell = slot * levels + self.local
        self.width = levels * len(self.z)

    def own(self, n: int) -> np.ndarray:
        """Sums of z z' by level. (n, levels, k, k)."""
        k = len(self.z)
        out = np.empty((n, self.levels, k, k))
        for a in range(k):
            for b in range(a, k):
                total = np.bincount(self.cell, self.z[a] * self.z[b], minlength=n * self.levels)
                out[..., a, b] = out[..., b, a] = total.reshape(n, self.levels)
        return out

    def by(self, dense: list[np.ndarray], n: int) -> np.ndarray:
        """Sums of z times each dense column, by level. (n, levels * k, len(dense))."""
        out = np.empty((n, self.levels, len(self.z), len(dense)))
        for a, z in enumerate(self.z):
            for b, column in enumerate(dense):
                total = np.bincount(self.cell, z * column, minlength=n * self.levels)
                out[:, :, a, b] = total.reshape(n, self.levels)
        return out.reshape(n, self.width, len(dense))

    def across(self, other: _Part, n: int) -> np.ndarray:
        """Sums of z times the other group's z, by pair of levels. (n, levels * k, other's levels * k)."""
        out = np.zeros((n, self.levels, len(self.z), other.levels, len(other.z)))
        if other is self:
            out[:, range(self.levels), :, range(self.levels)] = np.moveaxis(self.own(n), 1, 0)
            return out.reshape(n, self.width, self.width)
        cell = self.cell * other.levels + other.local
        for a, z in enumerate(self.z):
            for b, column in enumerate(other.z):
                total = np.bincount(cell, z * column, minlength=n * self.levels * other.levels)
                out[:, :, a, :, b] = total.reshape(n, self.levels, other.levels)
        return out.reshape(n, self.width, other.width)
