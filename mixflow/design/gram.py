"""Cross-products of every feature with one shared design: computed once, then the samples are not needed.

All products of two columns of [Z, X] within a row are computed once; a feature's Gram is then its weights
times that (sparse) matrix. Squaring the design squares its condition number, hence X enters orthogonalised
and y as the residual of its own least-squares fit, scaled to unit mean square.

Products over samples are sparse ones, or sums along a row: BLAS sums in an order that depends on how many
features and threads there are, and a feature's bytes must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from mixflow.design.layout import Layout
from mixflow.design.observed import Observed, times


class RowEntries(NamedTuple):
    """The non-zero entries of each row of a matrix: ``values`` and ``columns`` (n, r), ``width`` columns."""

    values: np.ndarray
    columns: np.ndarray
    width: int

    def matrix(self) -> sparse.csr_matrix:
        """Transposed: (width, n), ready to multiply (n, N)."""
        n, r = self.values.shape
        rows = np.repeat(np.arange(n), r)
        shape = (self.width, n)
        return sparse.csr_matrix((self.values.ravel(), (self.columns.ravel(), rows)), shape=shape)


def compact(a: RowEntries) -> RowEntries:
    """The same without the zeros of rows that have many: an indicator of q levels has one entry a row."""
    most = int((a.values != 0).sum(axis=1).max(initial=0))
    if 2 * most >= a.values.shape[1]:
        return a
    first = np.argsort(a.values == 0, axis=1, kind="stable")[:, :most]
    take = np.take_along_axis
    return RowEntries(take(a.values, first, axis=1), take(a.columns, first, axis=1), a.width)


def products(a: RowEntries, b: RowEntries) -> RowEntries:
    """All products of an entry of ``a`` with one of ``b`` in the same row; column = a * width(b) + b."""
    n = len(a.values)
    values = a.values[:, :, None] * b.values[:, None, :]
    columns = a.columns[:, :, None].astype(np.int64) * b.width + b.columns[:, None, :]
    return RowEntries(values.reshape(n, -1), columns.reshape(n, -1), a.width * b.width)


def beside(parts: list[RowEntries], n: int) -> RowEntries:
    """Matrices side by side."""
    values, columns, width = [np.zeros((n, 0))], [np.zeros((n, 0), dtype=np.int64)], 0
    for part in parts:
        values.append(part.values)
        columns.append(part.columns + width)
        width += part.width
    return RowEntries(np.concatenate(values, axis=1), np.concatenate(columns, axis=1), width)


class GramArrays(NamedTuple):
    """Gram of N features on the host, with what turns its solution back into the user's coordinates."""

    blocks: np.ndarray  # (N, L, k, k)
    border: np.ndarray  # (N, L, k, m)
    corner: np.ndarray  # (N, m, m)
    dof: np.ndarray  # (N,)
    shift: np.ndarray  # (N, p) least-squares solution subtracted from y, in the coordinates of Q
    scale: np.ndarray  # (N,) root mean square of what was left; y was divided by it
    constant: np.ndarray  # (N,) what the objective on these cross-products lacks
    flat: np.ndarray  # (N,) bool: nothing was left to explain


