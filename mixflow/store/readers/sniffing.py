"""A look at the head of a file, and formats that are recognised in order to be refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers.opening import HDF5_MAGIC, is_workbook, read_bytes, refuse
from mixflow.store.readers.raw import Head
from mixflow.store.readers.table import read_table

HEAD_BYTES = 1 << 20
HEAD_ROWS = 200


def look(path: Path) -> Head:
    """The first rows of ``path``; BIOM files are recognised by their first bytes, without parsing a table."""
    start = b"" if path.is_file() and is_workbook(path) else read_bytes(path, HEAD_BYTES)
    if start.startswith(HDF5_MAGIC) or start.lstrip()[:1] == b"{":
        return Head(path, (), pd.DataFrame(), False, start)
    try:
        table = read_table(path, limit=HEAD_BYTES)
    except MixflowError:  # the cut may fall inside a quoted cell, or before the end of a very long header
        table = read_table(path)
    columns = tuple(str(name) for name in table.frame.columns)
    return Head(path, columns, table.frame.head(HEAD_ROWS), table.header_short, start)


LONG_REPORTS: dict[str, tuple[str, ...]] = {
    "DIA-NN's long report": ("Run", "Precursor.Id", "Precursor.Normalised"),
    "Spectronaut's long report": ("R.FileName", "PG.ProteinGroups"),
}


def refuse_unsupported(head: Head) -> None:
    """Refuse what mixflow knows and cannot use yet."""
    for what, columns in LONG_REPORTS.items():
        if head.has(*columns):
            raise refuse(
                head.path,
                f"this is {what}, whose values are chosen by the user",
                "Give its matrix, or set data.format to long and data.options.sample, feature and value.",
                column=columns[-1],
            )
