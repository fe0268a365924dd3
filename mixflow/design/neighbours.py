"""Cross-products of neighbouring rows, for residuals that are Markov in time: AR(1) and Ornstein-Uhlenbeck.

A feature's neighbours are the rows of a unit that it has next to each other, whatever is missing between
them. Products of every two rows of a unit are computed once, kept sparse, and weighted by which two are
neighbours in a feature: sums over pairs are sparse products, so that bytes do not depend on how many
features there are (see `design.gram`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from mixflow.design.forms import BasisArrays, FormBuilder, Shared, Sums, order
from mixflow.design.gram import RowEntries, beside, columns, products
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed
from mixflow.design.rows import RowBuilder


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
    """Products of the two rows of every pair, both ways round, summed gap by gap: (D * entries, P) each.

    ``products`` and ``columns`` have the entries that `FormBuilder` has for single rows, ``columns`` those of
    the first and of the second row; ``member`` (D * n, P): which rows are in which pair; ``number`` (D, P).
    """

    products: sparse.csr_matrix
    columns: tuple[sparse.csr_matrix, sparse.csr_matrix]
    member: sparse.csr_matrix
    number: sparse.csr_matrix
    rows: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class NeighbourBuilder(FormBuilder):
    """For AR(1) and OU; ``level`` as in `Neighbours`."""

    pairs: Pairs
    crossed: Crossed
    level: bool

    @classmethod
    def of(
        cls, rows: RowBuilder, groups: list[tuple[np.ndarray, np.ndarray]], level: bool
    ) -> NeighbourBuilder:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        which = pairs(rows.place, rows.where)
        crossed = _crossed(rows.layout, columns(rows.layout, rows.q, groups), which)
        return cls(Shared.of(rows, groups), which, crossed, level)

    @property
    def n_summed(self) -> int:
        return len(self.pairs.first)

    def n_lead(self, observed: Observed) -> int:
        """All of them where prior weights make even an intercept vary within a unit."""
        return 1 + len(self.pairs.gaps) * (1 if self.level and not observed.weighted else 2)

    def fill(self, into: BasisArrays, y: np.ndarray, w: np.ndarray) -> None:
        """Sums, then differences of neighbours, by gap; how many neighbours there are."""
        n_gaps, near = len(self.pairs.gaps), self._near(w.T > 0)
        into.counts[:] = (self.crossed.number @ near).T
        within = (self.crossed.member @ near).reshape(n_gaps, *w.shape)
        for d, both in enumerate(self._both(near, y, w)):
            own = self.weighted(within[d] * w, y)
            self.put(into, 1 + d, Sums(*map(np.add, own, both)))
            self.put(into, 1 + n_gaps + d, Sums(*map(np.subtract, own, both)))

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

    def _both(self, near: np.ndarray, y: np.ndarray, w: np.ndarray) -> Iterator[Sums]:
        """One row of a pair with the other, and the other with the one, gap by gap."""
        crossed, (s, t), size = self.crossed, self.crossed.rows, len(self.pairs.gaps)
        c = near * np.sqrt(w[s] * w[t])
        first, second = c * y[s], c * y[t]
        meets = crossed.columns[0] @ second + crossed.columns[1] @ first
        parts = (crossed.products @ c, meets, 2.0 * (crossed.number @ (first * y[t])))
        return map(Sums, *(a.reshape(size, -1, a.shape[1]) for a in parts))


def _crossed(layout: Layout, entries: tuple[RowEntries, RowEntries, RowEntries], which: Pairs) -> Crossed:
    """``entries``: as `gram.columns` gives them."""
    lead, own, rest = entries
    s, t, n, n_gaps = which.order[which.first], which.order[which.second], len(which.order), len(which.gaps)
    gap = np.repeat(np.arange(n_gaps), np.diff(which.ends))
    apart = lambda e: RowEntries(e.values, e.columns + gap[:, None] * e.width, n_gaps * e.width).matrix()  # noqa: E731
    both = lambda a, b: apart(products(_rows(a, s), _rows(b, t))) + apart(products(_rows(a, t), _rows(b, s)))  # noqa: E731
    above = beside([lead, rest], n)
    mark = RowEntries(np.ones((len(s), 2)), np.stack([s, t], axis=1), n)
    return Crossed(
        sparse.vstack([both(lead, own), both(lead, rest), both(rest, rest)]).tocsr()[order(layout, n_gaps)],
        (apart(_rows(above, s)), apart(_rows(above, t))),
        apart(mark),
        apart(RowEntries(np.ones((len(s), 1)), np.zeros((len(s), 1), dtype=np.int64), 1)),
        (s, t),
    )


def _rows(a: RowEntries, rows: np.ndarray) -> RowEntries:
    return RowEntries(a.values[rows], a.columns[rows], a.width)


def _tidy(distance: np.ndarray) -> np.ndarray:
    """Distances to 12 digits of the longest: differences of times that are no whole numbers repeat then."""
    longest = distance.max(initial=0.0)
    return distance if longest == 0 else np.round(distance, 12 - int(np.ceil(np.log10(longest))))
