"""Wide tables: one row a feature and one column a sample, or the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixflow.store.readers.common import (
    TABLE_OPTIONS,
    apply_zero_rule,
    as_numbers,
    build,
    by_id,
    date_rule,
    known_columns,
    no_columns,
    open_table,
)
from mixflow.store.readers.ids import check_dates, row_ids
from mixflow.store.readers.lineage import is_lineage
from mixflow.store.readers.numbers import NA, is_number_like
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader, check_choice
from mixflow.store.readers.table import Table

ROWS, COLUMNS = "samples_in_rows", "samples_in_columns"
OPTIONS = {
    **TABLE_OPTIONS,
    "orientation": "auto, samples_in_rows or samples_in_columns",
    "id": "column with the ids of the rows (default: the first); a list is joined by '|'",
    "sample_columns": "samples in rows: columns that describe samples, not features",
    "features": "samples in rows: the feature columns, as a list or a regular expression",
    "annotation": "samples in columns: columns that describe features, not samples",
    "zero": "value (a zero is a measurement) or missing",
}
_SAMPLE_WORD = re.compile(r"#?(sample|subject|patient|run|case|participant|specimen|mouse|animal|scan)", re.I)
_FEATURE_WORD = re.compile(
    r"(?<![a-z])(gene|taxon|taxa|feature|protein|peptide|otu|asv|identifier|clade|probe|metabolite|ensembl|symbol|"
    r"species|genus|accession|uniprot|compound|sequence|precursor|transcript)",
    re.I,
)


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a wide table of either orientation; its options are `OPTIONS`."""
    return read_opened(open_table(path, options), options)


def read_opened(table: Table, options: Mapping[str, Any], otherwise: str | None = None) -> RawTable:
    """The same for an opened table; ``otherwise`` is the orientation where nothing tells it."""
    ids = id_columns(table, options)
    if orientation(table, ids, options, otherwise) == ROWS:
        return _samples_in_rows(table, ids, options)
    return _samples_in_columns(table, ids, options)


def id_columns(table: Table, options: Mapping[str, Any]) -> list[str]:
    """Columns named by option ``id``, the first column by default; unknown names are refused."""
    chosen = options.get("id") or str(table.frame.columns[0])
    return known_columns(table, chosen, "id")


def orientation(
    table: Table, ids: Sequence[str], options: Mapping[str, Any], otherwise: str | None = None
) -> str:
    """Where the samples are: told by the option, by known sample ids, then by names and text columns.

    Refused where none of these tells, rather than guessed.
    """
    told = check_choice(options, "orientation", ("auto", ROWS, COLUMNS), table.path)
    if told != "auto":
        return told
    known = set(map(str, options.get("sample_ids", ())))
    if known:
        in_rows = len(known & {"|".join(cells) for cells in zip(*(table.frame[i] for i in ids), strict=True)})
        in_columns = len(known & set(table.frame.columns))
        if in_rows != in_columns:
            return ROWS if in_rows > in_columns else COLUMNS
    if options.get("features") or options.get("sample_columns"):
        return ROWS
    if options.get("annotation"):
        return COLUMNS
    return _orientation_by_content(table, ids, otherwise)


def _orientation_by_content(table: Table, ids: Sequence[str], otherwise: str | None) -> str:
    name = ids[0]
    if _SAMPLE_WORD.match(name):
        return ROWS
    if _FEATURE_WORD.search(name) or is_lineage(str(table.frame[name].iloc[0])):
        return COLUMNS
    if any(is_lineage(str(column)) for column in table.frame.columns[1:6]):
        return ROWS
    if otherwise is not None:
        return otherwise
    raise refuse(
        table.path,
        "nothing tells whether the rows or the columns are samples",
        f"Set data.options.orientation to {ROWS} or {COLUMNS}.",
        column=name,
    )


