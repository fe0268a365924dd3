"""Step fit: one model on one shard of the kept features -> a store of its own."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.model import Fit
from mixflow.pipeline import fitted, record, rows, sheets
from mixflow.preprocess.responses import response_of
from mixflow.slices import blocks
from mixflow.store import fits, lazy, provenance, zarr_io
from mixflow.study import families, precision
from mixflow.study.config import Study
from mixflow.study.plan import ModelPlan, fitted_frame, load_plan, shard_slice
from mixflow.study.rows import reads_rows
from mixflow.study.sheet import Sheet
from mixflow.study.structure import design_of, fit_options

LOGGER = logging.getLogger(__name__)
MATRICES = ("data/value", "data/kept", "batch/harmonised")
"""Arrays that decide what is fitted where features share their rows."""


@dataclass(frozen=True)
class Task:
    """What a model is fitted to: ``values`` (feature, sample) of the features ``part``, rows of the sheet.

    Where features have rows of their own: ``values`` (row,) of all, ``frame`` of these rows, and
    ``feature_of_row`` (row,) the number of each one's feature; else None. ``origin`` tells the values of all
    features from others; ``feature_ids`` are those of all kept features.
    """

    plan: ModelPlan
    values: np.ndarray
    frame: pd.DataFrame
    origin: str
    feature_ids: np.ndarray
    part: slice
    sheet: Sheet
    unit: str
    steps: list[dict[str, Any]]
    feature_of_row: np.ndarray | None = None
    categories: tuple[int, int] | None = None
    """Lowest and highest category of all kept features, where the model is one of ordered categories."""


def run(study: Study, model: str, shard: str, data: Path, batch: Path | None, out: Path) -> str:
    """Fit shard ``i-of-n`` of ``model`` and write ``out``; a shard without features is written empty.

    ``batch`` is needed where the config fits harmonised values.
    """
    clock = provenance.Clock()
    task = load_task(study, model, data, batch, parse_shard(shard))
    count = task.part.stop - task.part.start
    LOGGER.info("%s on %d features, shard %s", task.plan.formula, count, shard)
    fit = fit_part(study, task)
    group = fits.to_dataset(fit, **{fitted.ATTR: json.dumps(fitted.settings(study, task))})
    read = [data, *([batch] if batch else []), *task.plan.relationship.values()]
    steps = record.group(study, f"fit {model} {shard}", clock, read, task.steps)
    zarr_io.write(xr.DataTree.from_dict({f"fits/{model}": group, "provenance": steps}), out)
    return f"{model}: {int(fit.fitted.sum())} of {len(fit.status)} features fitted (shard {shard})"


def fit_part(study: Study, task: Task) -> Fit:
    """The fits of the features of a task's part."""
    from mixflow.optimise.fitting import fit_features

    if task.plan.generalised:
        return fit_generalised_part(study, task)
    design, options = design_of(study, task.plan, task.frame), fit_options(task.plan)
    recipe = precision.recipe(task.plan, task.frame, design)
    options |= {"weights": recipe.weights, **recipe.options}
    if task.feature_of_row is not None:
        return rows.fit(task, design, task.part, options, _progress())
    values, ids, reml = task.values[:, design.rows], task.feature_ids[task.part], task.plan.reml
    return fit_features(design, values, ids, reml=reml, progress=_progress(), **options)


def fit_generalised_part(study: Study, task: Task) -> Fit:
    """The same by maximum likelihood of a family (`mixflow.study.families`)."""
    ids = task.feature_ids[task.part]
    designs = families.designs_of(study, task.plan, task.frame)
    values = task.values[:, designs["mu"].rows]
    found = families.fitted_family(
        study, task.plan, task.frame, values, ids, task.categories, progress=_progress()
    )
    return found.fit


def _progress() -> Callable[[int, int], None]:
    """Logs how far the fit is, and how long the rest will take at the speed so far."""
    began = time.monotonic()

    def told(done: int, total: int) -> None:
        left = (time.monotonic() - began) * (total - done) / max(done, 1)
        LOGGER.info("%d of %d features, about %.0f s left", done, total, left)

    return told


def parse_shard(shard: str) -> tuple[int, int]:
    """``2-of-3`` -> (2, 3)."""
    index, count = shard.split("-of-")
    return int(index), int(count)


def load_task(
    study: Study,
    model: str,
    data: Path,
    batch: Path | None,
    shard: tuple[int, int] | None = None,
    *,
    read: bool = True,
    part: slice | None = None,
) -> Task:
    """Values and rows of a model, from the stores of the steps before.

    ``shard`` (number, count), or ``part`` of the kept features: only these are read, however many there are;
    without ``read`` none are.
    """
    tree = zarr_io.open(data)
    sheet, group = sheets.from_tree(tree), zarr_io.group(tree, "data")
    plan = load_plan(study).model(model)
    kept = np.flatnonzero(zarr_io.values(group["kept"], data))
    ids = np.asarray(group["feature"].values[kept], dtype=object)
    part = shard_slice(len(ids), *shard) if shard else part or slice(0, len(ids))
    frame = fitted_frame(sheet, plan)
    facts = (ids, part, sheet, group.attrs["unit"], provenance.steps(tree))
    if reads_rows(study, plan):
        values, feature_of_row, frame = rows.load(tree, data, ids, frame)
        return Task(plan, values, frame, fitted.origin(data, rows.PRECURSORS), *facts, feature_of_row)
    columns = pd.Index(group["sample"].values.astype(str)).get_indexer(frame.index)
    chosen = part if read else slice(0, 0)
    if study.batch.fit_on == "harmonised" and batch is not None:
        source, place = zarr_io.group(zarr_io.open(batch), "batch")["harmonised"][chosen], batch
    else:
        source, place = group["value"][kept[chosen]], data
    values = responses(plan, zarr_io.values(source, place), group, kept[chosen], data)[:, columns]
    origin = fitted.origin(place, *MATRICES, *(() if plan.response == "values" else ("data/raw",)))
    if plan.family == "cumulative":  # of all features, whatever the shard
        return Task(plan, values, frame, origin, *facts, categories=_extent(plan, group, kept, columns))
    return Task(plan, values, frame, origin, *facts)


def _extent(
    plan: ModelPlan, group: xr.Dataset, kept: np.ndarray, columns: np.ndarray
) -> tuple[int, int] | None:
    """Lowest and highest category of all kept features, looked at block by block."""
    source, ends = lazy.of(group["value"], kept), [np.array([np.nan])]
    for part in blocks(*source.shape):
        values = source[part][:, columns]
        if np.isfinite(values).any():
            ends.append(np.asarray(families.extent(plan, values), dtype=float))
    return families.extent(plan, np.concatenate(ends))


def responses(
    plan: ModelPlan, values: np.ndarray, group: xr.Dataset, kept: np.ndarray, data: Path
) -> np.ndarray:
    """What the model asks of the ``values`` of the features ``kept`` (numbers): themselves, presence, or nonzero."""
    if plan.response == "values":
        return values
    return response_of(plan.response, values, zarr_io.values(group["raw"][kept], data), group.attrs["scale"])
