"""Cross-products of neighbouring rows, for residuals that are Markov in time: AR(1) and Ornstein-Uhlenbeck.

A feature's neighbours are the rows of a unit that it has next to each other, whatever is missing between
them. Products of every two rows of a unit are computed once, kept sparse, and weighted by which two are
neighbours in a feature: sums over pairs are sparse products, so that bytes do not depend on how many
features there are (see `design.gram`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from mixflow.design.gram import GramBuilder, RowEntries, columns, products
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed
from mixflow.design.rows import RowBuilder

PIECE_FLOATS = 2**22
"""Numbers in one array of pairs: bounds memory however many features there are."""


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


class Pairs(NamedTuple):
    """Every two rows of one unit, pairs of one gap beside each other.

    ``first``, ``second`` (P,) row numbers in the order of ``order`` (n,): units, and positions within them;
    ``start`` (n,) where each row's unit begins; ``base`` (n,) and ``place`` (P,): the pair of rows s < t is
    place[base[t] + t - s - 1]; ``ends`` (D + 1,) where the pairs of each gap begin and end; ``gaps`` (D,).
    """

    order: np.ndarray
    start: np.ndarray
    base: np.ndarray
    place: np.ndarray
    first: np.ndarray
    second: np.ndarray
    ends: np.ndarray
    gaps: np.ndarray


def n_pairs(place: np.ndarray) -> int:
    """How many pairs of rows of one unit there are. ``place`` (levels, units, rows), -1 where padded."""
    size = (place >= 0).sum(axis=2)
    return int((size * (size - 1) // 2).sum())


def pairs(place: np.ndarray, where: np.ndarray) -> Pairs:
    """The pairs of a design. ``place`` as `rows.lay_out` has it, ``where`` (n,) positions."""
    size = (place >= 0).sum(axis=2).ravel()
    size = size[size > 0]
    order = place.ravel()[place.ravel() >= 0]
    start = np.repeat(np.cumsum(size) - size, size)
    before = np.arange(len(order)) - start
    base = np.cumsum(before) - before
    second = np.repeat(np.arange(len(order)), before)
    first = second - 1 - (np.arange(len(second)) - base[second])
    distance = _tidy(where[order][second] - where[order][first])
    gaps, kind = np.unique(distance, return_inverse=True)
    sort = np.argsort(kind, kind="stable")
    rank = np.empty_like(sort)
    rank[sort] = np.arange(len(sort))
    ends = np.searchsorted(kind[sort], np.arange(len(gaps) + 1))
    return Pairs(order, start, base, rank, first[sort], second[sort], ends, gaps)


class Crossed(NamedTuple):
    """Products of the columns of two rows, both ways round, for the P pairs of one gap: (entries, P) each.

    As `GramBuilder` has them for single rows, the ``corner`` as its lower triangle. ``first``, ``second``: the
    two rows; ``first_columns``, ``second_columns`` their columns (the leading group's above the others), for
    what meets y; ``member`` (n, P) which rows are in which pair.
    """

    blocks: sparse.csr_matrix
    border: sparse.csr_matrix
    corner: sparse.csr_matrix
    first: np.ndarray
    second: np.ndarray
    first_columns: sparse.csr_matrix
    second_columns: sparse.csr_matrix
    member: sparse.csr_matrix


class _Form(NamedTuple):
    """Cross-products of N features by one form: ``lead`` (N, L, k, k + m), ``corner`` (N, m (m + 1) / 2)."""

    lead: np.ndarray
    corner: np.ndarray


def _tidy(distance: np.ndarray) -> np.ndarray:
    """Distances to 12 digits of the longest: differences of times that are no whole numbers repeat then."""
    longest = distance.max(initial=0.0)
    return distance if longest == 0 else np.round(distance, 12 - int(np.ceil(np.log10(longest))))


@dataclass(frozen=True, eq=False)
class NeighbourBuilder:
    """What all features of one design share; ``gram`` makes the cross-products of the rows themselves.

    ``rows`` lays the rows out, for what needs them; ``columns`` (L k + m - 1, n): the leading group's above the
    others; ``corner_products`` the lower triangle of those of ``gram``; ``level`` as in `Neighbours`.
    """

    layout: Layout
    gram: GramBuilder
    rows: RowBuilder
    pairs: Pairs
    crossed: tuple[Crossed, ...]
    columns: sparse.csr_matrix
    corner_products: sparse.csr_matrix
    level: bool

    @classmethod
    def of(
        cls, rows: RowBuilder, groups: list[tuple[np.ndarray, np.ndarray]], level: bool
    ) -> NeighbourBuilder:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        layout, q, which = rows.layout, rows.q, pairs(rows.place, rows.where)
        gram = GramBuilder.of(layout, q, groups)
        above = sparse.vstack([gram.lead, gram.rest]).tocsc()
        kept = _lower(layout.corner - 1)
        crossed = tuple(
            _crossed(columns(layout, q, groups), above, which, slice(first, last))
            for first, last in zip(which.ends[:-1], which.ends[1:], strict=True)
        )
        return cls(layout, gram, rows, which, crossed, above.tocsr(), gram.corner_products[kept], level)

    def build(self, values: np.ndarray, observed: Observed) -> BasisArrays:
        """Grams by form of the given features. ``values`` (N, n), offset subtracted, NaN where missing."""
        arrays, y = self.gram.build_with_response(values, observed)
        rows, cols = np.tril_indices(self.layout.corner)
        own = np.concatenate([arrays.blocks, arrays.border], axis=3)
        lead, corner, counts = [], [], []
        step = max(1, PIECE_FLOATS // max(len(self.pairs.first), 1))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends as the status 'not finite'
            for first in range(0, max(len(y), 1), step):
                some = slice(first, first + step)
                forms, number = self._forms(y[some], observed.weights[some])
                lead.append(np.stack([own[some], *(f.lead for f in forms)], axis=1))
                corner.append(np.stack([arrays.corner[some, rows, cols], *(f.corner for f in forms)], axis=1))
                counts.append(number)
        joined = [np.concatenate(parts) for parts in (lead, corner, counts)]
        found = BasisArrays(joined[0], joined[1], joined[2], *arrays[3:])
        self._turn(found, observed)
        n_lead = 1 + len(self.crossed) if self.level and _unweighted(observed) else found.lead.shape[1]
        return found._replace(lead=np.ascontiguousarray(found.lead[:, :n_lead]))

    def _forms(self, y: np.ndarray, w: np.ndarray) -> tuple[list[_Form], np.ndarray]:
        """Of some features: sums, then differences of neighbours, by gap; numbers of neighbours (N, D)."""
        near = self._near(w > 0)
        y, w = np.ascontiguousarray(y.T), np.ascontiguousarray(w.T)
        sums, differences, counts = [], [], []
        for part, crossed in zip(np.split(near, self.pairs.ends[1:-1]), self.crossed, strict=True):
            own = self._own(crossed.member @ part * w, y)
            both = self._both(crossed, part * np.sqrt(w[crossed.first] * w[crossed.second]), y)
            sums.append(_Form(own.lead + both.lead, own.corner + both.corner))
            differences.append(_Form(own.lead - both.lead, own.corner - both.corner))
            counts.append(part.sum(axis=0))
        return sums + differences, np.stack(counts, axis=1)

    def _near(self, seen: np.ndarray) -> np.ndarray:
        """1 where the two rows of a pair are observed and none between them is. (N, n) -> (P, N)."""
        own, n = self.pairs, seen.shape[1]
        at = np.where(seen[:, own.order], np.arange(n), -1)
        before = np.maximum.accumulate(at, axis=1)[:, :-1]
        feature, t = np.nonzero((at[:, 1:] >= 0) & (before >= own.start[1:]))
        s = before[feature, t]
        out = np.zeros((len(own.first), len(seen)))
        out[own.place[own.base[t + 1] + t - s], feature] = 1.0
        return out

    def _own(self, w: np.ndarray, y: np.ndarray) -> _Form:
        """Products of rows with themselves, weighted by ``w`` (n, N)."""
        wy = w * y
        gram = self.gram
        products = (gram.block_products @ w, gram.border_products @ w, self.corner_products @ w)
        return self._form(*products, self.columns @ wy, _total(wy * y))

    def _both(self, crossed: Crossed, w: np.ndarray, y: np.ndarray) -> _Form:
        """Products of one row of a pair with the other, weighted by ``w`` (P, N)."""
        first, second = y[crossed.first], y[crossed.second]
        meets = crossed.first_columns @ (w * second) + crossed.second_columns @ (w * first)
        products = (crossed.blocks @ w, crossed.border @ w, crossed.corner @ w)
        return self._form(*products, meets, 2 * _total(w * first * second))

    def _form(
        self, blocks: np.ndarray, border: np.ndarray, corner: np.ndarray, with_y: np.ndarray, y_y: np.ndarray
    ) -> _Form:
        layout = self.layout
        levels, k = layout.n_leading, layout.k_leading
        shape = lambda a, width: a.T.reshape(a.shape[1], levels, k, width)  # noqa: E731
        split = levels * k
        lead = [shape(blocks, k), shape(border, layout.corner - 1), shape(with_y[:split], 1)]
        return _Form(np.concatenate(lead, axis=3), np.concatenate([corner, with_y[split:], y_y]).T)

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


def _crossed(
    entries: tuple[RowEntries, RowEntries, RowEntries], above: sparse.csc_matrix, which: Pairs, part: slice
) -> Crossed:
    """Products of the two rows of the pairs ``part``; ``entries``: as `gram.columns` gives them."""
    lead, own, rest = entries
    s, t = which.order[which.first[part]], which.order[which.second[part]]
    both = lambda a, b: (_product(a, s, b, t) + _product(a, t, b, s)).tocsr()  # noqa: E731
    pair = np.arange(len(s))
    ones = np.ones(2 * len(s))
    member = sparse.csr_matrix((ones, (np.r_[s, t], np.r_[pair, pair])), (above.shape[1], len(s)))
    corner = both(rest, rest)[_lower(rest.width)]
    return Crossed(
        both(lead, own), both(lead, rest), corner, s, t, above[:, s].tocsr(), above[:, t].tocsr(), member
    )


def _product(a: RowEntries, s: np.ndarray, b: RowEntries, t: np.ndarray) -> sparse.csr_matrix:
    """All products of an entry of row s of ``a`` with one of row t of ``b``. (width(a) * width(b), P)."""
    take = lambda e, rows: RowEntries(e.values[rows], e.columns[rows], e.width)  # noqa: E731
    return products(take(a, s), take(b, t)).matrix()


def _lower(m: int) -> np.ndarray:
    """Places of the lower triangle, row by row, in a matrix (m, m) written row by row."""
    rows, cols = np.tril_indices(m)
    return rows * m + cols


def _total(a: np.ndarray) -> np.ndarray:
    """Sums over rows (n, N) -> (1, N), in an order that does not depend on N."""
    return sparse.csr_matrix(np.ones((1, len(a)))) @ a


def _unweighted(observed: Observed) -> bool:
    return bool(np.isin(observed.weights, (0.0, 1.0)).all())
