"""What the report is asked to show, compared with the features that the data have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mixflow.errors import Problem
from mixflow.study import level
from mixflow.study.nearest import nearest
from mixflow.study.study import Study

if TYPE_CHECKING:
    from mixflow.store.readers import RawTable
    from mixflow.store.readers.taxa import Taxa


def problems(
    study: Study, table: RawTable, annotation: pd.DataFrame | None, described: pd.DataFrame
) -> list[Problem]:
    """`report.features` that are no id and no name, and a `report.label` that is no column, with the nearest.

    ``annotation``: the table of `data.features` as text, ids in its first column; None where there is none.
    ``described``: it beside what came with the data, by feature id.
    A feature that was dropped as a contaminant counts as known: the report says why it has no fit.
    """
    taxa = level.taxa(study, described)
    found = [] if annotation is not None and taxa is None else _label(study, table, taxa)
    known = set(taxa.names) if taxa is not None else _known(study, table, annotation)
    names: list[str] | None = None
    for i, wanted in enumerate(study.report.features):
        if wanted in known:
            continue
        names = sorted(known) if names is None else names
        found.append(
            Problem(
                "no feature of the data has this id or name",
                file=str(study.path),
                row=study.place("report", "features", str(i))["row"],
                column="report.features",
                value=wanted,
                remedy=f"correct it, or remove it; {nearest(wanted, names)}",
            )
        )
    return found


def _proteins(study: Study, table: RawTable) -> set[str]:
    """Accessions and genes of the precursors: ids and names of the proteins that they are summarised to."""
    asked = study.preprocess.summarise.column if study.preprocess.summarise else None
    columns = [name for name in (asked, "proteins", "protein", "gene") if name in table.features.columns]
    cells = {cell for name in columns for cell in table.features[name].dropna().astype(str)}
    return {part.strip() for cell in cells for part in (cell, *cell.split(";"))} - {""}


def _label(study: Study, table: RawTable, taxa: Taxa | None) -> list[Problem]:
    columns = [str(name) for name in table.features.columns]
    if taxa is not None:
        columns = ["name", *map(str, taxa.paths.columns)]
    if study.preprocess.summarise:
        columns = [*(n for n in ("gene", "description") if n in columns), "name", "n_precursors", "n_runs"]
    if study.report.label in columns:
        return []
    return [
        Problem(
            "the features have no such column",
            **study.place("report", "label"),
            value=study.report.label,
            remedy=f"correct it, or give the column in a table of data.features; "
            f"{nearest(study.report.label, columns)}",
        )
    ]


def _known(study: Study, table: RawTable, annotation: pd.DataFrame | None) -> set[str]:
    """Ids of the features of the data, and their names: the column of `report.label`."""
    if study.preprocess.summarise:
        return _proteins(study, table)
    ids = set(map(str, table.feature_ids))
    known = ids.union(*map(set, table.dropped.values()))
    label = study.report.label
    if label in table.features.columns:
        known |= set(table.features[label].dropna().astype(str))
    if annotation is not None and label in annotation.columns:
        known |= set(annotation.loc[annotation.iloc[:, 0].isin(ids), label])
    return known - {""}
