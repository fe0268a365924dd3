"""The full tables beside the page: TSV, and one workbook in which ids stay text."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter

from mixflow.report.section import Section

LOGGER = logging.getLogger(__name__)
MOST_ROWS = 1_048_576  # of a sheet


def write_tsv(sections: list[Section], folder: Path) -> list[Path]:
    """Every table of every section; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for section in sections:
        for name, frame in section.tables.items():
            path = folder / f"{file_name(name)}.tsv"
            frame.to_csv(path, sep="\t", index=False, lineterminator="\n", na_rep="NA")
            written.append(path)
    return written


def file_name(name: str) -> str:
    """The name of a table as a file's name, everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def write_workbook(sections: list[Section], path: Path) -> Path:
    """A sheet a table, and a first one that lists them. Text stays text: no number, date or formula."""
    options = {
        "constant_memory": True,
        "strings_to_numbers": False,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": False,
    }
    tables = {name: frame for section in sections for name, frame in section.tables.items()}
    names = sheet_names(list(tables))
    cut = {name: len(frame) for name, frame in tables.items() if len(frame) >= MOST_ROWS}
    for name, rows in cut.items():
        LOGGER.warning("%s: of %d rows of %s the first %d are in it", path.name, rows, name, MOST_ROWS - 1)
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": datetime(2000, 1, 1)})  # the same store gives the same bytes
        text, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True, "num_format": "@"})
        contents = pd.DataFrame(
            {"sheet": list(names.values()), "table": list(names), "rows": [len(t) for t in tables.values()]}
        )
        if cut:
            contents["note"] = [_cut(name) if name in cut else "" for name in tables]
        for name, frame in {"contents": contents, **{names[n]: t for n, t in tables.items()}}.items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, 1, 20)
            for column, title in enumerate(frame.columns):
                sheet.write_string(0, column, str(title), bold)
            for at, row in enumerate(frame.head(MOST_ROWS - 1).itertuples(index=False, name=None), start=1):
                _write_row(sheet, at, row, text)
    return path


def _cut(name: str) -> str:
    file = f"tables/{file_name(name)}.tsv"
    return f"A sheet holds {MOST_ROWS} rows: the first of the table are here, all are in {file}"


def _write_row(sheet: Any, at: int, row: tuple, text: Any) -> None:
    for column, value in enumerate(row):
        if isinstance(value, bool) or value is None or value != value:
            sheet.write_string(at, column, "NA" if value is None or value != value else str(value), text)
        elif isinstance(value, str):
            sheet.write_string(at, column, value[:32767], text)
        elif value in (float("inf"), float("-inf")):
            sheet.write_string(at, column, str(value), text)
        else:
            sheet.write_number(at, column, value)


def sheet_names(names: list[str]) -> dict[str, str]:
    """Names of at most 31 characters that Excel takes and tells apart (it ignores case)."""
    found: dict[str, str] = {}
    taken = {"contents", "history"}
    for name in names:
        plain = re.sub(r"[\[\]:*?/\\']", "-", name)
        short, n = plain[:31], 2
        while short.lower() in taken:
            short, n = f"{plain[: 30 - len(str(n))]}~{n}", n + 1
        taken.add(short.lower())
        found[name] = short
    return found