def text_columns(table: Table, columns: Sequence[str], na: Sequence[str] = ()) -> set[str]:
    """Of ``columns`` those that hold mostly text: they describe; the others measure.

    By majority, so that a column of numbers with a stray '#NAME?' is still one of numbers, and refused with
    the cell's place.
    """
    missing = NA | frozenset(na)
    out = set()
    for name in columns:
        cells = table.frame[name]
        if not _all_numbers(cells.iloc[:200].tolist(), missing):
            good, bad = is_number_like(cells, missing)
            if bad > good:
                out.add(name)
    return out


def _all_numbers(cells: Iterable[str], missing: frozenset[str]) -> bool:
    try:
        return all(cell in missing or float(cell) is not None for cell in cells)
    except ValueError:
        return False


def _is_empty(table: Table, name: str) -> bool:
    return bool(table.frame[name].str.strip().isin(NA).all())


def _samples_in_rows(table: Table, ids: Sequence[str], options: Mapping[str, Any]) -> RawTable:
    rest = [str(name) for name in table.frame.columns if name not in ids]
    described = set(known_columns(table, options.get("sample_columns", []), "sample_columns"))
    described |= set(options.get("sheet_columns", ())) - set(_named_features(options))
    chosen = _chosen_features(table, [name for name in rest if name not in described], options)
    if chosen is None:
        text = text_columns(table, [name for name in rest if name not in described], options.get("na", ()))
        chosen = [name for name in rest if name not in described and name not in text]
    _some(table, chosen, "feature")
    if date_rule(table, options) == "refuse":
        check_dates(table, chosen, None, None)
    sample_ids = row_ids(table, ids, "sample")
    measured = set(chosen)
    beside = list(ids if len(ids) > 1 else []) + [name for name in rest if name not in measured]
    values, notes = apply_zero_rule(table, as_numbers(table, chosen, options).T, options)
    samples = by_id(table.frame[beside], sample_ids)
    return build(table, values, no_columns(chosen), samples, "wide", None, notes)


def _named_features(options: Mapping[str, Any]) -> list[str]:
    wanted = options.get("features") or []
    return [] if isinstance(wanted, str) else [str(name) for name in wanted]


def _chosen_features(table: Table, rest: Sequence[str], options: Mapping[str, Any]) -> list[str] | None:
    wanted = options.get("features")
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return [name for name in rest if re.search(wanted, name)]
    return known_columns(table, list(map(str, wanted)), "features")


def _samples_in_columns(table: Table, ids: Sequence[str], options: Mapping[str, Any]) -> RawTable:
    rest = [str(name) for name in table.frame.columns if name not in ids]
    annotation = set(known_columns(table, options.get("annotation", []), "annotation"))
    known = set(map(str, options.get("sample_ids", ())))
    candidates = [name for name in rest if name not in annotation]
    text = text_columns(table, candidates, options.get("na", ())) - known
    if known:
        text |= {name for name in candidates if name not in known and _is_empty(table, name)}
    columns = [name for name in candidates if name not in text]
    _some(table, columns, "sample")
    feature_ids = row_ids(table, ids, "feature", date_rule(table, options))
    measured = set(columns)
    beside = list(ids if len(ids) > 1 else []) + [name for name in rest if name not in measured]
    values, notes = apply_zero_rule(table, as_numbers(table, columns, options), options)
    features = by_id(table.frame[beside], feature_ids)
    return build(table, values, features, no_columns(columns), "wide", None, notes)


def _some(table: Table, columns: Sequence[str], kind: str) -> None:
    if not columns:
        raise refuse(
            table.path,
            f"no {kind} column was found: no column holds mostly numbers",
            "Check the delimiter and data.options (orientation, id, features, annotation).",
        )


def recognise(head: Head) -> bool:
    """Any table with at least two columns is wide if no other format claims it."""
    return len(head.columns) >= 2


READER = Reader(
    "wide", "one row a feature and one column a sample, or the other way round", OPTIONS, recognise, read
)
