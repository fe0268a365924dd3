"""Ids of features and samples: present, unique, and not turned into dates by Excel."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.table import Table

MAX_PROBLEMS = 20
_MONTH = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|mrz|mär|mai|okt|dez|fev|fév|avr|juin|juil|aoû|déc"
)
_DATE = re.compile(
    rf"\d{{1,2}}[-.]\s?(?:{_MONTH})\.?|(?:{_MONTH})\.?[-.]\d{{1,4}}|\d{{1,2}}-(?:{_MONTH})-\d{{2,4}}"
    r"|\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?)?|\d{1,2}[/.]\d{1,2}[/.]\d{4}",
    re.IGNORECASE,
)
_DATE_REMEDY = (
    "Restore the name from the original table (2-Mar was MARCHF2, 1-Sep was SEPTIN1, 1-Dec was DELEC1); "
    "set data.options.dates to 'keep' if it is no date."
)


def looks_like_date(name: str) -> bool:
    """Whether a feature's name is what Excel makes of MARCHF2, SEPTIN1 or DEC1 ('2-Mar', '2002-03-01')."""
    return bool(_DATE.fullmatch(name.strip()))


def row_ids(table: Table, columns: Sequence[str], kind: str, dates: str = "refuse") -> tuple[str, ...]:
    """Ids from ``columns`` (joined by '|'), one for each row; ``kind`` is 'feature' or 'sample'.

    Empty and repeated ids are refused naming their rows; so are feature names that Excel turned into dates,
    unless ``dates`` is 'keep'.
    """
    parts = [table.frame[name].str.strip().tolist() for name in columns]
    ids = tuple("|".join(cells) for cells in zip(*parts, strict=True))
    shown = " + ".join(columns)
    problems = _empty(table, parts, kind, shown) + _repeated(table, ids, kind, shown)
    if kind == "feature" and dates != "keep":
        try:
            check_dates(table, ids, range(len(ids)), shown)
        except MixflowError as error:
            problems += error.problems
    if problems:
        raise MixflowError(problems[:MAX_PROBLEMS])
    return ids


def _empty(table: Table, parts: list[list[str]], kind: str, shown: str) -> list[Problem]:
    empty = np.flatnonzero([not all(cells) for cells in zip(*parts, strict=True)])
    return [
        table.problem(
            f"the {kind} has no id",
            int(i),
            column=shown,
            value="",
            remedy=f"Fill the cell, or choose another column as id (data.options.id{_unique(table)}).",
        )
        for i in empty[:MAX_PROBLEMS]
    ]


def _repeated(table: Table, ids: tuple[str, ...], kind: str, shown: str) -> list[Problem]:
    first: dict[str, int] = {}
    problems = []
    for i, name in enumerate(ids):
        if name in first and name and len(problems) < MAX_PROBLEMS:
            problems.append(
                table.problem(
                    f"the {kind} id of row {table.line(first[name])} is repeated",
                    i,
                    column=shown,
                    value=name,
                    remedy=f"Make ids unique, or choose another column (data.options.id{_unique(table)}).",
                )
            )
        first.setdefault(name, i)
    return problems


def _unique(table: Table) -> str:
    """A hint: text columns that would do as ids."""
    good = unique_columns(table)
    return f"; unique here: {', '.join(good)}" if good else ""


def unique_columns(table: Table) -> list[str]:
    """Text columns that would do as ids, among the first twelve."""
    frame = table.frame
    return [
        str(name)
        for name in frame.columns[:12]
        if frame[name].is_unique
        and (frame[name] != "").all()
        and frame[name].str.contains("[A-Za-z]").mean() > 0.9
    ]


def refuse_empty(table: Table, columns: Sequence[str], kind: str) -> None:
    """Refuse rows whose id, made of ``columns``, has an empty part."""
    problems = _empty(
        table, [table.frame[name].str.strip().tolist() for name in columns], kind, " + ".join(columns)
    )
    if problems:
        raise MixflowError(problems)


def check_dates(
    table: Table, names: Sequence[str], positions: Sequence[int] | None, column: str | None
) -> None:
    """Refuse feature names that Excel turned into dates.

    ``positions``: row of the frame of each name; None where the names are the header's.
    """
    problems = [
        Problem(
            "the feature's name looks like a gene name that Excel turned into a date",
            file=str(table.path),
            row=table.header_row if positions is None else table.line(positions[k]),
            column=column or name,
            value=name,
            remedy=_DATE_REMEDY,
        )
        for k, name in enumerate(names)
        if looks_like_date(name)
    ]
    if problems:
        raise MixflowError(problems[:MAX_PROBLEMS])
