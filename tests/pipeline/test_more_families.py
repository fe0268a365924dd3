"""Trials, ordered categories, detection limits, abundance beside presence: from the config as from Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mixflow
from mixflow.model import Fit
from mixflow.pipeline.paths import Paths
from mixflow.status import Status
from mixflow.store import analyses, fits, zarr_io
from tests.pipeline import counts, steps

pytestmark = pytest.mark.grid
KEPT = ["up", "plain", "gaps", "zero", "constant"]
OWN = {"formula": "~ group + (1 | subject)", "contrasts": {"b vs a": {"group": ["b", "a"]}}}
MODELS = {
    "tried": {**OWN, "family": "binomial", "trials": "tried", "nagq": "auto"},
    "ordered": {**OWN, "family": "cumulative", "thresholds": "equidistant"},
    "limits": {**OWN, "family": "censored", "limit": "lod"},
    "abundance": {**OWN, "response": "nonzero", "analyses": {"joint": {"with": "presence"}}},
    "presence": {**OWN, "family": "binomial", "response": "presence"},
}


def table() -> pd.DataFrame:
    """Counts up to 6, so that they are categories too."""
    return counts.data()[0].loc[KEPT].clip(upper=6)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[xr.DataTree]:
    folder = tmp_path_factory.mktemp("families")
    samples = {**counts.CONFIG["samples"]}
    samples["columns"] = {**samples["columns"], "lod": {"type": "number"}}
    path = counts.write(folder, models=MODELS, samples=samples)
    table().to_csv(folder / "table.tsv", sep="\t", index_label="taxon")
    counts.data()[1].assign(lod=1.0).to_csv(folder / "samples.tsv", sep="\t", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        steps.run(path)
        yield zarr_io.load(Paths("counted").store)


def stored(tree: xr.DataTree, model: str) -> Fit:
    return fits.from_dataset(tree[f"fits/{model}"].to_dataset(inherit=False))


def same(one: Fit, other: Fit) -> None:
    for name in ("solution", "loglik", "more", "status"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    assert one.more_names == other.more_names


def test_ordered_categories(tree: xr.DataTree) -> None:
    opened = mixflow.open(Paths("counted").store)
    options = {"family": "cumulative", "thresholds": "equidistant"}
    same(stored(tree, "ordered"), mixflow.fit(OWN["formula"], opened, **options).model)
    assert [name for _, name in stored(tree, "ordered").more_names][:2] == ["0|1", "1|2"]


def test_detection_limits(tree: xr.DataTree) -> None:
    opened = mixflow.open(Paths("counted").store)
    same(stored(tree, "limits"), mixflow.fit(f"below(lod) {OWN['formula']}", opened, family="censored").model)


def test_trials_are_what_cbind_has(tree: xr.DataTree) -> None:
    fit, sheet = stored(tree, "tried"), counts.data()[1]
    frame = sheet.assign(y=table().loc["up"].to_numpy(), left=lambda d: d["tried"] - d["y"])
    own = mixflow.fit("cbind(y, left) ~ group + (1 | subject)", frame, family="binomial").model
    np.testing.assert_allclose(fit.solution[0], own.solution[0], rtol=1e-6)
    assert fit.status[KEPT.index("zero")] == Status.NO_VARIATION
    assert set(fit.nodes_of_feature) == {1}  # Laplace's approximation will do for 60 trials a sample


def test_abundance_beside_presence(tree: xr.DataTree) -> None:
    raw = table()
    assert np.array_equal(stored(tree, "abundance").n_obs, (raw > 0).sum(axis=1))
    assert np.array_equal(stored(tree, "presence").n_obs, raw.notna().sum(axis=1))
    joint = analyses.from_dataset(tree["analyses/abundance/joint"].to_dataset(inherit=False))
    assert joint["p_value"].notna().sum() >= 3
