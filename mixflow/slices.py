"""Arrays that are read or made slice by slice, so that no step holds all features at once.

A `Sliced` stands where an array would: in a `RawTable`, or as a variable of a dataset
(`mixflow.store.lazy.variable`), which `mixflow.store.zarr_io.write` then writes chunk by chunk. `blocks` says
how many features are taken at a time: from the number of samples alone, never from the cores or the memory at
hand, so that no result depends on the machine; a study of usual size is one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048
"""Features of a block are a multiple of this: of the chunks of a store, and of all blocks within a step."""
BLOCK_BYTES = 48 << 20
"""Aim for the size of a block of values: 12,288 features of 500 samples."""


class Sliced:
    """An array (feature, ...) of which ``read(start, stop)`` gives the features from start to stop."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, read: Callable[[int, int], np.ndarray]):
        self.shape, self.dtype, self.read = tuple(shape), np.dtype(dtype), read

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it, for those who must have it whole."""
        whole = self.read(0, self.shape[0])
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        """As of an array; features before the first and after the last that is asked for are not read."""
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(rows, slice):
            if rows.step not in (None, 1):
                return np.asarray(self)[key]
            start, stop, _ = rows.indices(self.shape[0])
            return self.read(start, max(start, stop))[(slice(None), *rest)]
        if isinstance(rows, (int, np.integer)):
            (at,) = self._numbers(np.array([rows])).tolist()
            return self.read(at, at + 1)[(0, *rest)]
        numbers = self._numbers(np.asarray(rows))
        if not len(numbers):
            return self.read(0, 0)[(slice(None), *rest)]
        first = int(numbers.min())
        return self.read(first, int(numbers.max()) + 1)[numbers - first][(slice(None), *rest)]

    def _numbers(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of features from 0 upwards; IndexError where there is no such feature."""
        n = self.shape[0]
        if rows.dtype == bool:
            if len(rows) != n:
                raise IndexError(f"{len(rows)} flags for {n} features")
            return np.flatnonzero(rows)
        if ((rows < -n) | (rows >= n)).any():
            raise IndexError(f"a feature from {-n} to {n - 1} is asked for, not {rows.min()} to {rows.max()}")
        return np.where(rows < 0, rows + n, rows).astype(int)

    def columns(self, positions: np.ndarray) -> Sliced:
        """The same for some of the columns."""
        shape = (self.shape[0], len(positions), *self.shape[2:])
        return Sliced(shape, self.dtype, lambda start, stop: self.read(start, stop)[:, positions])


Matrix = NDArray[np.float64] | Sliced
"""Values (feature, sample), held or read by slices."""


def taken(values: np.ndarray | Sliced, rows: np.ndarray) -> np.ndarray | Sliced:
    """The features ``rows`` (numbers, ascending); of a `Sliced` without reading them yet."""
    if not isinstance(values, Sliced):
        return values[rows]

    def read(start: int, stop: int) -> np.ndarray:
        own = rows[start:stop]
        if not len(own):
            return values.read(0, 0)
        first = int(own[0])
        return values.read(first, int(own[-1]) + 1)[own - first]

    return Sliced((len(rows), *values.shape[1:]), values.dtype, read)


def block_of(width: int) -> int:
    """How many features of ``width`` numbers are taken at a time."""
    return BLOCK * max(1, BLOCK_BYTES // (8 * BLOCK * max(1, width)))


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover ``n`` features of ``width`` numbers each; one empty slice where there are none."""
    size = block_of(width)
    return (slice(start, min(start + size, n)) for start in range(0, max(n, 1), size))
