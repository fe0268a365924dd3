"""Tables with named columns (sample sheet, feature annotation) to and from groups of a store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.store import zarr_io
from mixflow.store.names import decode, encode


def dataset(
    table: pd.DataFrame, dim: str, attrs: Mapping[str, Mapping[str, Any]] | None = None
) -> xr.Dataset:
    """A variable for each column: numbers as float64 (missing NaN), all else as text (missing '').

    ``table`` is indexed by the labels of ``dim``. ``attrs[column]`` go to the variable; a Categorical
    brings its own ``levels`` and ``kind`` where these do not say otherwise.
    """
    given = attrs or {}
    columns = {
        encode(str(name)): xr.Variable(dim, _values(column), {**_levels(column), **given.get(str(name), {})})
        for name, column in table.items()
    }
    labels = np.asarray(table.index.astype(str), dtype=object)
    order = json.dumps([str(name) for name in table.columns])
    return xr.Dataset(columns, coords={dim: (dim, labels)}, attrs={"columns": order})


def frame(tree: xr.DataTree, samples: Any = None) -> pd.DataFrame:
    """The sample sheet of a store: index = sample ids, factors as Categoricals in the order of their levels.

    ``samples`` picks and orders rows (labels). Columns with role attributes only (`role`) come as text.
    """
    table = table_of(zarr_io.group(tree, "data/samples"))
    return table if samples is None else table.loc[list(samples)]


def features(tree: xr.DataTree) -> pd.DataFrame:
    """The feature annotation of a store, index = feature ids, in the order of the store."""
    return table_of(zarr_io.group(tree, "data/features"))


def table_of(group: xr.Dataset) -> pd.DataFrame:
    """The columns of a group as a DataFrame, indexed by its one dim."""
    columns = json.loads(group.attrs["columns"]) if "columns" in group.attrs else map(decode, map(str, group))
    (dim,) = {dim for array in group.values() for dim in array.dims} or set(group.dims)
    index = pd.Index(np.asarray(group[dim].values, dtype=object), name=dim)
    return pd.DataFrame({name: _column(group[encode(name)]) for name in columns}, index=index)


def _values(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype("float64").to_numpy()
    text = column.astype(object)
    return np.asarray(text.where(text.notna(), "").map(str), dtype=object)


def _levels(column: pd.Series) -> dict[str, Any]:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return {}
    kind = "ordered" if column.cat.ordered else "factor"
    return {"kind": kind, "levels": json.dumps([str(level) for level in column.cat.categories])}


def _column(array: xr.DataArray) -> Any:
    values = array.values
    if "levels" not in array.attrs:
        return values
    levels = json.loads(array.attrs["levels"])
    codes = pd.Index(levels).get_indexer(pd.Index(values.astype(str)))
    return pd.Categorical.from_codes(codes, categories=levels, ordered=array.attrs.get("kind") == "ordered")
