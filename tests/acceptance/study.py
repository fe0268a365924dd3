"""A study of config/studies by its config alone: every step of the pipeline, into a folder of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr

from mixflow.pipeline import analyse, assemble, batch, check, fit, gather, ingest, preprocess
from mixflow.pipeline.paths import Paths
from mixflow.status import Status
from mixflow.store import zarr_io
from mixflow.study import config
from mixflow.study.plan import load_plan

ROOT = Path(__file__).parents[2]


def run(name: str, folder: Path) -> xr.DataTree:
    """check -> ingest -> preprocess -> batch -> fit -> gather -> analyse -> assemble of the study; its store.

    ``name``: a folder of config/studies, or "" for the embedded study.
    """
    with _working_in(ROOT):
        path = f"config/studies/{name}/config.yaml" if name else "config/config.yaml"
        study = config.load(path)
        paths, plan = Paths(study.name, folder), load_plan(study)
        check.run(study, paths.checked)
        ingest.run(study, paths.raw)
        preprocess.run(study, paths.raw, paths.data)
        batch.run(study, paths.data, paths.batch)
        for model in plan.names:
            parts = [paths.shard(model, i + 1, plan.n_shards) for i in range(plan.n_shards)]
            for i, part in enumerate(parts):
                fit.run(study, model, f"{i + 1}-of-{plan.n_shards}", paths.data, paths.batch, part)
            gather.run(study, model, parts, paths.data, paths.model(model), paths.batch)
        asking = [model.name for model in plan.models if model.analyses]
        for model in asking:
            gathered, made = paths.model(model), paths.analyses(model)
            analyse.run(study, model, gathered, paths.data, made, paths.batch)
        models = [paths.model(model) for model in plan.names]
        made = [paths.analyses(model) for model in asking]
        assemble.run(study, paths.data, paths.batch, models, paths.store, made)
    return zarr_io.load(paths.store)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def fits(tree: xr.DataTree, model: str) -> xr.Dataset:
    """The group `fits/<model>`."""
    return tree[f"fits/{model}"].to_dataset(inherit=False)


def tests(tree: xr.DataTree, model: str) -> pd.DataFrame:
    """One row for each feature and contrast of `tests/<model>`."""
    group = tree[f"tests/{model}"].to_dataset(inherit=False)
    names = [name for name, array in group.data_vars.items() if array.dims == ("feature", "contrast")]
    table = group[names].to_dataframe().reset_index()
    return table.assign(status=_names(table["status"]))


def statuses(group: xr.Dataset) -> pd.Series:
    """Names of the statuses of the fits, by feature."""
    return _names(group["status"].to_series())


def by_group(group: xr.Dataset, variable: str) -> pd.DataFrame:
    """`variance` or `share` of random intercepts: a row for each feature, a column for each group."""
    return pd.DataFrame(
        group[variable].values, index=group["feature"].values, columns=group["component_group"].values
    )


def _names(codes: pd.Series) -> pd.Series:
    return codes.map(lambda code: Status(code).name)
