"""Worksheets of an .xlsx workbook that holds the sample sheet: which there are, and which is meant."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mixflow.errors import MixflowError
from mixflow.study import guess

if TYPE_CHECKING:
    import pandas as pd


def names(path: Path) -> tuple[str, ...]:
    """The worksheets of a workbook that can be read, in its order; none for any other file."""
    from mixflow.store.readers.opening import is_workbook

    if not is_workbook(path):
        return ()
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    found = tuple(book.sheetnames)
    book.close()
    return found


def told(path: Path, chosen: str | None) -> str:
    """Which worksheet was read and which were not, for remedies; '' where there is no choice."""
    known = names(path)
    if len(known) < 2:
        return ""
    read = chosen or known[0]
    others = ", ".join(f"'{name}'" for name in known if name != read)
    return f"; worksheet '{read}' was read, the others are {others}: choose by samples.sheet"


def tables(path: Path, beside: Path, data_sheet: str | int | None = None) -> dict[str | None, pd.DataFrame]:
    """The tables that can be the sample sheet, by worksheet (None: no workbook, or its only worksheet).

    The worksheet of the data (``data_sheet``, else the first) is none of them where ``beside``, the file of
    the data, is the same workbook. Empty worksheets are passed over; raises where none can be read.
    """
    from mixflow.store.readers import read_table

    known = names(path)
    if len(known) < 2:
        return {None: read_table(path).frame}
    if path.resolve() == beside.resolve():
        own = data_sheet or known[0]
        own = known[own - 1] if isinstance(own, int) and own <= len(known) else own
        known = tuple(name for name in known if name != own)
    found: dict[str | None, pd.DataFrame] = {}
    failed: list[MixflowError] = []
    for name in known:
        try:
            found[name] = read_table(path, sheet=name).frame
        except MixflowError as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return found


def best(candidates: dict[str | None, pd.DataFrame], ids: Collection[str]) -> str | None:
    """The worksheet with a column that shares most sample ids with the data; the first if none does."""
    return max(candidates, key=lambda name: guess.shared_ids(candidates[name], ids)[1])
