"""Step preprocess: raw values -> the values that are fitted, with what each filter dropped."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.pipeline import record, sheets
from mixflow.preprocess.one_group import one_group
from mixflow.preprocess.prepare import Prepared, prepare
from mixflow.store import provenance, zarr_io
from mixflow.study.columns import fixed_columns, terms_of
from mixflow.study.config import Study
from mixflow.study.plan import load_plan
from mixflow.study.sheet import Sheet

LOGGER = logging.getLogger(__name__)
TEXT = ("feature_id", "factor", "level")
COUNTS = ("n_observed", "n_level", "n_other")


def run(study: Study, raw: Path, out: Path) -> str:
    """Prepare the values of the store ``raw`` and write ``out``; a sentence on what was kept."""
    clock = provenance.Clock()
    tree = zarr_io.load(raw)
    sheet = sheets.from_tree(tree)
    data = tree["data"].to_dataset(inherit=False)
    ready = prepared(study, data, sheet)
    groups = {
        "data": values_group(data, ready, study),
        "data/samples": tree["data/samples"].to_dataset(),
        "data/features": tree["data/features"].to_dataset(),
        "data/one_group": one_group_table(study, data, sheet),
        "provenance": record.group(study, "preprocess", clock, [raw], provenance.steps(tree)),
    }
    zarr_io.write(xr.DataTree.from_dict(groups), out)
    for note in ready.notes:
        LOGGER.info("%s", note)
    told = "".join(f", {count} dropped by {name}" for name, count in ready.dropped.items() if count)
    return f"{int(ready.kept.sum())} of {ready.kept.size} features kept{told}"


def prepared(study: Study, data: xr.Dataset, sheet: Sheet) -> Prepared:
    """Transform, normalisation and filters on the values of the group `data`."""
    return prepare(
        data["raw"].values,
        data.attrs["scale"],
        study.raw["preprocess"],
        is_sample=(sheet.role == "sample").to_numpy(),
        sheet=sheet.frame,
        unit=data.attrs["unit"],
        features=list(data["feature"].values),
        samples=list(data["sample"].values),
    )


def values_group(data: xr.Dataset, ready: Prepared, study: Study) -> xr.Dataset:
    """The group `data` with values, filters and what they dropped (ids by name of the filter)."""
    ids = data["feature"].values
    dropped = json.loads(data.attrs["dropped"])
    for name in sorted(set(ready.dropped_by[~ready.kept])):
        dropped[str(name)] = [str(i) for i in ids[ready.dropped_by == name]]
    return data.assign(
        value=(("feature", "sample"), ready.value, {"unit": ready.unit}),
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


def one_group_table(study: Study, data: xr.Dataset, sheet: Sheet) -> xr.Dataset:
    """Features seen in a single level of a factor among the fixed effects of any model."""
    fitted = (sheet.role == "sample").to_numpy()
    factors = sheet.frame[compared_factors(study, sheet)]
    found = one_group(data["raw"].values, data.attrs["scale"], factors, fitted, list(data["feature"].values))
    return xr.Dataset({name: ("only", _typed(found, name)) for name in (*TEXT, *COUNTS, "p_value")})


def compared_factors(study: Study, sheet: Sheet) -> list[str]:
    """Factors that stand among the fixed effects of a model of the plan, in the order of the sheet."""
    used: set[str] = set()
    for model in load_plan(study).models:
        used |= fixed_columns(terms_of(study, model))
    return [name for name, column in sheet.columns.items() if name in used and column.kind != "number"]


def _typed(found: pd.DataFrame, name: str) -> Any:
    if name in TEXT:
        return np.asarray(found[name].astype(str) if len(found) else [], dtype=object)
    return found[name].to_numpy(dtype="int64" if name in COUNTS else "float64")
