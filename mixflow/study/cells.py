"""One column of a sample sheet: text cells to numbers or levels, and what is wrong with them by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mixflow.errors import Problem
from mixflow.study.config import Column
from mixflow.study.rules import near

MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "#N/A"})
"""Cells that mean "not known" (a declared level of that name is a level all the same)."""
SHOWN = 5
"""Problems told one by one for a column; of the rest only the number."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_INTEGER = re.compile(r"[-+]?\d+(\.0*)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_EXCEL_ERROR = re.compile(r"#(REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|N/A)")


@dataclass(frozen=True)
class Cells:
    """A column as text. ``fitted``: rows whose role is sample; ``rows``: lines of the file, None: unknown."""

    name: str
    text: pd.Series
    fitted: np.ndarray
    rows: Sequence[int | None]
    file: str | None
    remedy_place: str
    declared: Column | None
    used: bool

    def problem(self, message: str, position: int | None, value: object, remedy: str) -> Problem:
        """A problem of this column, at a position of the frame if given."""
        row = None if position is None else self.rows[position]
        return Problem(message, file=self.file, row=row, column=self.name, value=value, remedy=remedy)


@dataclass
class Typed:
    """The typed column: ``kind`` number, factor or ordered; ``raw``: text of the sheet -> level as shown."""

    values: pd.Series
    kind: str
    levels: tuple[str, ...] = ()
    raw: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def typed(cells: Cells) -> Typed:
    """The column with its declared type; undeclared text is a factor, whole numbers are asked about."""
    kind = cells.declared.type if cells.declared else _guess(cells)
    if cells.used and cells.fitted.any() and not (cells.fitted & ~is_missing(cells.text)).any():
        kind = cells.problem("the column has no values", 0, None, "fill it in, or use another column")
    if isinstance(kind, Problem):
        return Typed(_numbers(cells.text.str.strip()), "number", problems=[kind])
    out = _number(cells) if kind == "number" else _factor(cells, kind)
    _report_missing(cells, out)
    return out


def is_missing(text: pd.Series) -> np.ndarray:
    """Cells without a value."""
    return text.str.strip().isin(MISSING).to_numpy()


def _numbers(text: pd.Series) -> pd.Series:
    """float64, NaN where the text is no plain number."""
    valid = text.str.fullmatch(_NUMBER.pattern)
    return pd.to_numeric(text.where(valid), errors="coerce").astype("float64")


def _guess(cells: Cells) -> str | Problem:
    text = cells.text.str.strip()[cells.fitted & ~is_missing(cells.text)]
    numeric = text.str.fullmatch(f"{_NUMBER.pattern}|{_DECIMAL_COMMA.pattern}")
    declare = f"{cells.remedy_place}: {cells.name}: {{type: factor}} or {{type: number}}"
    if not len(text):
        return "number"
    if not numeric.any():
        return "factor"
    values = sorted(set(text), key=natural)
    if numeric.all():
        if cells.used and text.str.fullmatch(_INTEGER.pattern).all():
            first = int(np.flatnonzero(cells.fitted & ~is_missing(cells.text))[0])
            message = "whole numbers: are they levels of a factor, or a number?"
            return cells.problem(
                message,
                first,
                ", ".join(values[:6]) + (" ..." if values[6:] else ""),
                f"declare in {declare}",
            )
        return "number"
    if cells.used and numeric.mean() >= 0.5:
        first = int(cells.text.index.get_indexer([numeric.index[~numeric.to_numpy()][0]])[0])
        return cells.problem(
            "numbers and text in one column",
            first,
            cells.text.iloc[first],
            f"empty this cell if it means missing, or declare in {declare}",
        )
    return "factor"


def _number(cells: Cells) -> Typed:
    text = cells.text.str.strip()
    notes: list[str] = []
    given = ~is_missing(cells.text)
    if _decimal_commas(text[given & cells.fitted]):
        text = text.str.replace(",", ".", regex=False)
        notes.append(f"{cells.name}: decimal commas read as points.")
    values = _numbers(text)
    bad = np.flatnonzero(given & cells.fitted & values.isna().to_numpy())
    problems = [
        cells.problem("not a number", int(i), cells.text.iloc[i], _number_remedy(cells.text.iloc[i]))
        for i in bad[:SHOWN]
    ]
    return Typed(values, "number", notes=notes, problems=[*problems, *_more(cells, bad)])


def _decimal_commas(text: pd.Series) -> bool:
    """Every number that is not whole has a comma where the point should be, and none has a point."""
    comma = text.str.fullmatch(_DECIMAL_COMMA.pattern)
    return bool(comma.any() and (comma | text.str.fullmatch(r"[-+]?\d+")).all())


def _number_remedy(text: str) -> str:
    if _EXCEL_ERROR.fullmatch(text.strip()):
        return "an error value of Excel: correct the formula in the sheet, or empty the cell"
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        return "write a decimal point"
    return "write a plain number, or empty the cell if the value is missing"