def columns(
    layout: Layout, q: np.ndarray, groups: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[RowEntries, RowEntries, RowEntries]:
    """Of the leading group, level by level and of one level alone, and of the other groups and X."""
    n, leads = len(q), 1 if layout.n_leading else 0
    entries = [
        compact(RowEntries(z, index[:, None] * z.shape[1] + np.arange(z.shape[1]), g.n_levels * z.shape[1]))
        for g, (index, z) in zip(layout.groups, groups, strict=True)
    ]
    dense = RowEntries(q, np.broadcast_to(np.arange(q.shape[1]), q.shape), q.shape[1])
    lead = entries[0] if leads else RowEntries(np.zeros((n, 0)), np.zeros((n, 0), dtype=np.int64), 0)
    z = groups[0][1] if leads else np.zeros((n, 1))
    own = compact(RowEntries(z, np.broadcast_to(np.arange(z.shape[1]), z.shape), z.shape[1]))
    return lead, own, beside([*entries[leads:], dense], n)


@dataclass(frozen=True, eq=False)
class GramBuilder:
    """Cross-products that all features of one design share."""

    layout: Layout
    q: np.ndarray
    lead: sparse.csr_matrix
    rest: sparse.csr_matrix
    block_products: sparse.csr_matrix
    border_products: sparse.csr_matrix
    corner_products: sparse.csr_matrix

    @classmethod
    def of(cls, layout: Layout, q: np.ndarray, groups: list[tuple[np.ndarray, np.ndarray]]) -> GramBuilder:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        n, leads = len(q), bool(layout.n_leading)
        lead, own, rest = columns(layout, q, groups)
        return cls(
            layout,
            q,
            lead.matrix(),
            rest.matrix(),
            products(lead, own).matrix() if leads else sparse.csr_matrix((0, n)),
            products(lead, rest).matrix() if leads else sparse.csr_matrix((0, n)),
            products(rest, rest).matrix(),
        )

    def build(self, values: np.ndarray, observed: Observed) -> GramArrays:
        """Gram of the given features. ``values`` (N, n), offset already subtracted, NaN where missing."""
        return self.build_with_response(values, observed)[0]

    def build_with_response(self, values: np.ndarray, observed: Observed) -> tuple[GramArrays, np.ndarray]:
        """The same, and the y (N, n) that it was made of: centred and scaled, zero where missing."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends as the status 'not finite'
            return self._build(values, observed)

    def _build(self, values: np.ndarray, observed: Observed) -> tuple[GramArrays, np.ndarray]:
        layout, n = self.layout, len(values)
        size, p = layout.corner - 1, layout.n_coef
        w = observed.weights
        wt = np.ascontiguousarray(w.T)
        corner = np.zeros((n, layout.corner, layout.corner))
        corner[:, :size, :size] = (self.corner_products @ wt).T.reshape(n, size, size)
        cross = corner[:, size - p : size, size - p : size].copy()
        y, shift = self._residual(np.where(w > 0, values, 0.0), w, cross, observed)
        norm = np.sqrt((w * y**2).sum(axis=1))
        total = np.sqrt((w * np.where(w > 0, values, 0.0) ** 2).sum(axis=1))
        flat = ~(norm > 1e-13 * total)
        scale = np.where(flat, 1.0, norm / np.sqrt(np.maximum(observed.n_obs, 1)))
        y = y / scale[:, None]
        wy = np.ascontiguousarray((w * y).T)
        corner[:, size, :size] = corner[:, :size, size] = (self.rest @ wy).T
        corner[:, size, size] = (w * y**2).sum(axis=1)
        lead = (n, layout.n_leading, layout.k_leading)
        border = np.empty((*lead, layout.corner))
        border[..., :size] = (self.border_products @ wt).T.reshape(*lead, size)
        border[..., size] = (self.lead @ wy).T.reshape(lead)
        blocks = (self.block_products @ wt).T.reshape(*lead, layout.k_leading)
        rotate(border, corner, observed, slice(size - p, size))
        dof = observed.n_obs - (observed.rank if layout.reml else 0)
        constant = 2 * dof * np.log(scale) - observed.log_weight
        if layout.reml:
            constant = constant + 2 * observed.log_det_r
        return GramArrays(blocks, border, corner, dof.astype(float), shift, scale, constant, flat), y

    def _residual(
        self, y: np.ndarray, w: np.ndarray, cross: np.ndarray, observed: Observed
    ) -> tuple[np.ndarray, np.ndarray]:
        """y less its weighted least-squares fit on Q, and that fit's coefficients; refined once.

        The second round removes what rounding left of the first, so that a mean of 1e8 standard
        deviations does no harm.
        """
        p = self.q.shape[1]
        shift = np.zeros((len(y), p))
        if p == 0:
            return y, shift
        for i, v in observed.basis.items():
            r = observed.rank[i]
            null = v[:, r:]
            cross[i] = cross[i] + null @ null.T * max(np.trace(cross[i]) / max(r, 1), 1e-300)
        bad = observed.n_obs == 0
        cross[bad] = np.eye(p)
        for _ in range(2):
            step = np.linalg.solve(cross, times(w * y, self.q)[:, :, None])[:, :, 0]
            for i, v in observed.basis.items():
                keep = v[:, : observed.rank[i]]
                step[i] = keep @ (keep.T @ step[i])
            y = np.where(w > 0, y - times(step, self.q.T), 0.0)
            shift += step
        return y, shift


def rotate(border: np.ndarray, corner: np.ndarray, observed: Observed, x: slice) -> None:
    """Put deficient features into their own basis; directions they cannot see become inert (pivot 1)."""
    for i, v in observed.basis.items():
        keep = v.copy()
        keep[:, observed.rank[i] :] = 0.0
        border[i, ..., x] = border[i, ..., x] @ keep
        corner[i, :, x] = corner[i, :, x] @ keep
        corner[i, x, :] = keep.T @ corner[i, x, :]
        inert = np.arange(x.start + observed.rank[i], x.stop)
        corner[i, inert, inert] = 1.0
