"""The sample sheet: ids, derived columns, roles and typed columns; and its join with the data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.study import worksheets
from mixflow.study.cells import SHOWN, Cells, typed
from mixflow.study.columns import used_columns
from mixflow.study.config import Derived, Study
from mixflow.study.join import Joined, join
from mixflow.study.roles import ROLES, roles
from mixflow.study.rules import near

__all__ = ["ROLES", "Joined", "Sheet", "SheetColumn", "join", "read"]


@dataclass(frozen=True)
class SheetColumn:
    """A column: ``kind`` number, factor or ordered.

    ``levels``: as shown, the reference first; ``raw``: text of the sheet -> level as shown.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    raw: dict[str, str]
    unit: str | None
    label: str

    @property
    def reference(self) -> str | None:
        """The reference level; None for a number."""
        return self.levels[0] if self.levels else None

    def level(self, name: object) -> str | None:
        """The label that a level or a label of the config means; None if there is no such level."""
        text = f"{name:g}" if isinstance(name, float) else str(name)
        return text if text in self.levels else self.raw.get(text)


@dataclass(frozen=True)
class Sheet:
    """The sheet, all parts indexed by sample id.

    ``frame``: columns float64 or Categorical (first category = reference); ``role``: of `ROLES`; ``rows``:
    line of the file (NaN where the columns came with the data); ``notes``: sentences for the report;
    ``choice``: for remedies, which worksheet of a workbook was read ('' without a choice).
    """

    frame: pd.DataFrame
    role: pd.Series
    columns: dict[str, SheetColumn]
    rows: pd.Series
    file: str | None
    notes: tuple[str, ...]
    choice: str = ""

    @property
    def raw_levels(self) -> dict[str, dict[str, str]]:
        """Factor -> level as it stands in the sheet -> as it is shown."""
        return {column.name: column.raw for column in self.columns.values() if column.raw}


@dataclass
class Raw:
    """Text cells by sample id, and where they come from."""

    text: pd.DataFrame
    rows: list[int | None]
    file: str | None
    notes: list[str]
    problems: list[Problem]
    choice: str = ""


def read(study: Study, found: pd.DataFrame | None = None, used: Collection[str] | None = None) -> Sheet:
    """The sample sheet of a study.

    ``found``: sample columns that came with the data (text, index sample id; may have no columns); they serve
    where the config names no sheet. ``used``: columns whose whole-number codes need a declared type;
    those that the config uses if not given. Raises MixflowError with every problem.
    """
    sheet, problems = attempt(study, found, used)
    if problems or sheet is None:
        raise MixflowError(problems)
    return sheet


def attempt(
    study: Study, found: pd.DataFrame | None = None, used: Collection[str] | None = None
) -> tuple[Sheet | None, list[Problem]]:
    """The sheet as far as it can be read, and every problem of it."""
    try:
        raw = _raw(study, found)
    except MixflowError as error:
        return None, list(error.problems)
    for derived in study.samples.derive:
        _derive(study, derived, raw)
    _check_declared(study, raw)
    role, used = roles(study, raw), used_columns(study) if used is None else used
    columns, values = {}, {}
    for name in raw.text.columns:
        values[name], columns[name] = _typed(study, raw, name, (role == "sample").to_numpy(), name in used)
    rows = pd.Series([np.nan if row is None else row for row in raw.rows], index=raw.text.index, dtype=float)
    frame = pd.DataFrame(values, index=raw.text.index)
    return Sheet(frame, role, columns, rows, raw.file, tuple(raw.notes), raw.choice), raw.problems


def _typed(
    study: Study, raw: Raw, name: str, fitted: np.ndarray, used: bool
) -> tuple[pd.Series, SheetColumn]:
    """Values and meaning of one column; problems and notes go to `raw`."""
    declared = study.samples.columns.get(name)
    place = f"{study.path.name} under samples.columns"
    out = typed(Cells(name, raw.text[name], fitted, raw.rows, raw.file, place, declared, used))
    raw.problems += out.problems
    raw.notes += out.notes
    unit, label = (declared.unit, declared.label) if declared else (None, None)
    return out.values, SheetColumn(name, out.kind, out.levels, out.raw, unit, label or name)


def _raw(study: Study, found: pd.DataFrame | None) -> Raw:
    if study.samples.file is not None:
        return _from_file(study)
    if found is None:
        remedy = "name the sheet, or read the data first: its sample columns serve where there is no sheet"
        raise MixflowError(
            Problem("there is no sample sheet", **study.place("samples", "file"), remedy=remedy)
        )
    text = found.fillna("").astype(str)
    text.index = pd.Index([str(name) for name in text.index], name="sample")
    file = str(study.data.files[0]) if study.data.files else None
    return Raw(text, [None] * len(text), file, [], [])