def _more(cells: Cells, bad: np.ndarray) -> list[Problem]:
    if len(bad) <= SHOWN:
        return []
    return [
        cells.problem(f"{len(bad) - SHOWN} more such cells", int(bad[SHOWN]), None, "see the problems above")
    ]


def _factor(cells: Cells, kind: str) -> Typed:
    declared = cells.declared
    levels = declared.levels if declared and declared.levels else None
    problems = _untidy(cells)
    text = cells.text.str.strip()
    missing = is_missing(cells.text) & ~text.isin(levels or ()).to_numpy()
    if levels is None:
        levels = _levels_found(text, cells.fitted & ~missing, ~missing)
        problems += _capitals(cells, levels, text)
    else:
        problems += _undeclared(cells, levels, text, missing)
    labels = declared.labels if declared and declared.labels else levels
    raw = dict(zip(levels, labels, strict=False))
    shown = _reference_first(cells, list(labels), raw, problems)
    values = pd.Series(
        pd.Categorical(text.map(raw).where(~missing), categories=shown, ordered=kind == "ordered"),
        index=text.index,
    )
    return Typed(values, kind, tuple(shown), raw, problems=problems)


def _levels_found(text: pd.Series, fitted: np.ndarray, given: np.ndarray) -> tuple[str, ...]:
    """Levels of the samples in natural order, then those that only QC samples and blanks have."""
    first = sorted(set(text[fitted]), key=natural)
    return (*first, *sorted(set(text[given]) - set(first), key=natural))


def natural(text: str) -> list[tuple[int, float, str]]:
    """Sorting key: `week 2` before `week 10`."""
    parts = re.split(r"(\d+)", text)
    return [(0, float(part), "") if part.isdigit() else (1, 0.0, part) for part in parts if part]


def _untidy(cells: Cells) -> list[Problem]:
    """Spaces around a level and error values of Excel."""
    stripped = cells.text.str.strip()
    spaces = np.flatnonzero(((cells.text != stripped) & (stripped != "")).to_numpy())
    found = [
        cells.problem("spaces around the level", int(i), cells.text.iloc[i], "remove the spaces in the sheet")
        for i in spaces[:SHOWN]
    ]
    errors = np.flatnonzero(
        (stripped.str.fullmatch(_EXCEL_ERROR.pattern) & ~stripped.isin(MISSING)).to_numpy()
    )
    found += [
        cells.problem("an error value of Excel", int(i), cells.text.iloc[i], "correct the cell, or empty it")
        for i in errors[:SHOWN]
    ]
    return [*found, *_more(cells, spaces), *_more(cells, errors)]


def _capitals(cells: Cells, levels: tuple[str, ...], text: pd.Series) -> list[Problem]:
    found: dict[str, str] = {}
    problems = []
    for level in levels:
        other = found.setdefault(level.casefold(), level)
        if other != level and cells.used:
            rare = min((level, other), key=lambda name: int((text == name).sum()))
            position = int(np.flatnonzero((text == rare).to_numpy())[0])
            remedy = "write them alike; if both are meant, list them under `levels:`"
            problems.append(
                cells.problem(f"'{level}' and '{other}' differ by capitals only", position, rare, remedy)
            )
    return problems


def _undeclared(cells: Cells, levels: tuple[str, ...], text: pd.Series, missing: np.ndarray) -> list[Problem]:
    bad = np.flatnonzero(~text.isin(levels).to_numpy() & ~missing & cells.fitted)
    problems, seen = [], set()
    for i in bad:
        value = text.iloc[i]
        if value not in seen and len(seen) < SHOWN:
            remedy = (
                f"correct the cell, or add it to samples.columns.{cells.name}.levels; {near(value, levels)}"
            )
            problems.append(cells.problem("a level that is not declared", int(i), cells.text.iloc[i], remedy))
        seen.add(value)
    return problems


def _reference_first(
    cells: Cells, labels: list[str], raw: dict[str, str], problems: list[Problem]
) -> list[str]:
    reference = cells.declared.reference if cells.declared else None
    if reference is None:
        return labels
    label = raw.get(reference, reference)
    if label not in labels:
        remedy = near(reference, labels)
        problems.append(cells.problem("the reference is not among the levels", None, reference, remedy))
        return labels
    return [label, *(name for name in labels if name != label)]


def _report_missing(cells: Cells, out: Typed) -> None:
    empty = np.flatnonzero(out.values.isna().to_numpy() & cells.fitted)
    if len(empty) and not out.problems:
        ids = [str(cells.text.index[i]) for i in empty]
        more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
        out.notes.append(f"{cells.name}: no value for {len(ids)} sample(s): {', '.join(ids[:SHOWN])}{more}.")
