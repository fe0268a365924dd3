"""Arrays that are read or made slice by slice, so that no step holds all features at once.

A `Sliced` stands where an array would: in a `RawTable`, or as a variable of a dataset (`variable`), which
`mixflow.store.zarr_io.write` then writes chunk by chunk. `blocks` says how many features are taken at a time:
from the number of samples alone, never from the cores or the memory at hand, so that no result depends on the
machine; a study of usual size is one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

BLOCK = 512
"""Features of a block are a multiple of this: the block in which features are fitted."""
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
        """As of an array; a slice of features without a step reads no others."""
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(self.shape[0])
            return self.read(start, max(start, stop))[(slice(None), *rest)]
        return np.asarray(self)[key]

    def columns(self, positions: np.ndarray) -> Sliced:
        """The same for some of the columns."""
        shape = (self.shape[0], len(positions), *self.shape[2:])
        return Sliced(shape, self.dtype, lambda start, stop: self.read(start, stop)[:, positions])


class _Backend(BackendArray):
    """A `Sliced` as xarray reads arrays of files."""

    def __init__(self, source: Sliced):
        self.source, self.shape, self.dtype = source, source.shape, source.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self.source.__getitem__)


def variable(dims: tuple[str, ...], source: Sliced, attrs: dict[str, Any] | None = None) -> xr.Variable:
    """A variable of a dataset whose values are read when they are used or written."""
    return xr.Variable(dims, indexing.LazilyIndexedArray(_Backend(source)), attrs)


def of(array: xr.DataArray | xr.Variable, rows: np.ndarray | None = None) -> Sliced:
    """An opened, unread array of a store, of the features ``rows`` (numbers, ascending) or of all."""
    source = array.variable if isinstance(array, xr.DataArray) else array
    if rows is None:
        return Sliced(source.shape, source.dtype, lambda start, stop: source[start:stop].values)

    def read(start: int, stop: int) -> np.ndarray:
        own = rows[start:stop]
        if not len(own):
            return source[0:0].values
        first = int(own[0])
        return source[first : int(own[-1]) + 1].values[own - first]

    return Sliced((len(rows), *source.shape[1:]), source.dtype, read)


def is_lazy(array: xr.Variable) -> bool:
    """Whether the variable's values are still to be read or made."""
    return not array._in_memory


def block_of(width: int) -> int:
    """How many features of ``width`` numbers are taken at a time."""
    return BLOCK * max(1, BLOCK_BYTES // (8 * BLOCK * max(1, width)))


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover ``n`` features of ``width`` numbers each; one empty slice where there are none."""
    size = block_of(width)
    return (slice(start, min(start + size, n)) for start in range(0, max(n, 1), size))
