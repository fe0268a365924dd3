"""The batch step: methods, QC samples, refusals, and fits of harmonised values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.errors import MixflowError
from mixflow.pipeline import batch, fit, ingest, preprocess
from mixflow.pipeline.paths import Paths
from mixflow.store import zarr_io
from mixflow.study import config
from tests.pipeline import tiny

PATHS = Paths("tiny")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(sheet: dict[str, Any] | None = None, n_features: int = 40, **changes: Any) -> xr.Dataset:
    """The group `batch` of the tiny study; ``sheet`` adds or replaces columns of the sample sheet."""
    path = tiny.write(Path.cwd(), n_features=n_features, **changes)
    if sheet:
        table = pd.read_csv("samples.tsv", sep="\t").assign(**sheet)
        table.to_csv("samples.tsv", sep="\t", index=False)
    study = config.load(path)
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    batch.run(study, PATHS.data, PATHS.batch)
    return zarr_io.group(zarr_io.load(PATHS.batch), "batch")


def between(values: np.ndarray) -> float:
    """Variance of the sites' means over that of all values, mean over features."""
    by_site = np.nanmean(values.reshape(len(values), 6, 4), axis=2)
    return float(np.mean(np.nanvar(by_site, axis=1) / np.nanvar(values, axis=1)))


@pytest.mark.parametrize("method", ["mixed", "combat"])
def test_harmonised_values_lose_the_sites_and_keep_the_rest(method: str) -> None:
    group = run(batch={"factors": "site", "method": method, "keep": ["group", "age"]})
    raw = zarr_io.group(zarr_io.load(PATHS.data), "data")["value"].values
    after = group["harmonised"].values
    assert between(after) < 0.4 * between(raw)
    assert np.array_equal(np.isnan(after), np.isnan(raw))
    assert list(group["factor"].values) == ["site", "group", "age"]
    assert group["pc_after"].shape == group["pc_before"].shape
    assert json.loads(group.attrs["factors"]) == ["site"]


def test_without_a_method_there_is_a_diagnosis_and_nothing_else() -> None:
    group = run(batch={"factors": "site", "method": "none"})
    assert "harmonised" not in group and "share_after" not in group
    assert float(group["share"].sel(factor="site").median()) > 0.2


def test_without_batch_factors_the_step_still_ends() -> None:
    group = run(batch={"factors": [], "method": "none"})
    assert group.sizes["batch_factor"] == 0
    assert list(group["factor"].values) == ["age", "group"]


@pytest.mark.parametrize("method", ["mixed", "combat"])
def test_two_batch_factors_are_both_removed(method: str) -> None:
    columns = {**tiny.CONFIG["samples"]["columns"], "day": {"type": "factor"}}
    samples = {**tiny.CONFIG["samples"], "columns": columns}
    settings = {"factors": ["site", "day"], "method": method, "keep": ["group"]}
    group = run({"day": ["mon", "mon", "tue", "tue"] * 6}, samples=samples, batch=settings)
    assert list(group["batch_factor"].values) == ["site", "day"]
    raw = zarr_io.group(zarr_io.load(PATHS.data), "data")["value"].values
    assert between(group["harmonised"].values) < 0.5 * between(raw)


def test_qc_samples_are_harmonised_but_not_fitted() -> None:
    kind = ["QC" if i % 4 == 3 else "patient" for i in range(24)]
    samples = {**tiny.CONFIG["samples"], "role": {"column": "kind", "qc": ["QC"]}}
    group = run({"kind": kind}, samples=samples)
    assert np.isfinite(group["cv_before"].values).all()
    assert float(group["cv_after"].median()) < float(group["cv_before"].median())
    assert group["pc_before"].sizes["sample"] == 24
    task = fit.load_task(config.load("config.yaml"), "mixed", PATHS.data, None)
    assert task.values.shape == (40, 18)


def test_a_batch_that_is_the_condition_is_refused_by_name() -> None:
    with pytest.raises(MixflowError) as caught:
        run({"site": ["x", "y"] * 12})
    problem = caught.value.problems[0]
    assert (problem.column, problem.value) == ("group", "site")
    assert not PATHS.batch.exists()


def test_harmonised_values_are_fitted_only_where_the_config_says_so() -> None:
    settings = {"factors": "site", "method": "mixed", "fit_on": "harmonised", "accept_anticonservative": True}
    group = run(batch=settings, models={"mixed": tiny.CONFIG["models"]["mixed"]})
    study = config.load("config.yaml")
    task = fit.load_task(study, "mixed", PATHS.data, PATHS.batch)
    np.testing.assert_array_equal(task.values, group["harmonised"].values)
