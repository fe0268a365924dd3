"""Are the results of a run those of another, byte for byte; if not, where do they differ first?"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mixflow.runs import origin as origin_module
from mixflow.runs.origin import STORE, TABLES, Origin
from mixflow.store import provenance, zarr_io

EQUAL, DIFFERS, MISSING, NEW = "equal", "differs", "missing", "new"


@dataclass(frozen=True)
class Verdict:
    """One table or array: ``state`` is equal, differs, missing (only in the origin) or new."""

    kind: str
    name: str
    state: str
    detail: str = ""


def compare(run: Origin, results: Path, arrays: Mapping[str, str]) -> list[Verdict]:
    """Every table of ``run`` and of the folder ``results``, then every array of the store."""
    return [*tables(run, results), *_arrays(arrays, results / STORE)]


def tables(run: Origin, results: Path) -> list[Verdict]:
    """Table by table, by sha256; where the old table is at hand, with the first cell that differs."""
    made = {path.name: path for path in sorted((results / TABLES).glob("*.tsv"))}
    verdicts = [_table(run, name, entry, made.get(name)) for name, entry in run.expected.items()]
    return verdicts + [Verdict("table", name, NEW) for name in made if name not in run.expected]


def _table(run: Origin, name: str, entry: Mapping[str, Any], made: Path | None) -> Verdict:
    if made is None:
        return Verdict("table", name, MISSING)
    if provenance.identity(made) == dict(entry):
        return Verdict("table", name, EQUAL)
    old = run.table(name)
    if old is None or provenance.identity(old) != dict(entry):
        return Verdict("table", name, DIFFERS, "the old table is not at hand")
    return Verdict("table", name, DIFFERS, where(old, made))


def where(old: Path, new: Path) -> str:
    """How many rows of two tables differ, and the first cell that does."""
    rows = [list(csv.reader(path.open(encoding="utf-8", newline=""), delimiter="\t")) for path in (old, new)]
    header = rows[0][0] if rows[0] else []
    if rows[1][:1] != rows[0][:1]:
        return f"columns were {', '.join(header)}; are {', '.join(rows[1][0] if rows[1] else [])}"
    differing = [i for i, (a, b) in enumerate(zip_longest(*rows, fillvalue=[])) if a != b]
    first = differing[0]
    was, now = (table[first] if first < len(table) else [] for table in rows)
    column = next(i for i, (a, b) in enumerate(zip_longest(was, now)) if a != b)
    cells = [row[column] if column < len(row) else "nothing" for row in (was, now)]
    said = f"{len(differing)} of {max(map(len, rows)) - 1} rows; first row {first + 1} ({(was or now)[0]}), "
    return f"{said}{header[column] if column < len(header) else ''}: was {cells[0]}, is {cells[1]}"


def _arrays(expected: Mapping[str, str], store: Path) -> list[Verdict]:
    if not expected:
        return []
    found = origin_module.arrays(zarr_io.open(store))
    state = {name: EQUAL if found.get(name) == sha else DIFFERS for name, sha in expected.items()}
    state |= {name: MISSING for name in expected if name not in found}
    state |= {name: NEW for name in found if name not in expected}
    return [Verdict("array", name, what) for name, what in state.items()]
