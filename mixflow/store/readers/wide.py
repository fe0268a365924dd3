"""Wide tables: one row a feature and one column a sample, or the other way round."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers.ids import check_names, row_ids
from mixflow.store.readers.lineage import is_lineage, short_name
from mixflow.store.readers.numbers import NA, is_number_like, numbers
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader, check_choice
from mixflow.store.readers.table import Table, read_table

ROWS, COLUMNS = "samples_in_rows", "samples_in_columns"
TABLE_OPTIONS = {
    "sheet": "sheet of an .xlsx workbook, by name or 1-based number (default: the first)",
    "delimiter": "field delimiter, where sniffing fails",
    "decimal": "decimal sign: auto, '.' or ','",
    "na": "list of further spellings of a missing value",
    "dates": "feature names that look like dates: refuse or keep",
}
OPTIONS = {
    **TABLE_OPTIONS,
    "orientation": "auto, samples_in_rows or samples_in_columns",
    "id": "column with the ids of the rows (default: the first); a list is joined by '|'",
    "sample_ids": "known sample ids, to tell the orientation (the pipeline gives those of the sample sheet)",
    "sample_columns": "samples in rows: columns that describe samples, not features",
    "features": "samples in rows: the feature columns, as a list or a regular expression",
    "annotation": "samples in columns: columns that describe features, not samples",
    "zero": "value (a zero is a measurement) or missing",
}
_SAMPLE_WORD = re.compile(r"#?(sample|subject|patient|run|case|participant|specimen|mouse|animal|scan)", re.I)
_FEATURE_WORD = re.compile(
    r"#?(gene|taxon|taxa|feature|protein|peptide|otu|asv|identifier|clade|probe|metabolite|ensembl|symbol|"
    r"species|genus|accession|uniprot|compound|sequence|precursor|transcript)",
    re.I,
)
_GENE_COLUMN = re.compile(r"(gene|genes|gene[ ._]?names?|gene[ ._]?symbols?|symbol|hgnc[ ._]?symbol)", re.I)


def open_table(path: Path, options: dict[str, Any]) -> Table:
    """`read_table` with the options that all text formats share."""
    return read_table(path, sheet=options.get("sheet"), delimiter=options.get("delimiter"))


def as_numbers(table: Table, columns: Sequence[str], options: dict[str, Any]) -> np.ndarray:
    """`numbers` with the options that all text formats share."""
    decimal = check_choice(options, "decimal", ("auto", ".", ","), table.path)
    return numbers(table, columns, decimal, options.get("na", ()))


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a wide table of either orientation; its options are `OPTIONS`."""
    table = open_table(path, options)
    ids = id_columns(table, options)
    if orientation(table, ids, options) == ROWS:
        return _samples_in_rows(table, ids, options)
    return _samples_in_columns(table, ids, options)


def id_columns(table: Table, options: dict[str, Any]) -> list[str]:
    """Columns named by option ``id``, the first column by default; unknown names are refused."""
    chosen = options.get("id") or str(table.frame.columns[0])
    return known_columns(table, [chosen] if isinstance(chosen, str) else list(chosen), "id")


def known_columns(table: Table, names: Sequence[str], option: str) -> list[str]:
    """``names``, all of them columns of the table; else refused, naming the known ones."""
    columns = [str(name) for name in table.frame.columns]
    unknown = [name for name in names if name not in columns]
    if unknown:
        shown = ", ".join(columns[:20]) + (" ..." if len(columns) > 20 else "")
        raise MixflowError(
            table.problem(
                f"data.options.{option} names a column that the table does not have",
                column=name,
                value=name,
                remedy=f"Columns of the table: {shown}.",
            )
            for name in unknown
        )
    return list(names)


def orientation(table: Table, ids: Sequence[str], options: dict[str, Any]) -> str:
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
    return _orientation_by_content(table, ids)


def _orientation_by_content(table: Table, ids: Sequence[str]) -> str:
    name = ids[0]
    if _SAMPLE_WORD.match(name):
        return ROWS
    if _FEATURE_WORD.match(name) or is_lineage(str(table.frame[name].iloc[0])):
        return COLUMNS
    if any(is_lineage(str(column)) for column in table.frame.columns[1:6]):
        return ROWS
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
        good, bad = is_number_like(cells.iloc[:200], missing)
        if bad:
            good, bad = is_number_like(cells, missing)
        if bad > good:
            out.add(name)
    return out


def _samples_in_rows(table: Table, ids: Sequence[str], options: dict[str, Any]) -> RawTable:
    rest = [str(name) for name in table.frame.columns if name not in ids]
    described = set(known_columns(table, options.get("sample_columns", []), "sample_columns"))
    chosen = _chosen_features(table, [name for name in rest if name not in described], options)
    if chosen is None:
        text = text_columns(table, [name for name in rest if name not in described], options.get("na", ()))
        chosen = [name for name in rest if name not in described and name not in text]
    _some(table, chosen, "feature")
    dates = check_choice(options, "dates", ("refuse", "keep"), table.path)
    check_names(table, chosen, "feature", dates)
    sample_ids = row_ids(table, ids, "sample")
    beside = list(ids if len(ids) > 1 else []) + [name for name in rest if name not in set(chosen)]
    samples = table.frame[beside].set_axis(pd.Index(sample_ids), axis=0)
    features = pd.DataFrame(index=pd.Index(chosen))
    values = as_numbers(table, chosen, options).T
    return finish(table, values, chosen, sample_ids, features, samples, options)


