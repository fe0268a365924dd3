"""Step preprocess: raw values -> the values that are fitted, with what each filter dropped."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import xarray as xr

from mixflow.pipeline import levels, proteins, record, sheets
from mixflow.preprocess.by_blocks import prepare_matrix
from mixflow.preprocess.prepare import Prepared
from mixflow.slices import Sliced
from mixflow.store import frames, lazy, provenance, zarr_io
from mixflow.store.names import encode
from mixflow.study import library
from mixflow.study.config import Study
from mixflow.study.sheet import Sheet

LOGGER = logging.getLogger(__name__)


def run(study: Study, raw: Path, out: Path) -> str:
    """Prepare the values of the store ``raw`` and write ``out``; a sentence on what was kept."""
    clock = provenance.Clock()
    tree = zarr_io.open(raw)
    sheet = sheets.from_tree(tree)
    data = zarr_io.group(tree, "data")
    features = {"data/features": zarr_io.group(tree, "data/features")}
    samples = with_library(zarr_io.group(tree, "data/samples"), data)
    if study.preprocess.level:
        features = levels.summed(study, data, frames.features(tree))
        data = features.pop("data")
    if study.preprocess.summarise:
        found = proteins.prepared(study, tree, sheet)
        features = proteins.groups(data, features["data/features"], found)
        ready, data = found.protein, proteins.table(data, found)
    else:
        ready = prepared(study, data, sheet)
    groups = {
        "data": values_group(data, ready, study),
        "data/samples": samples,
        **features,
        "provenance": record.group(study, "preprocess", clock, [raw], provenance.steps(tree)),
    }
    zarr_io.write(xr.DataTree.from_dict(groups), out)
    for note in ready.notes:
        LOGGER.info("%s", note)
    told = "".join(f", {count} dropped by {name}" for name, count in ready.dropped.items() if count)
    return f"{int(ready.kept.sum())} of {ready.kept.size} features kept{told}"


def with_library(samples: xr.Dataset, data: xr.Dataset) -> xr.Dataset:
    """The group `data/samples`; for counts with the total of each sample, unless the sheet has such a column.

    ``data``: as read, before any filter or level (`mixflow.study.library`).
    """
    samples = samples.drop_vars("feature", errors="ignore")
    if data.attrs["scale"] != "count" or encode(library.NAME) in samples:
        return samples
    attrs = {"kind": "number", "label": library.LABEL, "unit": data.attrs["unit"]}
    columns = [*json.loads(samples.attrs["columns"]), library.NAME]
    total = ("sample", library.sizes(lazy.of(data["raw"])), attrs)
    return samples.assign({encode(library.NAME): total}).assign_attrs(columns=json.dumps(columns))


def prepared(study: Study, data: xr.Dataset, sheet: Sheet) -> Prepared:
    """Transform, normalisation and filters on the values of the group `data`."""
    return prepare_matrix(
        lazy.of(data["raw"]),
        data.attrs["scale"],
        study.raw["preprocess"],
        is_sample=(sheet.role == "sample").to_numpy(),
        is_reference=(sheet.role == "reference").to_numpy(),
        sheet=sheet.frame,
        unit=data.attrs["unit"],
        features=list(data["feature"].values),
        samples=list(data["sample"].values),
    )


def _matrix(values: np.ndarray | Sliced, attrs: dict[str, str]) -> xr.Variable:
    dims = ("feature", "sample")
    return (
        lazy.variable(dims, values, attrs) if isinstance(values, Sliced) else xr.Variable(dims, values, attrs)
    )


def values_group(data: xr.Dataset, ready: Prepared, study: Study) -> xr.Dataset:
    """The group `data` with values, filters and what they dropped (ids by name of the filter)."""
    ids = data["feature"].values
    dropped = json.loads(data.attrs["dropped"])
    for name in sorted(set(ready.dropped_by[~ready.kept])):
        dropped[str(name)] = [str(i) for i in ids[ready.dropped_by == name]]
    return data.assign(
        value=_matrix(ready.value, {"unit": ready.unit}),
        kept=("feature", ready.kept),
        dropped_by=("feature", np.asarray(ready.dropped_by, dtype=object)),
        size_factor=("sample", ready.size_factor),
    ).assign_attrs(
        unit=ready.unit,
        value_scale=ready.scale,
        transform=study.preprocess.transform,
        normalise=study.preprocess.normalise,
        notes=json.dumps([*json.loads(data.attrs["notes"]), *ready.notes]),
        dropped=json.dumps(dropped),
    )
