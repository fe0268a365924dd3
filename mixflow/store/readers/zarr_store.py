"""A matrix in a Zarr store, as xarray writes it: for tables too large to be held at once.

One variable with the dims (feature, sample), labels of both, and whatever stands along one of them: text along
`feature` annotates, columns along `sample` describe the samples. The matrix is never read whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixflow import slices
from mixflow.store import manifest
from mixflow.store.readers.common import with_names
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import SCALES, Head, RawTable, Reader

if TYPE_CHECKING:
    import xarray as xr

DIMS = ("feature", "sample")
OPTIONS = {
    "group": "group of the store that holds the matrix (default: the root)",
    "variable": "the matrix, where more than one variable has the dims (feature, sample)",
}


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """The table of the store ``path``; values stay on disk until they are used (`mixflow.slices`)."""
    dataset = _opened(path, options.get("group"))
    matrix = _matrix(path, dataset, options.get("variable"))
    ids = {dim: _ids(path, dataset, dim) for dim in DIMS}
    scale = str(dataset.attrs.get("scale", ""))
    return RawTable(
        values=_floats(matrix),  # type: ignore[arg-type]  # stands where an array would
        feature_ids=ids["feature"],
        sample_ids=ids["sample"],
        features=with_names(_beside(dataset, "feature", ids["feature"])),
        samples=_beside(dataset, "sample", ids["sample"]).astype(str),
        scale=scale if scale in SCALES else None,
        format="zarr",
    )


def _opened(path: Path, group: str | None) -> xr.Dataset:
    import xarray as xr

    try:
        return xr.open_zarr(str(path), group=group, chunks=None, consolidated=False)
    except Exception as error:  # Zarr raises what its backends raise: absent groups, bad metadata, lost files
        remedy = (
            "give the folder that xarray's to_zarr wrote, and data.options.group where it is not the root"
        )
        raise refuse(path, f"this is no Zarr store that can be read: {error}", remedy) from error


def _matrix(path: Path, dataset: xr.Dataset, wanted: str | None) -> xr.DataArray:
    found = [str(name) for name, array in dataset.data_vars.items() if set(array.dims) == set(DIMS)]
    if wanted is None and len(found) == 1:
        wanted = found[0]
    if wanted not in found:
        remedy = "set data.options.variable (and group), or name the dims of the matrix feature and sample"
        told = f"variables with these dims: {', '.join(found) or 'none'}"
        raise refuse(
            path, f"which variable is the matrix of feature and sample? {told}", remedy, value=wanted
        )
    matrix = dataset[wanted]
    if matrix.dims != DIMS or matrix.dtype.kind not in "fiu":
        remedy = "write it as numbers with the dims (feature, sample), in chunks of features"
        raise refuse(
            path, "the matrix cannot be read by features", remedy, column=wanted, value=str(matrix.dtype)
        )
    return matrix


def _floats(matrix: xr.DataArray) -> slices.Sliced:
    from mixflow.store import lazy

    source = lazy.of(matrix)
    return slices.Sliced(
        source.shape, "float64", lambda a, b: source.read(a, b).astype("float64", copy=False)
    )


def _ids(path: Path, dataset: xr.Dataset, dim: str) -> tuple[str, ...]:
    if dim not in dataset.coords:
        raise refuse(
            path, f"the dim {dim!r} has no labels", f"write a coordinate {dim!r} with the ids", column=dim
        )
    ids = pd.Index(dataset[dim].values.astype(object)).astype(str)
    if not ids.is_unique:
        twice = list(ids[ids.duplicated()].unique()[:5])
        raise refuse(path, f"labels of {dim!r} stand twice", "keep one for each", column=dim, value=twice)
    return tuple(ids)


def _beside(dataset: xr.Dataset, dim: str, ids: tuple[str, ...]) -> pd.DataFrame:
    columns = {
        str(name): np.asarray(array.values).astype(object)
        for name, array in dataset.variables.items()
        if array.dims == (dim,) and name != dim
    }
    return pd.DataFrame(columns, index=pd.Index(list(ids), dtype=object))


def recognise(head: Head) -> bool:
    """A folder with the metadata of a Zarr group; files never are one."""
    return manifest.is_store(head.path)


READER = Reader(
    "zarr",
    "a Zarr store with a matrix (feature, sample), read by slices of features",
    OPTIONS,
    recognise,
    read,
)