def _chosen_features(table: Table, rest: Sequence[str], options: dict[str, Any]) -> list[str] | None:
    wanted = options.get("features")
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return [name for name in rest if re.search(wanted, name)]
    return known_columns(table, list(map(str, wanted)), "features")


def _samples_in_columns(table: Table, ids: Sequence[str], options: dict[str, Any]) -> RawTable:
    rest = [str(name) for name in table.frame.columns if name not in ids]
    annotation = set(known_columns(table, options.get("annotation", []), "annotation"))
    known = set(map(str, options.get("sample_ids", ())))
    candidates = [name for name in rest if name not in annotation]
    text = text_columns(table, candidates, options.get("na", ())) - known
    columns = [name for name in candidates if name not in text]
    _some(table, columns, "sample")
    dates = check_choice(options, "dates", ("refuse", "keep"), table.path)
    feature_ids = row_ids(table, ids, "feature", dates)
    beside = list(ids if len(ids) > 1 else []) + [name for name in rest if name not in set(columns)]
    features = table.frame[beside].set_axis(pd.Index(feature_ids), axis=0)
    samples = pd.DataFrame(index=pd.Index(columns))
    return finish(
        table, as_numbers(table, columns, options), feature_ids, columns, features, samples, options
    )


def _some(table: Table, columns: Sequence[str], kind: str) -> None:
    if not columns:
        raise refuse(
            table.path,
            f"no {kind} column was found: no column holds mostly numbers",
            "Check the delimiter and data.options (orientation, id, features, annotation).",
        )


def finish(
    table: Table,
    values: np.ndarray,
    feature_ids: Sequence[str],
    sample_ids: Sequence[str],
    features: pd.DataFrame,
    samples: pd.DataFrame,
    options: dict[str, Any],
) -> RawTable:
    """A `RawTable` of a wide table, with names to show and notes on what is missing or zero."""
    notes = list(table.notes)
    if check_choice(options, "zero", ("value", "missing"), table.path) == "missing":
        values, zeros = zeros_to_missing(values)
        notes.append(f"{table.path.name}: {zeros} zeros are missing values (data.options.zero).")
    notes += missing_notes(table.path.name, values, feature_ids, sample_ids)
    return RawTable(
        values,
        tuple(feature_ids),
        tuple(sample_ids),
        with_names(features),
        samples,
        None,
        "wide",
        notes,
    )


def zeros_to_missing(values: np.ndarray) -> tuple[np.ndarray, int]:
    """``values`` with NaN for zero, and how many there were."""
    zero = values == 0
    return np.where(zero, np.nan, values), int(zero.sum())


def missing_notes(
    name: str, values: np.ndarray, feature_ids: Sequence[str], sample_ids: Sequence[str]
) -> list[str]:
    """Sentences on features and samples without any value (kept: filters come later)."""
    observed = ~np.isnan(values)
    if not observed.any():
        raise refuse(
            Path(name), "the table holds no value: every cell is missing", "Check the columns chosen."
        )
    notes = []
    for axis, ids, kind in ((1, feature_ids, "feature"), (0, sample_ids, "sample")):
        empty = [ids[i] for i in np.flatnonzero(~observed.any(axis=axis))]
        if empty:
            shown = ", ".join(empty[:10]) + (" ..." if len(empty) > 10 else "")
            notes.append(f"{name}: {len(empty)} {kind}(s) have no value at all: {shown}.")
    return notes


def with_names(features: pd.DataFrame) -> pd.DataFrame:
    """``features`` with a first column ``name``: gene name if there, the end of a lineage, else the id."""
    ids = [str(i) for i in features.index]
    out = features.astype(str)
    shown = [short_name(i) if is_lineage(i) else i for i in ids]
    gene = next((name for name in out.columns if _GENE_COLUMN.fullmatch(str(name))), None)
    if "name" in out.columns:
        shown = [given or other for given, other in zip(out["name"], shown, strict=True)]
        out = out.drop(columns="name")
    elif gene is not None:
        shown = [given.split(";")[0] or other for given, other in zip(out[gene], shown, strict=True)]
    out.insert(0, "name", shown)
    if any(map(is_lineage, ids)) and "lineage" not in out.columns:
        out["lineage"] = ids
    return out


def recognise(head: Head) -> bool:
    """Any table with at least two columns is wide if no other format claims it."""
    return len(head.columns) >= 2


READER = Reader(
    "wide", "one row a feature and one column a sample, or the other way round", OPTIONS, recognise, read
)
