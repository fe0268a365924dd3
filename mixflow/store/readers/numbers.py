"""Text cells to numbers: what is missing, what is a number, and what is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.table import Table

NA = frozenset({"", "NA", "NaN", "nan", "NAN", "N/A", "n/a", "null", "NULL", "#N/A"})
"""Spellings of a missing value."""

MAX_PROBLEMS = 20
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?")
_NOT_PYTHON = re.compile(r"_|[^\x00-\x7f]")
"""What Python's float() takes though no table means it: underscores, digits of other scripts."""


def numbers(
    table: Table, columns: Sequence[str], decimal: str = "auto", na: Iterable[str] = ()
) -> np.ndarray:
    """The cells of ``columns`` as float64, shape (row, column); a missing value is NaN.

    ``decimal``: '.', ',' or 'auto'. Auto takes a comma for a decimal sign only where that is unambiguous:
    some cell cannot have thousands separators ('0,5', '1234,5'), and no cell has a decimal point.
    ``na``: further spellings of a missing value. Raises `MixflowError` naming row, column and value of text,
    infinities and ambiguous numbers (the first 20 of them).
    """
    missing = NA | frozenset(na)
    out = np.empty((len(table.frame), len(columns)))
    failed: list[int] = []
    for j, name in enumerate(columns):
        values = _fast(table.frame[name].tolist(), missing) if decimal != "," else None
        if values is None:
            failed.append(j)
        else:
            out[:, j] = values
    if failed:
        chosen = _decimal_sign(table, columns, failed, decimal, missing)
        _slow(table, columns, failed if chosen == "." else range(len(columns)), chosen, missing, out)
    return out


def _fast(cells: list[str], missing: frozenset[str]) -> np.ndarray | None:
    """The column as numbers, or None where some cell needs a closer look."""
    try:
        values = np.array([np.nan if cell in missing else float(cell) for cell in cells])
    except ValueError:
        return None
    if np.isinf(values).any() or _NOT_PYTHON.search("\t".join(cells)):
        return None
    return values


def parse_number(cell: str, decimal: str) -> float | None:
    """The number that ``cell`` spells with decimal sign ``decimal``, or None; infinities are returned."""
    if decimal == ",":
        cell = cell.replace(".", "?").replace(",", ".")
    if _NOT_PYTHON.search(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _decimal_sign(
    table: Table, columns: Sequence[str], failed: list[int], decimal: str, missing: frozenset[str]
) -> str:
    if decimal != "auto":
        return decimal
    comma = [
        (i, j, cell)
        for j in failed
        for i, cell in enumerate(table.frame[columns[j]].str.strip())
        if "," in cell and cell not in missing and (_COMMA_NUMBER.fullmatch(cell) or _GROUPED.fullmatch(cell))
    ]
    if not comma:
        return "."
    plain = [item for item in comma if _COMMA_NUMBER.fullmatch(item[2])]
    certain = [item for item in plain if not _THOUSANDS.fullmatch(item[2])]
    if len(plain) == len(comma) and certain and not _has_point(table, columns, missing):
        return ","
    raise MixflowError([_comma_problem(table, columns, item, bool(certain)) for item in comma[:MAX_PROBLEMS]])


def _has_point(table: Table, columns: Sequence[str], missing: frozenset[str]) -> bool:
    return any(
        "." in cell and cell not in missing and parse_number(cell, ".") is not None
        for name in columns
        for cell in table.frame[name]
    )


def _comma_problem(table: Table, columns: Sequence[str], item: tuple[int, int, str], mixed: bool) -> Problem:
    i, j, cell = item
    message = (
        "decimal commas and decimal points (or thousands separators) are mixed in one table"
        if mixed
        else "the comma may be a decimal sign or a thousands separator"
    )
    remedy = (
        "Write all numbers with one decimal sign and no thousands separator."
        if mixed
        else "Set data.options.decimal to ',' if it is a decimal sign; remove it if it separates thousands."
    )
    return table.problem(message, i, column=columns[j], value=cell, remedy=remedy)


def _slow(
    table: Table,
    columns: Sequence[str],
    which: Iterable[int],
    decimal: str,
    missing: frozenset[str],
    out: np.ndarray,
) -> None:
    """Cell by cell, to name the culprits."""
    problems: list[Problem] = []
    for j in which:
        for i, raw in enumerate(table.frame[columns[j]].tolist()):
            cell = raw.strip()
            value = np.nan if cell in missing else parse_number(cell, decimal)
            if value is None or np.isinf(value):
                problems.append(_cell_problem(table, i, columns[j], raw, value))
                if len(problems) >= MAX_PROBLEMS:
                    raise MixflowError(problems)
            else:
                out[i, j] = value
    if problems:
        raise MixflowError(problems)


def _cell_problem(table: Table, position: int, column: str, cell: str, value: float | None) -> Problem:
    if value is not None:
        message = "an infinite value" if "inf" in cell.lower() else "a number too large for float64"
        remedy = (
            "Leave the cell empty if the value is missing; a log of zero makes -inf: give unlogged values."
        )
    elif cell.strip().startswith("#"):
        message = "an Excel error in a cell that should hold a number"
        remedy = "Mend the formula in Excel, or empty the cell if the value is missing."
    else:
        message = "text in a cell that should hold a number"
        remedy = (
            "Correct the cell, or empty it if the value is missing; if the text means missing, list it in "
            "data.options.na; if the column describes samples or features, name it as such in data.options."
        )
    return table.problem(message, position, column=column, value=cell, remedy=remedy)


def is_number_like(cells: Iterable[str], na: frozenset[str] = NA) -> tuple[int, int]:
    """How many of ``cells`` are numbers (with either decimal sign), and how many are other text."""
    good = bad = 0
    for raw in cells:
        cell = raw.strip()
        if cell in na:
            continue
        if parse_number(cell, ".") is not None or _COMMA_NUMBER.fullmatch(cell) or _THOUSANDS.fullmatch(cell):
            good += 1
        else:
            bad += 1
    return good, bad
