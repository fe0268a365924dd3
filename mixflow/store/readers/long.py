"""Long tables: one row for each feature in each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers.common import (
    TABLE_OPTIONS,
    apply_zero_rule,
    as_numbers,
    build,
    date_rule,
    known_columns,
    open_table,
)
from mixflow.store.readers.ids import MAX_PROBLEMS, check_dates, refuse_empty
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table

OPTIONS = {
    **TABLE_OPTIONS,
    "sample": "column with the sample",
    "feature": "column with the feature; a list is joined by '_'",
    "value": "column with the value",
    "sample_columns": "columns that describe samples (default: those that are constant in each sample)",
    "annotation": "columns that describe features (default: those that are constant for each feature)",
    "zero": "value (a zero is a measurement) or missing",
}
SAMPLE_NAMES = ("Run", "FullRunName", "sample", "sample_id", "Sample", "SampleID", "Sample ID")
VALUE_NAMES = ("Intensity", "intensity", "value", "Value", "abundance", "Abundance")
FEATURE_NAMES: tuple[tuple[str, ...], ...] = (
    ("PeptideSequence", "PrecursorCharge", "FragmentIon", "ProductCharge"),
    ("PeptideSequence", "PrecursorCharge"),
    ("peptide_group_label",),
    ("feature",),
    ("feature_id",),
)


def roles(columns: Sequence[str]) -> dict[str, list[str]]:
    """Columns recognised by name as sample, value and feature (MSstats, proBatch, plain names)."""
    sample = [name for name in SAMPLE_NAMES if name in columns][:1]
    value = [name for name in VALUE_NAMES if name in columns][:1]
    feature = next((list(names) for names in FEATURE_NAMES if set(names) <= set(columns)), [])
    return {"sample": sample, "value": value, "feature": feature}


def recognise(head: Head) -> bool:
    """All three roles are recognised by name."""
    return all(roles(head.columns).values())


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a long table; an absent pair of feature and sample is missing, a repeated one is refused."""
    return read_opened(open_table(path, options), options)


def read_opened(table: Table, options: Mapping[str, Any]) -> RawTable:
    """The same for an opened table."""
    role = _roles(table, options)
    refuse_empty(table, role["sample"], "sample")
    refuse_empty(table, role["feature"][:1], "feature")
    i, feature_ids = _codes(feature_of(table, role["feature"]))
    j, sample_ids = _codes(table.frame[role["sample"][0]].str.strip())
    if date_rule(table, options) == "refuse":
        check_dates(
            table, feature_ids, np.unique(i, return_index=True)[1].tolist(), " + ".join(role["feature"])
        )
    _refuse_repeats(table, i, j, feature_ids, sample_ids, role)
    values = np.full((len(feature_ids), len(sample_ids)), np.nan)
    values[i, j] = as_numbers(table, role["value"], options)[:, 0]
    values, notes = apply_zero_rule(table, values, options)
    features, samples, unused = _describe(table, role, i, j, options)
    if unused:
        notes.append(
            f"{table.path.name}: columns that describe neither features nor samples: {', '.join(unused)}."
        )
    features = features.set_axis(pd.Index(feature_ids, dtype=object))
    samples = samples.set_axis(pd.Index(sample_ids, dtype=object))
    return build(table, values, features, samples, "long", None, notes)


def _codes(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Integer code of each row's text, and the texts in order of first appearance."""
    code, texts = pd.factorize(column)
    return np.asarray(code), [str(text) for text in texts]


def feature_of(table: Table, names: Sequence[str]) -> pd.Series:
    """Feature of each row: the parts that are not empty, joined by '_' (MSstats leaves fragments empty)."""
    out = table.frame[names[0]].str.strip()
    for name in names[1:]:
        part = table.frame[name].str.strip()
        if (part != "").any():
            out = out.where(part == "", out + "_" + part)
    return out


def _roles(table: Table, options: Mapping[str, Any]) -> dict[str, list[str]]:
    found = roles([str(name) for name in table.frame.columns])
    out = {key: known_columns(table, options[key], key) if key in options else found[key] for key in found}
    for key in ("sample", "value"):
        if len(out[key]) > 1:
            raise refuse(
                table.path,
                f"data.options.{key} is one column, not several",
                "Name one column.",
                column=f"data.options.{key}",
                value=out[key],
            )
    missing = [key for key, names in out.items() if not names]
    if missing:
        columns = ", ".join(map(str, table.frame.columns[:20]))
        raise refuse(
            table.path,
            f"nothing tells which column holds the {' and the '.join(missing)}",
            f"Set data.options.{missing[0]} to one of: {columns}.",
            column=f"data.options.{missing[0]}",
        )
    return out


def _refuse_repeats(
    table: Table,
    i: np.ndarray,
    j: np.ndarray,
    feature_ids: Sequence[str],
    sample_ids: Sequence[str],
    role: Mapping[str, list[str]],
) -> None:
    pair = i.astype(np.int64) * len(sample_ids) + j
    repeated = np.flatnonzero(pd.Series(pair).duplicated())
    if repeated.size == 0:
        return
    problems = []
    for position in repeated[:MAX_PROBLEMS].tolist():
        first = int(np.flatnonzero(pair == pair[position])[0])
        feature, sample = feature_ids[int(i[position])], sample_ids[int(j[position])]
        problems.append(
            table.problem(
                f"feature {feature!r} in sample {sample!r} has a value "
                f"in row {table.line(first)} already ({repeated.size} such rows)",
                position,
                column=role["value"][0],
                value=table.frame[role["value"][0]].iloc[position],
                remedy="Name more columns in data.options.feature (charge, fragment), or sum the rows first.",
            )
        )
    raise MixflowError(problems)


def _describe(
    table: Table, role: Mapping[str, list[str]], i: np.ndarray, j: np.ndarray, options: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Feature annotation, sample columns (in order of first appearance), and columns that are neither."""
    told_features = known_columns(table, options.get("annotation", []), "annotation")
    told_samples = known_columns(table, options.get("sample_columns", []), "sample_columns")
    for names, code, kind in ((told_features, i, "feature"), (told_samples, j, "sample")):
        _refuse_varying(table, names, code, kind)
    rest = [
        n
        for n in table.frame.columns
        if n not in {*role["sample"], *role["value"], *told_features, *told_samples}
    ]
    for_features, for_samples, unused = list(told_features), list(told_samples), []
    for name in map(str, rest):
        if _varies(table.frame[name], i) is None:
            for_features.append(name)
        elif _varies(table.frame[name], j) is None:
            for_samples.append(name)
        else:
            unused.append(name)
    first_i, first_j = (np.unique(code, return_index=True)[1] for code in (i, j))
    return table.frame[for_features].iloc[first_i], table.frame[for_samples].iloc[first_j], unused


def _varies(column: pd.Series, code: np.ndarray) -> int | None:
    """Position of the first row whose text differs from that of its group's first row, or None."""
    first: np.ndarray = np.unique(code, return_index=True)[1]
    text: np.ndarray = column.to_numpy(dtype=object)
    differs = np.flatnonzero(text != text[first][code])
    return int(differs[0]) if differs.size else None


def _refuse_varying(table: Table, names: Sequence[str], code: np.ndarray, kind: str) -> None:
    for name in names:
        position = _varies(table.frame[name], code)
        if position is not None:
            raise MixflowError(
                table.problem(
                    f"the column should describe a {kind}, but differs within one",
                    position,
                    column=name,
                    value=table.frame[name].iloc[position],
                    remedy="Correct the cell, or leave the column out of data.options.",
                )
            )


READER = Reader("long", "one row for each feature in each sample", OPTIONS, recognise, read)
