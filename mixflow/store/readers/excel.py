"""Sheets of .xlsx workbooks as text cells (openpyxl)."""

from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.opening import refuse


def read_sheet(path: Path, sheet: str | int | None = None) -> tuple[list[list[str]], list[str]]:
    """Rows of a sheet (the first by default; by name or 1-based number) as text, and notes.

    Values are what Excel last computed and stored; a formula without a stored value is refused.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise refuse(
            path, f"the workbook cannot be read: {error}", "Open and save it again in Excel."
        ) from error
    name = _sheet_name(path, book.sheetnames, sheet)
    rows = [list(row) for row in book[name].iter_rows(values_only=True)]
    book.close()
    if _has_formulas(path):
        _refuse_uncomputed(path, name, rows)
    notes = []
    if len(book.sheetnames) > 1 and sheet is None:
        others = ", ".join(repr(other) for other in book.sheetnames if other != name)
        notes.append(f"{path.name}: sheet {name!r} was read; the others ({others}) were not.")
    return _trimmed([[as_text(value) for value in row] for row in rows]), notes


def _sheet_name(path: Path, names: list[str], sheet: str | int | None) -> str:
    if sheet is None:
        return names[0]
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return names[sheet - 1]
    if sheet in names:
        return str(sheet)
    raise refuse(path, "the workbook has no such sheet", f"Known sheets: {', '.join(names)}.", value=sheet)


def as_text(value: Any) -> str:
    """A cell's value as the text a reader of numbers and of names expects."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)


def _trimmed(rows: list[list[str]]) -> list[list[str]]:
    """Without the empty rows and columns that Excel keeps at the end of a sheet."""
    while rows and not any(rows[-1]):
        rows.pop()
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell), default=0)
    return [(row + [""] * width)[:width] for row in rows]


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        return any(b"<f>" in content or b"<f " in content for content in map(archive.read, sheets))


def _refuse_uncomputed(path: Path, name: str, values: list[list[Any]]) -> None:
    """A formula whose value was never stored would read as missing: refuse it with its place."""
    import openpyxl
    from openpyxl.utils import get_column_letter

    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    problems = [
        Problem(
            "a formula without a stored value",
            file=str(path),
            row=cell.row,
            column=get_column_letter(j + 1),
            value=str(cell.value),
            remedy="Open the workbook in Excel and save it, or paste the values in place of formulas.",
        )
        for i, row in enumerate(book[name].iter_rows())
        for j, cell in enumerate(row)
        if cell.data_type == "f" and i < len(values) and j < len(values[i]) and values[i][j] is None
    ]
    book.close()
    if problems:
        raise MixflowError(problems[:20])
