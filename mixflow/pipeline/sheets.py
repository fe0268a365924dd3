"""The sample sheet to and from a store, so that later steps need no raw file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.store import frames, zarr_io
from mixflow.store.names import encode
from mixflow.study.sheet import Sheet, SheetColumn

ROLE = "role"


def to_dataset(sheet: Sheet, ids: tuple[str, ...]) -> xr.Dataset:
    """The group ``data/samples`` for the samples ``ids``, in their order, with the column `role`."""
    table = sheet.frame.loc[list(ids)]
    attrs = {name: _attrs(column) for name, column in sheet.columns.items()}
    table = table.assign(**{ROLE: sheet.role.loc[list(ids)].astype(str)})
    attrs.pop(ROLE, None)
    return frames.dataset(table, "sample", attrs)


def from_tree(tree: xr.DataTree) -> Sheet:
    """The Sheet as it was read, for the samples of the store."""
    node = zarr_io.group(tree, "data/samples")
    table = frames.frame(tree)
    role = table[ROLE].astype(object)
    columns = {name: _column(name, node[encode(name)].attrs) for name in table.columns if name != ROLE}
    rows = pd.Series(np.nan, index=table.index)
    return Sheet(table.drop(columns=ROLE), role, columns, rows, None, ())


def _attrs(column: SheetColumn) -> dict[str, Any]:
    attrs = {"kind": column.kind, "label": column.label, "unit": column.unit or ""}
    if column.levels:
        attrs |= {
            "levels": json.dumps(list(column.levels)),
            "reference": column.reference or "",
            "raw": json.dumps(column.raw),
        }
    return attrs


def _column(name: str, attrs: dict[str, Any]) -> SheetColumn:
    levels = tuple(json.loads(attrs.get("levels", "[]")))
    raw = json.loads(attrs.get("raw", "{}"))
    return SheetColumn(name, attrs["kind"], levels, raw, attrs["unit"] or None, attrs["label"])
