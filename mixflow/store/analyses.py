"""The table of an analysis to and from the group ``analyses/<model>/<name>``; the one dim is ``row``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.store.names import decode, encode

DIM = "row"


def to_dataset(table: pd.DataFrame, meanings: Mapping[str, str], **attrs: Any) -> xr.Dataset:
    """A variable for each column: numbers as they are (missing NaN), yes/no as bool, all else as text.

    ``meanings`` of the columns (with unit) go to the attr ``columns`` (JSON, in the order of the table) and
    to the variables; ``attrs`` to the group. Text has no missing value: it becomes ''.
    """
    variables = {
        _encode(str(name)): xr.Variable(DIM, _values(table[name]), {"meaning": meanings.get(str(name), "")})
        for name in table.columns
    }
    columns = {str(name): meanings.get(str(name), "") for name in table.columns}
    return xr.Dataset(variables, attrs={**attrs, "columns": json.dumps(columns)})


def from_dataset(group: xr.Dataset) -> pd.DataFrame:
    """The table as the analysis gave it (a Categorical comes back as text)."""
    return pd.DataFrame({name: group[_encode(name)].values for name in json.loads(group.attrs["columns"])})


def tables(tree: xr.DataTree) -> dict[str, dict[str, xr.Dataset]]:
    """Groups of all analyses: model -> name -> dataset, in the order of the config."""
    models = tree.children["analyses"].children if "analyses" in tree.children else {}
    return {
        decode(model): {name: node.to_dataset() for name, node in models[model].children.items()}
        for model in models
    }


def _encode(name: str) -> str:
    safe = encode(name)
    return f"%{ord(safe[0]):02X}{safe[1:]}" if safe == DIM else safe


def _values(column: pd.Series) -> np.ndarray:
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        column = column.astype(object)
    elif pd.api.types.is_bool_dtype(kind) and not column.isna().any():
        return column.to_numpy(dtype=bool)
    elif pd.api.types.is_integer_dtype(kind) and not column.isna().any():
        return column.to_numpy(dtype="int64")
    elif pd.api.types.is_numeric_dtype(kind):
        return column.to_numpy(dtype="float64", na_value=np.nan)
    text = column.astype(object)
    return np.asarray(text.where(text.notna(), "").map(str), dtype=object)