def _from_file(study: Study) -> Raw:
    from mixflow.store.readers.table import read_table

    assert study.samples.file is not None
    table = read_table(study.samples.file, sheet=study.samples.sheet)
    if study.samples.sheet and not worksheets.names(table.path):
        remedy = "remove the key, or name an .xlsx workbook as samples.file"
        place = study.place("samples", "sheet")
        message = f"{table.path.name} is no workbook: it has no worksheets"
        raise MixflowError(Problem(message, **place, value=study.samples.sheet, remedy=remedy))
    choice = worksheets.told(table.path, study.samples.sheet)
    name = study.samples.id or str(table.frame.columns[0])
    if name not in table.frame.columns:
        raise MixflowError(
            Problem(
                "the sheet has no such column",
                file=str(table.path),
                row=_header(table),
                column=name,
                value=name,
                remedy=f"correct samples.id: {near(name, list(table.frame.columns))}{choice}",
            )
        )
    ids = table.frame[name]
    raw = Raw(
        table.frame.drop(columns=name),
        [table.line(i) for i in range(len(ids))],
        str(table.path),
        list(table.notes),
        [],
        choice,
    )
    _check_ids(ids, name, raw)
    raw.text.index = pd.Index([str(value).strip() for value in ids], name="sample")
    return raw


def _header(table) -> int:
    return max(int(table.first_row) - 1, 1)


def _check_ids(ids: pd.Series, name: str, raw: Raw) -> None:
    """Ids that are missing or stand twice, spaces around them left out of account: these are noted."""
    first: dict[str, int | None] = {}
    for position, value in enumerate(map(str, ids)):
        row, short = raw.rows[position], value.strip()
        place = {"file": raw.file, "row": row, "column": name}
        if not short:
            raw.problems.append(
                Problem("no sample id", **place, remedy="give each row an id, or remove the row")
            )
        elif short in first:
            message = f"the sample id stands twice (first in row {first[short]})"
            message += "; spaces around ids do not count" if short != value else ""
            raw.problems.append(Problem(message, **place, value=value, remedy="keep one row for each sample"))
        first.setdefault(short, row)
    spaced = [i for i, value in enumerate(map(str, ids)) if value != value.strip()]
    if spaced:
        raw.notes.append(
            f"Spaces around {len(spaced)} sample id(s) of {Path(raw.file or '').name} were removed "
            f"(first: row {raw.rows[spaced[0]]}, {str(ids.iloc[spaced[0]])!r})."
        )


def _derive(study: Study, derived: Derived, raw: Raw) -> None:
    """A new column of text by regular expression; samples without a match are problems, by name."""
    place = study.place("samples", "derive", derived.name)
    if derived.name in raw.text.columns:
        raw.problems.append(
            Problem(
                "the sheet has a column of this name",
                **place,
                value=derived.name,
                remedy="choose another name for the derived column",
            )
        )
        return
    if derived.source != "id" and derived.source not in raw.text.columns:
        raw.problems.append(
            Problem(
                "there is no such column to derive from",
                **place,
                value=derived.source,
                remedy=near(derived.source, ["id", *raw.text.columns]),
            )
        )
        return
    source = raw.text.index if derived.source == "id" else raw.text[derived.source]
    values = [_match(derived.pattern, str(text)) for text in source]
    bad = [i for i, value in enumerate(values) if value is None]
    for i in bad[:SHOWN]:
        more = f" (and {len(bad) - SHOWN} more)" if len(bad) > SHOWN and i == bad[0] else ""
        raw.problems.append(
            Problem(
                f"the pattern of `{derived.name}` does not match sample '{raw.text.index[i]}'{more}",
                file=raw.file,
                row=raw.rows[i],
                column=derived.source,
                value=str(source[i] if derived.source == "id" else source.iloc[i]),
                remedy=f"mend samples.derive.{derived.name}.pattern: {derived.pattern}",
            )
        )
    raw.text[derived.name] = ["" if value is None else value for value in values]


def _match(pattern: str, text: str) -> str | None:
    """What the group `value`, else the first group, holds; None without a match."""
    match = re.search(pattern, text)
    if match is None:
        return None
    return match["value"] if "value" in match.groupdict() else match[1]


def _check_declared(study: Study, raw: Raw) -> None:
    """Columns that the config names and the sheet does not have."""
    samples = study.samples
    named = [(("samples", "columns", name), name) for name in samples.columns]
    named += [(("samples", "role"), samples.role.column)] if samples.role else []
    named += [(("samples", "unit"), samples.unit)] if samples.unit else []
    for keys, name in named:
        if name not in raw.text.columns:
            raw.problems.append(
                Problem(
                    "the sheet has no such column",
                    **study.place(*keys),
                    value=name,
                    remedy=near(name, list(raw.text.columns)) + raw.choice,
                )
            )


def lines(sheet: Sheet, ids: Iterable[str]) -> list[int | None]:
    """The line of the sheet of each id; None where it is not known."""
    return [None if np.isnan(sheet.rows[name]) else int(sheet.rows[name]) for name in ids]
