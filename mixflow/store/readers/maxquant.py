"""MaxQuant's peptides.txt and proteinGroups.txt. A zero there means that nothing was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.store.readers import exclusion
from mixflow.store.readers.common import (
    TABLE_OPTIONS,
    as_numbers,
    build,
    by_id,
    date_rule,
    known_columns,
    no_columns,
    open_table,
    zeros_to_missing,
)
from mixflow.store.readers.ids import row_ids
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table

OPTIONS = {
    **TABLE_OPTIONS,
    "intensity": "start of the columns' names, or auto (peptides: 'Intensity', proteins: 'LFQ intensity')",
    "id": "column with the ids (default: Sequence, or Majority protein IDs)",
}
PREFIXES = {
    "maxquant-peptides": ("Intensity ", "LFQ intensity "),
    "maxquant-proteins": ("LFQ intensity ", "Intensity "),
}
_IDS = {
    "maxquant-peptides": ("Sequence",),
    "maxquant-proteins": ("Majority protein IDs", "Protein IDs"),
}
_ANNOTATION = {
    "Gene names": "gene",
    "Leading razor protein": "protein",
    "Proteins": "proteins",
    "Sequence": "peptide",
    "Majority protein IDs": "protein",
    "Protein IDs": "proteins",
    "Protein names": "description",
    "Fasta headers": "fasta",
}
_CHANNEL = re.compile(r"Intensity [LMH]( |$)")


def _reader(format: str, summary: str) -> Reader:
    def recognise(head: Head) -> bool:
        has_intensity = any(name.startswith(PREFIXES[format]) or name == "Intensity" for name in head.columns)
        return has_intensity and _is_format(head, format)

    def read(path: Path, options: dict[str, Any]) -> RawTable:
        return _read(path, options, format)

    return Reader(format, summary, OPTIONS, recognise, read)


def _is_format(head: Head, format: str) -> bool:
    if format == "maxquant-peptides":
        return head.has("Sequence") and (head.has("Leading razor protein") or head.has("Proteins"))
    return head.has("Protein IDs") or head.has("Majority protein IDs")


def _read(path: Path, options: dict[str, Any], format: str) -> RawTable:
    table = open_table(path, options)
    columns, prefix = _intensity_columns(table, options, format)
    ids = row_ids(table, _id_column(table, options, format), "feature", date_rule(table, options))
    kept, dropped = _exclude(table, ids, options)
    values, zeros = zeros_to_missing(as_numbers(table, columns, options)[kept])
    features = by_id(_annotation(table.frame), ids)[kept]
    samples = no_columns([name[len(prefix) :] for name in columns])
    notes = [
        f"{path.name}: the columns {prefix.strip()!r} were read; {zeros} zeros in them mean missing.",
        *exclusion.sentences(path.name, dropped),
    ]
    return build(table, values, features, samples, format, "intensity", notes, dropped)


def _intensity_columns(table: Table, options: Mapping[str, Any], format: str) -> tuple[list[str], str]:
    names = [str(name) for name in table.frame.columns]
    chosen = str(options.get("intensity", "auto"))
    prefixes = PREFIXES[format] if chosen == "auto" else (chosen if chosen.endswith(" ") else chosen + " ",)
    if chosen == "auto":
        _refuse_labelled(table, names)
    for prefix in prefixes:
        columns = [name for name in names if name.startswith(prefix)]
        if columns:
            return columns, prefix
    known = ", ".join(sorted({name.rsplit(" ", 1)[0] for name in names if "ntensity " in name})) or "none"
    raise refuse(
        table.path,
        "no column of intensities by sample was found",
        f"Set data.options.intensity to the start of their names (found here: {known}); a table of "
        "a single run has no such columns.",
        column=prefixes[0].strip(),
        value=chosen,
    )


def _refuse_labelled(table: Table, names: list[str]) -> None:
    labelled = [n for n in names if n.startswith(("Reporter intensity", "Ratio H/L")) or _CHANNEL.match(n)]
    if labelled:
        raise refuse(
            table.path,
            "this table is of a labelled experiment (SILAC or TMT), whose channels are not plain intensities",
            "Choose the columns by data.options.intensity, for example 'Reporter intensity corrected 1'.",
            column=labelled[0],
        )


def _id_column(table: Table, options: Mapping[str, Any], format: str) -> list[str]:
    if options.get("id"):
        return known_columns(table, options["id"], "id")
    present = [name for name in _IDS[format] if name in table.frame.columns]
    if not present:
        raise refuse(table.path, f"the table has no column {_IDS[format][0]!r}", "Set data.options.id.")
    return present[:1]


def _exclude(
    table: Table, ids: tuple[str, ...], options: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    frame = table.frame
    drop, _ = exclusion.rule(options, table.path)
    accessions = list(ids)
    if "Proteins" in frame.columns:
        accessions = frame[
            "Leading razor protein" if "Leading razor protein" in frame.columns else "Proteins"
        ].tolist()
    contaminant = exclusion.flagged(frame, ["Potential contaminant", "Contaminant"])
    contaminant |= exclusion.starts_with_any(accessions, exclusion.CONTAMINANT_PREFIXES)
    decoy = exclusion.flagged(frame, ["Reverse"]) | exclusion.starts_with_any(
        accessions, exclusion.DECOY_PREFIXES
    )
    reasons = {
        exclusion.DECOY: decoy,
        exclusion.CONTAMINANT: contaminant & drop,
        exclusion.BY_SITE: exclusion.flagged(frame, ["Only identified by site"]),
    }
    return exclusion.first_reason(reasons, ids)


def _annotation(frame: pd.DataFrame) -> pd.DataFrame:
    present = {name: short for name, short in _ANNOTATION.items() if name in frame.columns}
    return frame[list(present)].rename(columns=present)


PEPTIDES = _reader("maxquant-peptides", "MaxQuant peptides.txt: one row a peptide")
PROTEINS = _reader("maxquant-proteins", "MaxQuant proteinGroups.txt: one row a protein group")
