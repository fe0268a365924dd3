"""Arrays of xarray that are read or made slice by slice (`mixflow.slices`)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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


def variable(dims: tuple[Hashable, ...], source: Sliced, attrs: dict[str, Any] | None = None) -> xr.Variable:
    """A variable of a dataset whose values are read when they are used or written."""
    return xr.Variable(dims, indexing.LazilyIndexedArray(_Backend(source)), attrs)


def of(array: xr.DataArray | xr.Variable, rows: np.ndarray | None = None) -> Sliced:
    """An opened, unread array of a store, of the features ``rows`` (numbers, ascending) or of all."""
    source = array.variable if isinstance(array, xr.DataArray) else array
    whole = Sliced(source.shape, source.dtype, lambda start, stop: source[start:stop].values)
    found = whole if rows is None else taken(whole, rows)
    assert isinstance(found, Sliced)
    return found


def concatenated(parts: Sequence[xr.Dataset], dim: str = "feature") -> xr.Dataset:
    """Datasets one after the other along their first dim, arrays still to be read; the rest is the first's.

    Raises ValueError where they differ in anything but that dim.
    """
    first = parts[0]
    for part in parts[1:]:
        if set(part.variables) != set(first.variables) or part.attrs != first.attrs:
            raise ValueError("parts with different variables or attributes cannot be joined")
    found = {}
    for name, array in first.variables.items():
        own = [part.variables[name] for part in parts]
        if dim not in array.dims:
            if not all(array.equals(other) for other in own):
                raise ValueError(f"parts that differ in {name} cannot be joined")
            found[name] = array
        elif any(other.shape[1:] != array.shape[1:] for other in own):
            raise ValueError(f"parts that differ in the shape of {name} cannot be joined")
        elif name == dim or not any(is_lazy(other) for other in own):
            found[name] = xr.Variable(
                array.dims, np.concatenate([other.values for other in own]), array.attrs
            )
        else:
            found[name] = variable(array.dims, _one_after_another(own), array.attrs)
    coords = {name: found.pop(name) for name in first.coords}
    return xr.Dataset(found, coords, first.attrs)


def _one_after_another(parts: Sequence[xr.Variable]) -> Sliced:
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).tolist()

    def read(start: int, stop: int) -> np.ndarray:
        own = [
            part[max(start - at, 0) : stop - at].values
            for at, part in zip(starts, parts, strict=False)
            if start < at + len(part) and at < stop
        ]
        return np.concatenate(own) if own else parts[0][0:0].values

    return Sliced((starts[-1], *parts[0].shape[1:]), parts[0].dtype, read)


def is_lazy(array: xr.Variable) -> bool:
    """Whether the variable's values are still to be read or made."""
    return not array._in_memory
