"""Step ingest: raw files and sample sheet -> the group `data` with the values as read."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import record, sheets
from mixflow.preprocess.scales import SCALES
from mixflow.slices import Sliced
from mixflow.store import frames, lazy, provenance, readers, zarr_io
from mixflow.store.readers.raw import RawTable
from mixflow.study import join
from mixflow.study import sheet as sheet_module
from mixflow.study.columns import used_columns
from mixflow.study.config import Study
from mixflow.study.reading import beside, reader_options
from mixflow.study.sheet import Joined, Sheet

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """Measurements, sheet and how the two met; ``annotation`` is indexed by feature id."""

    table: RawTable
    sheet: Sheet
    joined: Joined
    annotation: pd.DataFrame
    scale: str
    notes: tuple[str, ...]


def run(study: Study, out: Path) -> str:
    """Read the files of a study and write the store ``out``; a sentence on what was read.

    Raises MixflowError for everything that the readers, the sheet and their join refuse.
    """
    clock = provenance.Clock()
    found = read(study)
    tree = xr.DataTree.from_dict(
        {
            **groups(study, found),
            "provenance": record.group(study, "ingest", clock, inputs(study)),
        }
    )
    zarr_io.write(tree, out)
    said = f"{len(found.joined.ids)} samples x {len(found.table.feature_ids)} features, {found.table.format}"
    LOGGER.info("ingested %s", said)
    return said


def inputs(study: Study) -> list[Path]:
    """The files of a study: measurements, annotation, sheet."""
    optional = [study.data.features, study.samples.file]
    return [*study.data.files, *study.data.beside, *(path for path in optional if path is not None)]


def read(study: Study) -> Ingested:
    """Read and join, without writing."""
    used = used_columns(study)
    sheet = sheet_module.read(study, used=used) if study.samples.file else None
    table = readers.read(study.data.files, study.data.format, reader_options(study, sheet))
    if sheet is None:
        sheet = sheet_module.read(study, found=beside(study, table), used=used)
    _refuse_role(study, sheet)
    joined = join.join(sheet, table.sample_ids, study)
    annotation, unknown = _annotation(study, table)
    notes = (*table.notes, *sheet.notes, *joined.notes, *unknown)
    for note in notes:
        LOGGER.info("%s", note)
    return Ingested(table, sheet, joined, annotation, _scale(study, table), notes)


def _refuse_role(study: Study, sheet: Sheet) -> None:
    """The store keeps a column `role` of its own: another one of that name would be lost."""
    meant = study.samples.role is not None and study.samples.role.column == sheets.ROLE
    if sheets.ROLE in sheet.columns and not meant:
        message = "a column called `role` must be the one that samples.role names"
        remedy = "rename the column in the sheet, or set samples.role: role"
        raise MixflowError(Problem(message, file=sheet.file, row=1, column=sheets.ROLE, remedy=remedy))


def groups(study: Study, found: Ingested) -> dict[str, xr.Dataset]:
    """The groups `data`, `data/samples` and `data/features`."""
    unit = study.data.unit or SCALES[found.scale].unit
    data = xr.Dataset(
        {"raw": _matrix(found, {"unit": unit})},
        coords={
            "feature": np.array(found.table.feature_ids, dtype=object),
            "sample": np.array(found.joined.ids, dtype=object),
        },
        attrs={
            "scale": found.scale,
            "unit": unit,
            "format": found.table.format,
            "notes": json.dumps(list(found.notes)),
            "dropped": json.dumps({reason: list(ids) for reason, ids in found.table.dropped.items()}),
        },
    )
    return {
        "data": data,
        "data/samples": sheets.to_dataset(found.sheet, found.joined.ids).assign_attrs(
            unit=study.samples.unit or ""
        ),
        "data/features": frames.dataset(found.annotation, "feature"),
    }


def _matrix(found: Ingested, attrs: dict[str, str]) -> xr.Variable:
    """The values of the joined samples, still to be read where the format leaves them on disk."""
    values, dims = found.table.values, ("feature", "sample")
    if isinstance(values, Sliced):
        return lazy.variable(dims, values.columns(found.joined.positions), attrs)
    chosen = np.ascontiguousarray(values[:, found.joined.positions], dtype="float64")
    return xr.Variable(dims, chosen, attrs)


def _scale(study: Study, table: RawTable) -> str:
    """The scale of the values: as the config says, else as the format says; refused where neither does."""
    scale = study.data.scale or table.scale
    if scale is None:
        message = f"format {table.format} does not say on which scale its values are"
        remedy = "set data.scale: intensity (raw), log2 (already logarithms), count, proportion or free"
        raise MixflowError(Problem(message, **study.place("data", "scale"), remedy=remedy))
    return scale


def _annotation(study: Study, table: RawTable) -> tuple[pd.DataFrame, list[str]]:
    """Annotation that came with the data; columns of `data.features` are added or replace its own."""
    own = table.features.reindex(list(table.feature_ids))
    if study.data.features is None:
        return own, []
    given = _annotation_file(study.data.features)
    known = given.reindex(own.index)
    merged = own.assign(**{name: known[name].fillna("") for name in given.columns})
    merged["name"] = merged["name"].where(merged["name"] != "", own["name"])
    missing = int((~own.index.isin(given.index)).sum())
    note = f"{missing} feature(s) are not in {study.data.features.name} and keep their own name."
    return merged, [note] if missing else []


def _annotation_file(path: Path) -> pd.DataFrame:
    """Text columns by the ids of the first column; an id that stands twice is refused."""
    table = readers.read_table(path)
    ids = table.frame.iloc[:, 0].astype(str)
    twice = ids.duplicated().to_numpy().nonzero()[0]
    if len(twice):
        raise MixflowError(
            Problem(
                "the feature id stands twice",
                file=str(path),
                row=table.line(int(i)),
                column=str(table.frame.columns[0]),
                value=ids.iloc[i],
                remedy="keep one row for each feature",
            )
            for i in twice[:5]
        )
    return table.frame.iloc[:, 1:].set_axis(ids, axis=0)
