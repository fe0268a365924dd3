"""PyRadiomics tables: one row an image and mask, one column a feature; ``diagnostics_*`` stay text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mixflow.store.readers.common import (
    TABLE_OPTIONS,
    as_numbers,
    build,
    by_id,
    known_columns,
    open_table,
    shown,
)
from mixflow.store.readers.ids import row_ids
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table

OPTIONS = {
    **TABLE_OPTIONS,
    "id": "column(s) with the sample id, joined by '|' (default: the fewest first columns that are unique)",
}
FEATURE = re.compile(
    r"^(?P<filter>.+?)_(?P<class>shape2D|shape|firstorder|glcm|glrlm|glszm|gldm|ngtdm)_(?P<name>\w+)$"
)


def recognise(head: Head) -> bool:
    """At least three columns called as PyRadiomics calls features, 'original' or 'diagnostics' among them."""
    features = [name for name in head.columns if FEATURE.match(name)]
    own = any(name.startswith(("original_", "diagnostics_")) for name in head.columns)
    return own and len(features) >= 3


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a PyRadiomics table; scale 'free' (features are of many units)."""
    table = open_table(path, options)
    names = [str(name) for name in table.frame.columns]
    columns = [name for name in names if FEATURE.match(name)]
    if not columns:
        raise refuse(path, "no column is called as PyRadiomics calls features", "Read it as `format: wide`.")
    beside = [name for name in names if name not in set(columns)]
    id_columns = _id_columns(table, beside, options)
    ids = row_ids(table, id_columns, "sample")
    notes = []
    if len(id_columns) > 1:
        notes.append(f"{path.name}: sample ids are {' | '.join(id_columns)} (first: {ids[0]!r}).")
    samples = by_id(table.frame[beside], ids)
    return build(
        table,
        as_numbers(table, columns, options).T,
        _annotation(columns),
        samples,
        "pyradiomics",
        "free",
        notes,
    )


def _id_columns(table: Table, beside: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    if options.get("id"):
        return known_columns(table, options["id"], "id")
    candidates = [name for name in beside if not name.startswith("diagnostics_")]
    single = next((name for name in candidates if table.frame[name].is_unique), None)
    if single is not None:
        return [single]
    for count in range(2, len(candidates) + 1):
        if not table.frame.duplicated(list(candidates[:count])).any():
            return list(candidates[:count])
    raise refuse(
        table.path,
        f"no column, nor all together, is unique to each row ({shown(list(candidates)) or 'none found'})",
        "Add a column with a unique id, and name it in data.options.id.",
    )


def _annotation(columns: Sequence[str]) -> pd.DataFrame:
    """Filter, class and short name of each feature; the filter is shown unless it is 'original'."""
    rows = []
    for column in columns:
        match = FEATURE.match(column)
        assert match is not None
        filter, kind, name = match["filter"], match["class"], match["name"]
        label = f"{kind}_{name}" if filter == "original" else column
        rows.append({"name": label, "filter": filter, "class": kind})
    return by_id(pd.DataFrame(rows), list(columns))


READER = Reader("pyradiomics", "PyRadiomics CSV: one row an image and mask", OPTIONS, recognise, read)
