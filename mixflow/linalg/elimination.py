"""Sparse symmetric positive definite systems of crossed and nested groups, on the host.

Groups are eliminated one after the other, the one with most levels first. Its block is diagonal (scalar
effects), so what it leaves on the others is a sparse product; where nested factors leave the next block
diagonal too, that one is eliminated in the same way (an arrow within the arrow), and only what is left when
a block has filled in is ever formed densely. Davis (2006), Direct Methods for Sparse Linear Systems; the
entries of the inverse on the pattern of the factor are Takahashi's (Erisman and Tinney 1975).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import linalg, sparse

PAIRS = 2_000_000
"""Pairs of entries of a row that are looked at together: bounds memory."""

SMALL = 64
"""A group with fewer levels is not worth an elimination of its own."""


class Factored(Protocol):
    """A factored symmetric positive definite matrix."""

    logdet: float

    def solve(self, right: np.ndarray) -> np.ndarray:
        """A^-1 right. (n, r) -> (n, r)."""
        ...

    def lookup(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Entries of A^-1 at places where A, or what elimination fills in, is not zero."""
        ...

    @property
    def diagonal(self) -> np.ndarray:
        """Diagonal of A^-1. (n,)."""
        ...


class Dense:
    """What is left at the end, factored by LAPACK."""

    def __init__(self, matrix: np.ndarray) -> None:
        self._lower = linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        self.logdet = float(2 * np.log(np.diagonal(self._lower)).sum())

    def solve(self, right: np.ndarray) -> np.ndarray:
        """A^-1 right."""
        return linalg.cho_solve((self._lower, True), right, check_finite=False)

    @cached_property
    def _inverse(self) -> np.ndarray:
        inverse, info = linalg.lapack.dpotri(self._lower, lower=1)
        assert info == 0
        return np.tril(inverse) + np.tril(inverse, -1).T

    def lookup(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Entries of A^-1."""
        return self._inverse[rows, columns]

    @property
    def diagonal(self) -> np.ndarray:
        """Diagonal of A^-1."""
        return np.diagonal(self._inverse)


class Eliminated:
    """One group of scalar effects eliminated; the rest factored in its turn."""

    def __init__(self, matrix: sparse.csr_matrix, sizes: Sequence[int]) -> None:
        self._n = n = sizes[0]
        self._pivots = matrix.diagonal()[:n]
        if (self._pivots <= 0).any():
            raise np.linalg.LinAlgError("not positive definite")
        border = sparse.csr_matrix(matrix[:n, n:])
        self._scaled = sparse.csr_matrix(sparse.diags_array(1 / self._pivots) @ border)
        self._scaled.sort_indices()
        self._rest = factor(sparse.csr_matrix(matrix[n:, n:] - border.T @ self._scaled), sizes[1:])
        self.logdet = float(np.log(self._pivots).sum()) + self._rest.logdet

    def solve(self, right: np.ndarray) -> np.ndarray:
        """A^-1 right."""
        first, rest = right[: self._n], right[self._n :]
        below = self._rest.solve(rest - self._scaled.T @ first)
        return np.concatenate([first / self._pivots[:, None] - self._scaled @ below, below])

    @cached_property
    def _border_inverse(self) -> np.ndarray:
        """Entries of the inverse on the pattern of the border, in its order: -W S^-1."""
        found = np.zeros(self._scaled.nnz)
        for own, left, right in _pairs(self._scaled):
            w, columns = self._scaled.data, self._scaled.indices
            entries = w[left] * self._rest.lookup(columns[left], columns[right])
            found[own] -= np.bincount(right - own.start, entries, own.stop - own.start)
        return found

    @cached_property
    def _own_diagonal(self) -> np.ndarray:
        rows = np.repeat(np.arange(self._n), np.diff(self._scaled.indptr))
        through = np.bincount(rows, self._scaled.data * self._border_inverse, self._n)
        return 1 / self._pivots - through

    @property
    def diagonal(self) -> np.ndarray:
        """Diagonal of A^-1."""
        return np.concatenate([self._own_diagonal, self._rest.diagonal])

    @cached_property
    def _keys(self) -> np.ndarray:
        rows = np.repeat(np.arange(self._n), np.diff(self._scaled.indptr))
        return rows * self._scaled.shape[1] + self._scaled.indices

    def lookup(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Entries of A^-1 on the pattern."""
        n, low, high = self._n, np.minimum(rows, columns), np.maximum(rows, columns)
        out = np.zeros(len(rows))
        both, none = high < n, low >= n
        out[both] = np.where(low[both] == high[both], self._own_diagonal[low[both]], 0.0)
        out[none] = self._rest.lookup(rows[none] - n, columns[none] - n)
        mixed = ~both & ~none
        place = np.searchsorted(self._keys, low[mixed] * self._scaled.shape[1] + high[mixed] - n)
        out[mixed] = self._border_inverse[place]
        return out


def factor(matrix: sparse.csr_matrix, sizes: Sequence[int]) -> Factored:
    """Factor a matrix whose rows are groups of ``sizes`` effects, most levels first."""
    if len(sizes) > 1 and sizes[0] > SMALL and _is_diagonal(matrix, sizes[0]):
        return Eliminated(matrix, sizes)
    return Dense(matrix.toarray(order="F"))


def _is_diagonal(matrix: sparse.csr_matrix, n: int) -> bool:
    block = sparse.csr_matrix(matrix[:n, :n])
    block.eliminate_zeros()
    return block.nnz <= n


def _pairs(matrix: sparse.csr_matrix) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """All pairs (left, right) of entries of one row, as numbers into ``data``, some rows at a time."""
    counts = np.diff(matrix.indptr).astype(np.int64)
    total = np.cumsum(counts**2)
    first = 0
    while first < len(counts):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + PAIRS)))
        own = counts[first:last]
        entry = np.arange(matrix.indptr[first], matrix.indptr[last])
        repeat = np.repeat(own, own)  # each entry meets all entries of its row
        right = np.repeat(entry, repeat)
        start = np.repeat(np.repeat(matrix.indptr[first:last], own), repeat)
        offset = np.arange(len(right)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        yield slice(int(matrix.indptr[first]), int(matrix.indptr[last])), start + offset, right
        first = last
