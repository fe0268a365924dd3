"""What several readers share: options of text tables, names to show, missing values, contaminants."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers.ids import looks_like_date
from mixflow.store.readers.lineage import is_lineage, parent, short_name
from mixflow.store.readers.numbers import numbers
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import RawTable, check_choice
from mixflow.store.readers.table import Table, read_table

TABLE_OPTIONS = {
    "sheet": "sheet of an .xlsx workbook, by name or 1-based number (default: the first)",
    "delimiter": "field delimiter, where sniffing fails",
    "decimal": "decimal sign: auto, '.' or ','",
    "na": "list of further spellings of a missing value",
    "dates": "feature names that look like dates: refuse or keep",
}
"""Options of every format that is a text table."""

_GENE_COLUMN = re.compile(
    r"genes?|gene[ ._]?names?|gene[ ._]?symbols?|symbol|hgnc[ ._]?symbol", re.IGNORECASE
)
_LINEAGE_COLUMN = re.compile(r"lineage|taxonomy|taxon|consensus lineage", re.IGNORECASE)


def open_table(path: Path, options: Mapping[str, Any]) -> Table:
    """`read_table` with the options that all text formats share."""
    return read_table(path, sheet=options.get("sheet"), delimiter=options.get("delimiter"))


def as_numbers(table: Table, columns: Sequence[str], options: Mapping[str, Any]) -> np.ndarray:
    """`numbers` with the options that all text formats share; shape (row, column)."""
    decimal = check_choice(options, "decimal", ("auto", ".", ","), table.path)
    return numbers(table, columns, decimal, options.get("na", ()))


def date_rule(table: Table, options: Mapping[str, Any]) -> str:
    """Option ``dates``: 'refuse' (default) or 'keep'."""
    return check_choice(options, "dates", ("refuse", "keep"), table.path)


def known_columns(table: Table, names: str | Sequence[str], option: str) -> list[str]:
    """``names`` (one or several), all of them columns of the table; else refused, naming the known ones."""
    names = [names] if isinstance(names, str) else [str(name) for name in names]
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
    return names


def by_id(frame: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """``frame`` with its rows called ``ids``."""
    return frame.set_axis(pd.Index(list(ids), dtype=object), axis=0)


def no_columns(ids: Sequence[str]) -> pd.DataFrame:
    """A frame of ``ids`` without columns."""
    return pd.DataFrame(index=pd.Index(list(ids), dtype=object))


def build(
    table: Table,
    values: np.ndarray,
    features: pd.DataFrame,
    samples: pd.DataFrame,
    format: str,
    scale: str | None = None,
    notes: Sequence[str] = (),
    dropped: Mapping[str, list[str]] | None = None,
) -> RawTable:
    """A `RawTable` whose ids are the indices of ``features`` and ``samples``.

    Adds the names to show, and notes on features and samples without any value.
    """
    feature_ids, sample_ids = tuple(map(str, features.index)), tuple(map(str, samples.index))
    named = with_names(features)
    return RawTable(
        values,
        feature_ids,
        sample_ids,
        named,
        samples.astype(str),
        scale,
        format,
        [
            *table.notes,
            *notes,
            *_missing_notes(table.path, values, feature_ids, sample_ids),
            *_date_notes(table.path, named),
        ],
        dict(dropped or {}),
    )


def apply_zero_rule(
    table: Table, values: np.ndarray, options: Mapping[str, Any]
) -> tuple[np.ndarray, list[str]]:
    """Option ``zero``: 'value' (default) keeps zeros, 'missing' makes them NaN and says how many."""
    if check_choice(options, "zero", ("value", "missing"), table.path) == "value":
        return values, []
    values, count = zeros_to_missing(values)
    return values, [f"{table.path.name}: {count} zeros were read as missing values (data.options.zero)."]


def zeros_to_missing(values: np.ndarray) -> tuple[np.ndarray, int]:
    """``values`` with NaN for zero, and how many there were."""
    zero = values == 0
    return np.where(zero, np.nan, values), int(zero.sum())


def _missing_notes(
    path: Path, values: np.ndarray, feature_ids: Sequence[str], sample_ids: Sequence[str]
) -> list[str]:
    """Sentences on features and samples without any value (kept: filters come later)."""
    observed = ~np.isnan(values)
    if not observed.any():
        raise refuse(path, "the table holds no value: every cell is missing", "Check the columns chosen.")
    notes = []
    for axis, ids, kind in ((1, feature_ids, "feature"), (0, sample_ids, "sample")):
        empty = [ids[i] for i in np.flatnonzero(~observed.any(axis=axis)).tolist()]
        if empty:
            notes.append(f"{path.name}: {len(empty)} {kind}(s) have no value at all: {shown(empty)}.")
    return notes


def shown(names: Sequence[str], limit: int = 10) -> str:
    """The first names of a list, for a sentence."""
    return ", ".join(names[:limit]) + (" ..." if len(names) > limit else "")


def _date_notes(path: Path, features: pd.DataFrame) -> list[str]:
    mangled = [
        i for i, name in zip(features.index, features["name"], strict=True) if looks_like_date(str(name))
    ]
    if not mangled:
        return []
    first = f"{mangled[0]}: {features['name'].iloc[features.index.get_loc(mangled[0])]!r}"
    return [
        f"{path.name}: {len(mangled)} gene name(s) look like dates made by Excel (first: {first}); "
        "they are only shown, the ids are sound."
    ]


def with_names(features: pd.DataFrame) -> pd.DataFrame:
    """``features`` with a first column ``name``: gene name if there, the end of a lineage, else the id.

    Lineages that end in the same name are told apart by the name above, or the start of their id.
    """
    ids = [str(i) for i in features.index]
    out = features.fillna("").astype(str)
    gene = next((name for name in out.columns if _GENE_COLUMN.fullmatch(str(name))), None)
    lineage = next((name for name in out.columns if _LINEAGE_COLUMN.fullmatch(str(name))), None)
    if "name" in out.columns:
        given = out.pop("name").tolist()
    elif gene is not None:
        given = [text.split(";")[0].strip() for text in out[gene]]
    elif lineage is not None:
        given = _short_names(out[lineage].tolist(), ids)
    else:
        given = _short_names(ids, ids)
    out.insert(0, "name", [name or i for name, i in zip(given, ids, strict=True)])
    if lineage is None and any(map(is_lineage, ids)):
        out["lineage"] = ids
    return out


def _short_names(texts: Sequence[str], ids: Sequence[str]) -> list[str]:
    if not any(map(is_lineage, texts)):
        return list(texts)
    names = [short_name(text) for text in texts]
    counts = pd.Series(names).value_counts()
    repeated = set(counts.index[counts > 1])
    beside = [parent(text) if text == i else i[:8] for text, i in zip(texts, ids, strict=True)]
    return [f"{n} ({more})" if n in repeated and more else n for n, more in zip(names, beside, strict=True)]
