"""Steps that read by blocks of features: the same numbers as of all features at once."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mixflow import resources, slices
from mixflow.errors import MixflowError
from mixflow.harmonise import principal_components
from mixflow.pipeline.paths import Paths
from mixflow.preprocess import by_blocks
from mixflow.preprocess.prepare import prepare
from mixflow.slices import Sliced
from mixflow.store import manifest, zarr_io
from tests.pipeline.steps import run

CASES = list(
    product(
        ("intensity", "count", "free"),
        ("none", "log2", "logit", "asin_sqrt"),
        ("none", "median", "total_sum"),
    )
)
CONFIG = {
    "seed": 1,
    "samples": 60,
    "subjects": 15,
    "plates": 3,
    "missing": 0.2,
    "changed": 0.3,
    "formula": "~ arm + age + (1 | subject)",
}


def table() -> np.ndarray:
    """Values with missing ones, zeros, an empty feature and a constant one."""
    rng = np.random.default_rng(0)
    x = np.exp2(rng.normal(10, 2, (700, 20)))
    x[rng.random(x.shape) < 0.3] = np.nan
    x[rng.random(x.shape) < 0.02] = 0
    x[5], x[7] = np.nan, 4
    return x


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 128 features, and medians of few samples at a time."""
    monkeypatch.setattr(slices, "BLOCK", 128)
    monkeypatch.setattr(slices, "BLOCK_BYTES", 1)
    monkeypatch.setattr(by_blocks, "COLUMN_BYTES", 3 * 8 * 700)


def by_slices(x: np.ndarray) -> Sliced:
    def read(start: int, stop: int) -> np.ndarray:
        assert stop - start <= 128
        return x[start:stop]

    return Sliced(x.shape, x.dtype, read)


@pytest.mark.parametrize(("scale", "transform", "normalise"), CASES)
def test_preprocessing_by_blocks(scale: str, transform: str, normalise: str, small: None) -> None:
    x, role = table(), np.arange(20) != 3
    for zero in ({}, {"missing": True}, {"pseudocount": 1e-9}):
        config = {
            "transform": transform,
            "normalise": normalise,
            "zero": zero,
            "filters": {"min_observed": 0.6},
        }
        facts: dict[str, Any] = {"is_sample": role, "unit": "u", "features": list(map(str, range(len(x))))}
        try:
            whole = prepare(x, scale, config, **facts)
        except MixflowError as error:
            with pytest.raises(MixflowError) as caught:
                by_blocks.prepare_by_blocks(by_slices(x), scale, config, **facts)
            assert caught.value.problems[0].column == error.problems[0].column
            continue
        found = by_blocks.prepare_by_blocks(by_slices(x), scale, config, **facts)
        kept = np.concatenate([found.value[i : i + 100] for i in range(0, len(x), 100)])
        np.testing.assert_array_equal(kept, whole.value)
        for name in ("size_factor", "kept", "dropped_by"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
        for name in ("scale", "unit", "dropped", "notes"):
            assert getattr(found, name) == getattr(whole, name)


@pytest.mark.parametrize(("n", "missing"), [(700, 0.0), (700, 0.02), (700, 0.3), (15, 0.0)])
def test_components_by_blocks(n: int, missing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 40)) + rng.normal(size=(n, 1))
    x[rng.random(x.shape) < missing] = np.nan
    x[3], x[:, 7] = np.nan, np.nan
    fit_on = np.arange(40) > 4
    whole = principal_components(x, fit_on, shown=np.arange(40) > 2)
    monkeypatch.setattr(slices, "BLOCK", 128)
    monkeypatch.setattr(slices, "BLOCK_BYTES", 1)
    found = principal_components(by_slices(x), fit_on, shown=np.arange(40) > 2)
    np.testing.assert_allclose(found.scores, whole.scores, atol=1e-9)
    np.testing.assert_allclose(found.share, whole.share, rtol=1e-9)
    assert (found.note, found.n_features) == (whole.note, whole.n_features)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of `make size`, of 700 features, and its contrasts asking for values of each level."""
    folder = tmp_path_factory.mktemp("size")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(resources.root() / "workflows" / "size"))
        sys.modules.pop("simulate", None)
        import simulate

        (folder / "size.yaml").write_text(yaml.safe_dump(CONFIG))
        simulate.main(str(folder / "size.yaml"), "700", str(folder))
        sys.modules.pop("simulate", None)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["models"]["mixed"]["min_values"] = 45
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def arrays(store: Path) -> dict[str, tuple[int, str]]:
    return {name: entry for name, entry in manifest.read(store).items() if not name.startswith("provenance")}


def test_a_study_by_blocks_ends_with_the_same_bytes(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths("size-700")
    found = []
    for blocks in (None, 128):
        (tmp_path / str(blocks)).mkdir()
        monkeypatch.chdir(tmp_path / str(blocks))
        if blocks:
            monkeypatch.setattr(slices, "BLOCK", blocks)
            monkeypatch.setattr(slices, "BLOCK_BYTES", 1)
        run(simulated / "config.yaml", analyse=False)
        found.append(
            [Path.cwd() / path for path in (paths.raw, paths.data, paths.model("mixed"), paths.batch)]
        )
    for whole, parts in zip(*(stores[:3] for stores in found), strict=True):
        assert arrays(whole) == arrays(parts)
    tests = zarr_io.load(found[0][2])["tests/mixed"]
    assert len(np.unique(tests["status"])) > 1  # some features have too few values for the contrast
    whole, parts = (zarr_io.load(stores[3])["batch"].to_dataset() for stores in found)
    for name in whole.variables:
        if whole[name].dtype.kind == "f":
            np.testing.assert_allclose(whole[name].values, parts[name].values, rtol=1e-9, atol=1e-9)
