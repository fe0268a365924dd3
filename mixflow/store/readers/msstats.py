"""MSstats' long table: one row for each precursor (or fragment) in each run, with its protein."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers import exclusion, long
from mixflow.store.readers.common import TABLE_OPTIONS, open_table, zeros_to_missing
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table

OPTIONS = {**TABLE_OPTIONS, "label": "isotope label that is read, where the table has several (L or H)"}
FEATURE = ("PeptideSequence", "PrecursorCharge", "FragmentIon", "ProductCharge")
NEEDED = ("ProteinName", "PeptideSequence", "PrecursorCharge", "Run", "Intensity")
SEPARATOR = ";"
"""Between the proteins of a precursor that several share, as MaxQuant and MSstats write them."""
_NAMES = {
    "ProteinName": "protein",
    "PeptideSequence": "peptide",
    "PrecursorCharge": "charge",
    "FragmentIon": "fragment",
    "ProductCharge": "product_charge",
}


def recognise(head: Head) -> bool:
    """MSstats' own column names; the others (fragment, label, condition) may be absent."""
    return head.has(*NEEDED)


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read MSstats' long table: feature = precursor (or fragment), sample = run.

    An empty cell, a zero and an absent row are missing. A precursor listed under several proteins with the
    same intensities is one feature that they share (joined by ';'). Precursors of decoys only are dropped;
    so are, unless told otherwise, those that a contaminant shares. Refused: several isotope labels, several
    fractions, a precursor with two intensities in one run.
    """
    table = open_table(path, options)
    table = _one_fraction(_one_label(table, options))
    table, shared = _one_row(table)
    table, dropped = _excluded(table, options)
    told = {key: value for key, value in options.items() if key != "label"}
    roles = {"sample": "Run", "value": "Intensity", "feature": _feature_columns(table)}
    annotation = {"annotation": ["ProteinName", *roles["feature"]]}
    raw = long.read_opened(table, {**told, **roles, **annotation})
    values, zeros = zeros_to_missing(raw.values)
    said = [f"{path.name}: {zeros} zeros mean missing."] if zeros else []
    return dataclasses.replace(
        raw,
        values=values,
        features=_described(raw),
        scale="intensity",
        format="msstats",
        notes=[*raw.notes, *said, *shared, *exclusion.sentences(path.name, dropped)],
        dropped=dropped,
    )


def _feature_columns(table: Table) -> list[str]:
    return [name for name in FEATURE if name in table.frame.columns]


def _described(raw: RawTable) -> pd.DataFrame:
    """Annotation under mixflow's names; what says nothing (no fragments, one label) is left out."""
    kept = ["name", *(name for name in _NAMES if name in raw.features and (raw.features[name] != "").any())]
    return raw.features[kept].rename(columns=_NAMES)


def _one_label(table: Table, options: Mapping[str, Any]) -> Table:
    """The rows of one isotope label."""
    column = "IsotopeLabelType"
    labels = sorted(set(table.frame[column])) if column in table.frame else []
    wanted = options.get("label")
    if wanted is None and len(labels) <= 1:
        return _without(table, [column] if labels else [])
    if wanted not in labels:
        raise refuse(
            table.path,
            "the table has no such isotope label" if wanted else "the table has several isotope labels",
            f"Set data.options.label to one of: {', '.join(labels)}.",
            column=column,
            value=wanted or ", ".join(labels),
        )
    return _without(_rows(table, (table.frame[column] == wanted).to_numpy()), [column])


def _one_fraction(table: Table) -> Table:
    column = "Fraction"
    if column not in table.frame:
        return table
    if table.frame[column].nunique() > 1:
        raise refuse(
            table.path,
            "the table has several fractions of a sample",
            "Combine the fractions first (MSstats' dataProcess does), so that Run names a sample.",
            column=column,
            value=", ".join(sorted(set(table.frame[column]))[:5]),
        )
    return _without(table, [column])


def _rows(table: Table, kept: np.ndarray) -> Table:
    return dataclasses.replace(table, frame=table.frame[kept].reset_index(drop=True), rows=table.rows[kept])


def _without(table: Table, columns: list[str]) -> Table:
    return dataclasses.replace(table, frame=table.frame.drop(columns=columns))


def _one_row(table: Table) -> tuple[Table, list[str]]:
    """One row for a precursor in a run where it is listed once for each of its proteins."""
    frame, names = table.frame, _feature_columns(table)
    feature = long.feature_of(table, names)
    protein = frame["ProteinName"].str.strip()
    pairs = pd.DataFrame({"feature": feature, "protein": protein}).drop_duplicates()
    several = pairs["feature"][pairs["feature"].duplicated()].unique()
    if not len(several):
        return table, []
    joined = pairs.groupby("feature", sort=False)["protein"].agg(SEPARATOR.join)
    copies = pd.DataFrame({"feature": feature, "run": frame["Run"], "value": frame["Intensity"]})
    frame = frame.assign(ProteinName=feature.map(joined))
    kept = ~(copies.duplicated() & feature.isin(several)).to_numpy()
    note = (
        f"{table.path.name}: {len(several)} precursor(s) are listed under several proteins; they share them."
    )
    return _rows(dataclasses.replace(table, frame=frame), kept), [note]


def _excluded(table: Table, options: Mapping[str, Any]) -> tuple[Table, dict[str, list[str]]]:
    """Rows of decoys and contaminants set aside; the features that they are, by reason."""
    drop, _ = exclusion.rule(options, table.path)
    protein = table.frame["ProteinName"]
    known = pd.Series(protein.unique(), index=protein.unique())
    decoys = pd.Series([_all_decoys(text) for text in known], index=known.index)
    contaminants = pd.Series(
        exclusion.starts_with_any(known.tolist(), exclusion.CONTAMINANT_PREFIXES), index=known.index
    )
    reasons = {
        exclusion.DECOY: protein.map(decoys).to_numpy(dtype=bool),
        exclusion.CONTAMINANT: protein.map(contaminants).to_numpy(dtype=bool) & drop,
    }
    kept, dropped = exclusion.first_reason(reasons, long.feature_of(table, _feature_columns(table)).tolist())
    if not kept.any():
        raise MixflowError(table.problem("every row is of a decoy or a contaminant", column="ProteinName"))
    return _rows(table, kept), {reason: list(dict.fromkeys(ids)) for reason, ids in dropped.items()}


def _all_decoys(proteins: str) -> bool:
    """A precursor that a target shares with a decoy is the target's."""
    return all(part.strip().startswith(exclusion.DECOY_PREFIXES) for part in proteins.split(SEPARATOR))


READER = Reader("msstats", "MSstats' long table: precursors by run, with proteins", OPTIONS, recognise, read)
