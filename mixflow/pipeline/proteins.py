"""Precursors to proteins in the store: `data` is the protein table, `data/precursors` the rows behind it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from mixflow.preprocess import PreparedProteins, prepare_proteins
from mixflow.store import frames, zarr_io
from mixflow.study.config import Study
from mixflow.study.sheet import Sheet

PRECURSORS = "data/precursors"
ANNOTATION = "data/precursors/annotation"


def prepared(study: Study, tree: xr.DataTree, sheet: Sheet) -> PreparedProteins:
    """The precursors of the store of raw values, met with their proteins."""
    data = zarr_io.group(tree, "data")
    return prepare_proteins(
        data["raw"].values,
        data.attrs["scale"],
        study.raw["preprocess"],
        frames.features(tree),
        features=list(data["feature"].values),
        samples=list(data["sample"].values),
        is_sample=(sheet.role == "sample").to_numpy(),
        is_reference=(sheet.role == "reference").to_numpy(),
        sheet=sheet.frame,
        unit=data.attrs["unit"],
    )


def table(data: xr.Dataset, found: PreparedProteins) -> xr.Dataset:
    """The group `data` with proteins for features; their level by median polish is what `raw` is to them."""
    attrs = {**data.attrs, "scale": found.protein.scale, "dropped": json.dumps(dropped(data, found))}
    unit = {"unit": found.protein.unit}
    return xr.Dataset(
        {"raw": (("feature", "sample"), found.level, unit)},
        coords={"feature": _text(found.proteins.ids), "sample": data["sample"].values},
        attrs=attrs,
    )


def dropped(data: xr.Dataset, found: PreparedProteins) -> dict[str, list[str]]:
    """Ids by reason: precursors that the reader or the rule of shared ones set aside, proteins by filters."""
    told: dict[str, list[str]] = json.loads(data.attrs["dropped"])
    reasons = found.proteins.dropped_by
    filtered = {*found.proteins.dropped, *found.protein.dropped_by}
    for reason in dict.fromkeys(str(r) for r in reasons if r and r not in filtered):
        ids = np.asarray(found.precursors, dtype=object)[reasons == reason]
        told[reason] = [*told.get(reason, []), *map(str, ids)]
    return {**told, **found.proteins.dropped}


def groups(data: xr.Dataset, annotation: xr.Dataset, found: PreparedProteins) -> dict[str, xr.Dataset]:
    """The groups of the proteins' annotation and of the precursors behind them."""
    ids = np.asarray([*found.proteins.ids, ""], dtype=object)
    kept = found.precursor.kept
    unit = {"unit": found.precursor.unit}
    variables: dict[str, Any] = {
        "raw": (("precursor", "sample"), data["raw"].values, data["raw"].attrs),
        "value": (("precursor", "sample"), np.where(kept[:, None], found.precursor.value, np.nan), unit),
        "protein": (("precursor",), ids[found.proteins.of]),
        "kept": (("precursor",), kept),
        "dropped_by": (("precursor",), np.asarray(found.precursor.dropped_by, dtype=object)),
    }
    coords = {"precursor": data["feature"].values, "sample": data["sample"].values}
    scale = {"scale": data.attrs["scale"], "rows_fitted": found.rows_fitted}
    described = annotation.drop_vars("feature").rename({"feature": "precursor"})
    return {
        "data/features": frames.dataset(found.proteins.table, "feature"),
        PRECURSORS: xr.Dataset(variables, coords, scale),
        ANNOTATION: described.drop_vars("sample", errors="ignore").assign_attrs(annotation.attrs),
    }


def _text(labels: Any) -> np.ndarray:
    return np.array([str(label) for label in labels], dtype=object)
