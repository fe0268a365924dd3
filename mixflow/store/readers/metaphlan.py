"""MetaPhlAn profiles (clades in rows, all ranks mixed, percent) and MaAsLin's tables (samples in rows)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.store.readers import wide
from mixflow.store.readers.common import as_numbers, build, by_id, open_table
from mixflow.store.readers.exclusion import first_reason, sentences
from mixflow.store.readers.ids import row_ids
from mixflow.store.readers.lineage import RANKS, is_lineage, rank_of
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader, check_choice
from mixflow.store.readers.table import Table

OPTIONS = {
    **wide.OPTIONS,
    "rank": "rank of the clades read from a MetaPhlAn profile: species (default), genus, family, ... strain",
}
_RANK_NAMES = ("species", "genus", "family", "order", "class", "phylum", "kingdom", "domain", "strain")
_ANNOTATION = (
    "NCBI_tax_id",
    "clade_taxid",
    "additional_species",
    "coverage",
    "estimated_number_of_reads_from_the_clade",
)
_UNKNOWN = ("UNKNOWN", "UNCLASSIFIED", "unclassified", "Unclassified")


def recognise(head: Head) -> bool:
    """Clades with bars in the first column, or (MaAsLin) a short header above values from 0 to 1."""
    if len(head.columns) < 2:
        return False
    if any(map(_is_clade, head.frame.iloc[:, 0])):
        return True
    return head.header_short and _looks_like_proportions(head.frame)


def _is_clade(text: str) -> bool:
    return is_lineage(text) and "|" in text


def _looks_like_proportions(frame: pd.DataFrame) -> bool:
    try:
        cells = frame.iloc[:, 1:].to_numpy(dtype=float)
    except ValueError:
        return False
    return bool((cells >= 0).all() and (cells <= 1).all() and (cells % 1 != 0).any())


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a profile at one rank as proportions, or a MaAsLin table; zeros are measured zeros."""
    table = open_table(path, options)
    if any(map(_is_clade, table.frame.iloc[:, 0])):
        return _profile(table, options)
    return _maaslin(table, options)


def _profile(table: Table, options: Mapping[str, Any]) -> RawTable:
    frame = table.frame
    clade = str(frame.columns[0])
    described = np.array([rank_of(text) is None and text not in _UNKNOWN for text in frame[clade].tolist()])
    columns = [str(name) for name in frame.columns[1:] if name not in _ANNOTATION]
    if not columns:
        raise refuse(table.path, "no column of a sample was found", "Give a merged MetaPhlAn table.")
    samples = frame.loc[described, columns].T.set_axis(frame.loc[described, clade].tolist(), axis=1)
    body = Table(
        frame[~described].reset_index(drop=True),
        table.path,
        table.first_row,
        table.notes,
        table.rows[~described],
        header_row=table.header_row,
    )
    ids = row_ids(body, [clade], "feature")
    kept, dropped = _at_rank(body, ids, options)
    values, notes = _as_proportions(body, as_numbers(body, columns, options)[kept])
    beside = [name for name in _ANNOTATION if name in frame.columns]
    features = by_id(body.frame[beside], ids)[kept]
    if described.any():
        notes.append(f"{table.path.name}: rows that describe samples: {', '.join(samples.columns)}.")
    notes += sentences(table.path.name, dropped)
    return build(body, values, features, samples, "metaphlan", "proportion", notes, dropped)


def _at_rank(
    table: Table, ids: tuple[str, ...], options: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    wanted = check_choice(options, "rank", _RANK_NAMES, table.path)
    ranks = np.array([RANKS.get(rank_of(name) or "", "") for name in ids])
    if not (ranks == wanted).any():
        found = ", ".join(sorted(set(ranks) - {""})) or "none"
        raise refuse(
            table.path,
            f"the table has no clade of rank {wanted}",
            f"Set data.options.rank to one of: {found}.",
            column="data.options.rank",
            value=wanted,
        )
    unknown = np.isin(ids, _UNKNOWN)
    return first_reason({"unclassified": unknown, f"not of rank {wanted}": ranks != wanted}, ids)


def _as_proportions(table: Table, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Percent divided by 100 (MetaPhlAn's relative abundance), unless no sample sums to more than one."""
    top = np.nanmax(values, initial=0.0)
    if top > 100.5:
        raise refuse(
            table.path,
            f"relative abundances go up to {top:g}, above 100 percent",
            "Give relative abundances; a table of read counts is read by `format: wide`.",
            value=float(top),
        )
    if np.nanmax(np.nansum(values, axis=0)) <= 1.01:
        return values, []
    return values / 100.0, [f"{table.path.name}: percentages were divided by 100 to be proportions."]


def _maaslin(table: Table, options: Mapping[str, Any]) -> RawTable:
    """MaAsLin's own layout has samples in rows, so that is taken where nothing else tells."""
    given = {key: value for key, value in options.items() if key != "rank"}
    raw = wide.read_opened(table, given, otherwise=wide.ROWS)
    known = np.nan_to_num(raw.values)
    scale: str | None = None
    if (known >= 0).all() and (known == np.round(known)).all():
        scale = "count"
    elif (known >= 0).all() and known.max(initial=0.0) <= 1.0:
        scale = "proportion"
    return RawTable(
        raw.values,
        raw.feature_ids,
        raw.sample_ids,
        raw.features,
        raw.samples,
        scale,
        "metaphlan",
        raw.notes,
        {},
    )


READER = Reader("metaphlan", "MetaPhlAn profile, or MaAsLin table of proportions", OPTIONS, recognise, read)
