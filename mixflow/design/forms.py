"""Cross-products by the forms of a `covariance.Combination`: what theta makes R(theta)^-1 of, computed once.

The first form is the identity, whose products are those of `design.gram`; of the others each is a weighted sum of
products of rows, or of two rows of one unit. Sums over rows are sparse products, so that bytes do not depend on
how many features there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from mixflow.covariance import Combination
from mixflow.design.gram import GramBuilder
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed
from mixflow.design.rows import RowBuilder

PIECE_FLOATS = 2**16
"""Numbers in one array of what is summed over: keeps it near the processor's cache."""


class BasisArrays(NamedTuple):
    """Gram of N features by each form of a `Combination`, and what `GramArrays` has beside.

    ``lead`` (N, J', L, k, k + m) blocks and border side by side of the first forms; ``corner`` (N, J, m (m + 1) / 2)
    lower triangles, row by row; ``counts`` (N, I).
    """

    lead: np.ndarray
    corner: np.ndarray
    counts: np.ndarray
    dof: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    flat: np.ndarray


class Sums(NamedTuple):
    """Of N features: ``products`` and ``columns`` with y as `FormBuilder` has them, and y with y. (entries, N)."""

    products: np.ndarray
    with_y: np.ndarray
    y_y: np.ndarray


@dataclass(frozen=True, eq=False)
class Shared:
    """What every builder of forms needs of a design.

    ``gram`` makes the products of the rows themselves, ``rows`` lays them out, for what needs them. ``columns``
    (L k + m - 1, n): the leading group's above the others; ``products`` (entries, n): of the leading group's with
    its own and the others, level by level, then the lower triangle of the others with each other.
    """

    gram: GramBuilder
    rows: RowBuilder
    columns: sparse.csr_matrix
    products: sparse.csr_matrix

    @classmethod
    def of(cls, rows: RowBuilder, groups: list[tuple[np.ndarray, np.ndarray]]) -> Shared:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        gram = GramBuilder.of(rows.layout, rows.q, groups)
        own = sparse.vstack([gram.block_products, gram.border_products, gram.corner_products]).tocsr()
        above = sparse.vstack([gram.lead, gram.rest]).tocsr()
        return cls(gram, rows, above, own[order(rows.layout, 1)])


@dataclass(frozen=True, eq=False)
class FormBuilder(ABC):
    """From values to `BasisArrays`, for one combination."""

    shared: Shared

    @property
    def layout(self) -> Layout:
        return self.shared.rows.layout

    @property
    @abstractmethod
    def n_summed(self) -> int:
        """Numbers that a feature has in the largest array of what is summed over."""

    @abstractmethod
    def fill(self, into: BasisArrays, y: np.ndarray, w: np.ndarray) -> None:
        """Put the forms after the first, and the counts, into their places; ``y``, ``w`` (n, N)."""

    @property
    def forms(self) -> Combination:
        """Of the layout's residual side."""
        residual = self.layout.residual
        assert residual is not None and residual.combination is not None
        return residual.combination

    def n_lead(self, observed: Observed) -> int:
        """Forms that the columns of the leading group need."""
        return self.forms.n_lead

    def build(self, values: np.ndarray, observed: Observed) -> BasisArrays:
        """Grams by form of the given features. ``values`` (N, n), offset subtracted, NaN where missing."""
        arrays, y = self.shared.gram.build_with_response(values, observed)
        layout, n, forms = self.layout, len(y), self.forms
        kept = np.tril_indices(layout.corner)
        shape = (layout.n_leading, layout.k_leading, layout.k_leading + layout.corner)
        found = BasisArrays(
            np.empty((n, self.n_lead(observed), *shape)),
            np.empty((n, forms.n_forms, len(kept[0]))),
            np.empty((n, forms.n_counts)),
            *arrays[3:],
        )
        found.lead[:, 0] = np.concatenate([arrays.blocks, arrays.border], axis=3)
        found.corner[:, 0] = arrays.corner[:, *kept]
        step = max(1, PIECE_FLOATS // max(self.n_summed, 1))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends as the status 'not finite'
            for some in (slice(first, first + step) for first in range(0, n, step)):
                own = (np.ascontiguousarray(a[some].T) for a in (y, observed.weights))
                self.fill(BasisArrays(*(a[some] for a in found)), *own)
        self._turn(found, observed)
        return found

    def weighted(self, w: np.ndarray, y: np.ndarray) -> Sums:
        """Products of rows with themselves, weighted by ``w`` (n, N)."""
        wy = w * y
        return Sums(self.shared.products @ w, self.shared.columns @ wy, _total(wy * y))

    def put(self, into: BasisArrays, form: int, found: Sums) -> None:
        """The cross-products of some features by one form in their places; no lead where it is zero."""
        n, n_lead, levels, k, width = into.lead.shape
        split, start = levels * k * (width - 1), levels * k
        if form < n_lead:
            into.lead[:, form, ..., :-1] = found.products[:split].T.reshape(n, levels, k, width - 1)
            into.lead[:, form, ..., -1] = found.with_y[:start].T.reshape(n, levels, k)
        x = into.corner.shape[2] - self.layout.corner
        into.corner[:, form, :x] = found.products[split:].T
        into.corner[:, form, x:-1] = found.with_y[start:].T
        into.corner[:, form, -1] = found.y_y[0]

    def _turn(self, found: BasisArrays, observed: Observed) -> None:
        """Deficient features in their own basis (`gram.rotate`), for all forms but the first, which is."""
        k, m, p = self.layout.k_leading, self.layout.corner, self.layout.n_coef
        x = slice(m - 1 - p, m - 1)
        rows, cols = np.tril_indices(m)
        for i, v in observed.basis.items():
            keep = v.copy()
            keep[:, observed.rank[i] :] = 0.0
            border = found.lead[i, 1:, ..., k:]
            border[..., x] = border[..., x] @ keep
            corner = np.zeros((found.corner.shape[1] - 1, m, m))
            corner[:, rows, cols] = corner[:, cols, rows] = found.corner[i, 1:]
            corner[:, :, x] = corner[:, :, x] @ keep
            corner[:, x] = keep.T @ corner[:, x]
            found.corner[i, 1:] = corner[:, rows, cols]


def order(layout: Layout, n_gaps: int) -> np.ndarray:
    """From blocks, border and corner, each gap by gap, to the entries of one gap beside each other."""
    lead, k, width = layout.n_leading * layout.k_leading, layout.k_leading, layout.corner - 1
    blocks = np.arange(n_gaps * lead * k).reshape(n_gaps, lead, k)
    border = blocks.size + np.arange(n_gaps * lead * width).reshape(n_gaps, lead, width)
    corner = blocks.size + border.size + np.arange(n_gaps * width**2).reshape(n_gaps, width, width)
    beside = np.concatenate([blocks, border], axis=2).reshape(n_gaps, -1)
    return np.concatenate([beside, corner[:, *np.tril_indices(width)]], axis=1).ravel()


def _total(a: np.ndarray) -> np.ndarray:
    """Sums over rows (n, N) -> (1, N), in an order that does not depend on N."""
    return sparse.csr_matrix(np.ones((1, len(a)))) @ a
