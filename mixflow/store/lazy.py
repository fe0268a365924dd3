"""Arrays of xarray that are read or made slice by slice (`mixflow.slices`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from mixflow.slices import Sliced, taken


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
    whole = Sliced(source.shape, source.dtype, lambda start, stop: source[start:stop].values)
    found = whole if rows is None else taken(whole, rows)
    assert isinstance(found, Sliced)
    return found


def is_lazy(array: xr.Variable) -> bool:
    """Whether the variable's values are still to be read or made."""
    return not array._in_memory
