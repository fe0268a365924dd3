"""DIA-NN matrices (pg, gg, pr, unique_genes): runs in columns, called by the paths of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.store.readers import exclusion
from mixflow.store.readers.common import (
    TABLE_OPTIONS,
    as_numbers,
    build,
    by_id,
    date_rule,
    known_columns,
    open_table,
    zeros_to_missing,
)
from mixflow.store.readers.ids import row_ids
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table

OPTIONS = {**TABLE_OPTIONS, "id": "column with the ids (default: Precursor.Id, Protein.Group or Genes)"}
_IDS = ("Precursor.Id", "Protein.Group", "Genes")
_ANNOTATION = {
    "Protein.Group": "protein",
    "Protein.Ids": "proteins",
    "Protein.Names": "protein_names",
    "Genes": "gene",
    "First.Protein.Description": "description",
    "Stripped.Sequence": "sequence",
    "Modified.Sequence": "modified_sequence",
    "Precursor.Charge": "charge",
    "Precursor.Id": "precursor",
    "Proteotypic": "proteotypic",
    "N.Sequences": "n_sequences",
    "N.Proteotypic.Sequences": "n_proteotypic_sequences",
}
_RUN = re.compile(
    r"\.(raw|d|mzml|wiff2?|dia|lcd|htrms|speclib|tdf|bruker)(\.dia|\.gz|\.quant)?$", re.IGNORECASE
)


def recognise(head: Head) -> bool:
    """DIA-NN's annotation columns, and no other column that is not a run."""
    own = [name for name in head.columns if name in _ANNOTATION]
    runs = [name for name in head.columns if name not in _ANNOTATION]
    by_name = any(_RUN.search(name) or "\\" in name or "/" in name for name in runs)
    return bool(own) and any(name in own for name in _IDS) and (by_name or len(own) >= 3)


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a DIA-NN matrix; a zero or an empty cell is missing."""
    table = open_table(path, options)
    ids = row_ids(table, _id_column(table, options), "feature", date_rule(table, options))
    runs = [str(name) for name in table.frame.columns if name not in _ANNOTATION]
    if not runs:
        raise refuse(path, "no column of a run was found", "Give a DIA-NN matrix (report.pg_matrix.tsv).")
    samples = pd.DataFrame({"path": runs}, index=pd.Index(run_names(table, runs), dtype=object))
    kept, dropped = _exclude(table, ids, options)
    values, zeros = zeros_to_missing(as_numbers(table, runs, options)[kept])
    notes = [f"{path.name}: {zeros} zeros mean missing."] if zeros else []
    notes += exclusion.sentences(path.name, dropped)
    present = {name: short for name, short in _ANNOTATION.items() if name in table.frame.columns}
    features = by_id(table.frame[list(present)].rename(columns=present), ids)[kept]
    return build(table, values, features, samples, "diann-matrix", "intensity", notes, dropped)


def _id_column(table: Table, options: Mapping[str, Any]) -> list[str]:
    if options.get("id"):
        return known_columns(table, options["id"], "id")
    present = [name for name in _IDS if name in table.frame.columns]
    if not present:
        raise refuse(
            table.path, f"the table has none of the columns {', '.join(_IDS)}", "Set data.options.id."
        )
    return present[:1]


def run_names(table: Table, runs: Sequence[str]) -> list[str]:
    """Base name without extension of each run's path (Windows or not); names that then agree are refused."""
    names = [_RUN.sub("", PureWindowsPath(run).name) for run in runs]
    problems = [
        table.problem(
            f"two runs have the same base name; the other is {runs[names.index(name)]!r}",
            column=run,
            value=name,
            remedy="Rename one of the columns.",
        )
        for run, name, first in zip(runs, names, map(names.index, names), strict=True)
        if runs[first] != run
    ]
    if problems:
        raise MixflowError(problems)
    return names


def _exclude(
    table: Table, ids: tuple[str, ...], options: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    drop, _ = exclusion.rule(options, table.path)
    proteins = table.frame["Protein.Group"].tolist() if "Protein.Group" in table.frame.columns else list(ids)
    contaminant = exclusion.starts_with_any(proteins, exclusion.CONTAMINANT_PREFIXES) & drop
    decoy = exclusion.starts_with_any(proteins, exclusion.DECOY_PREFIXES)
    return exclusion.first_reason({exclusion.DECOY: decoy, exclusion.CONTAMINANT: contaminant}, ids)


READER = Reader("diann-matrix", "DIA-NN matrix: runs in columns, named by path", OPTIONS, recognise, read)
