"""Signal drift in the batch step: found where it was put, nothing in a null table, a note where it cannot be tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from mixflow.pipeline import batch, ingest, preprocess
from mixflow.pipeline.paths import Paths
from mixflow.store import check, zarr_io
from mixflow.study import config
from tests.pipeline import tiny

PATHS = Paths("tiny")
N_DRIFTING, N_STILL, SIZE = 20, 80, 24


def sheet() -> pd.DataFrame:
    """Two plates of 24 injections, every third a QC; a blank before each plate; a plate of three."""
    plates = np.repeat(["one", "two", "three"], [SIZE + 1, SIZE + 1, 3])
    injection = np.arange(1, len(plates) + 1)
    kind = np.where(injection % 3 == 0, "QC", "patient")
    kind[[0, SIZE + 1]] = "blank"
    return pd.DataFrame({
        "sample": [f"s{i:02d}" for i in injection],
        "group": np.array(["a", "b"])[injection // 2 % 2],
        "site": plates,
        "injection": injection,
        "kind": kind,
    })  # fmt: skip


def values(frame: pd.DataFrame) -> np.ndarray:
    """Features of which the first 20 fall in plate `two`; one is seen in four samples only."""
    rng = np.random.default_rng(8)
    plate, n = pd.factorize(frame["site"])[0], len(frame)
    y = 20 + rng.normal(size=(N_DRIFTING + N_STILL, n)) + rng.normal(size=(N_DRIFTING + N_STILL, 3))[:, plate]
    place = frame["injection"].to_numpy() - SIZE - 2.0
    y[:N_DRIFTING] += np.where(plate == 1, 8 * np.exp(-place / 8), 0.0)
    y[:, (frame["kind"] == "blank").to_numpy()] = 3.0
    y[-1, 4:] = np.nan
    return y


def run(frame: pd.DataFrame, y: np.ndarray, **settings: Any) -> xr.DataTree:
    """The store of the batch step."""
    table = pd.DataFrame(y, index=[f"P{i:03d}" for i in range(len(y))], columns=frame["sample"])
    table.to_csv("table.tsv", sep="\t", index_label="protein")
    frame.to_csv("samples.tsv", sep="\t", index=False)
    columns = {"group": {"type": "factor"}, "site": {"type": "factor"}}
    role = {"column": "kind", "qc": ["QC"], "blank": ["blank"]}
    changed = {
        "samples": {**tiny.CONFIG["samples"], "columns": columns, "role": role},
        "batch": {"factors": "site", "method": "none", "order": "injection", **settings},
        "models": {"plain": {"formula": "~ group"}},
    }
    Path("config.yaml").write_text(yaml.safe_dump({**tiny.CONFIG, **changed}, sort_keys=False))
    study = config.load("config.yaml")
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    batch.run(study, PATHS.data, PATHS.batch)
    tree = zarr_io.load(PATHS.batch)
    check.check(tree)
    return tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("drift"))
        frame = sheet()
        return run(frame, values(frame))


def test_drift_is_found_where_it_was_put_and_nowhere_else(tree: xr.DataTree) -> None:
    found = zarr_io.group(tree, "batch")
    drifting, still = found.isel(feature=slice(N_DRIFTING)), found.isel(feature=slice(N_DRIFTING, -1))
    assert (drifting["drift_q"].values < 0.05).mean() > 0.9
    assert float(drifting["drift_share"].median()) > 0.5
    assert (still["drift_q"].values < 0.05).sum() <= 2
    assert float(still["drift_share"].median()) < 0.1
    assert (found.attrs["drift_order"], found.attrs["drift_batch"]) == ("injection", "site")


def test_qc_samples_are_read_blanks_are_not_and_the_rest_is_told(tree: xr.DataTree) -> None:
    found = zarr_io.group(tree, "batch")
    assert found.attrs["drift_used"] == "QC samples"
    assert set(found["drift_n"].values[:-1]) == {16}
    assert np.isnan(found["drift_p"].values[-1]) and np.isfinite(found["drift_p"].values[:-1]).all()
    notes = json.loads(found.attrs["notes"])
    assert any("without a drift curve: three." in note for note in notes)
    assert any(note.startswith("1 of 100 features") for note in notes)


def test_curves_of_the_clearest_features_are_kept(tree: xr.DataTree) -> None:
    curves = pd.DataFrame({str(k): v.values for k, v in zarr_io.group(tree, "batch/drift_curves").items()})
    found = zarr_io.group(tree, "batch")
    order = found["feature"].values[np.argsort(found["drift_p"].values, kind="stable")]
    assert list(dict.fromkeys(curves["feature_id"])) == list(order[:6])
    first = curves[curves["feature_id"] == order[0]]
    ends = first.groupby("batch")["estimate"].agg(["first", "last"])
    assert ends.loc["two", "first"] - ends.loc["two", "last"] > 4
    assert abs(ends.loc["one", "first"] - ends.loc["one", "last"]) < 3
    assert first.groupby("batch")["order"].min().eq(0).all()


def test_no_batch_with_enough_samples_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = sheet()
    y = values(frame)
    frame["site"] = [f"plate {i // 3}" for i in range(len(frame))]
    tree = run(frame, y)
    found = zarr_io.group(tree, "batch")
    assert "drift_p" not in found and "/batch/drift_curves" not in tree.groups
    (note,) = [note for note in json.loads(found.attrs["notes"]) if "Drift" in note]
    assert "no site has 5 samples at different places (the largest has 3)" in note


def test_without_an_order_nothing_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = sheet()
    tree = run(frame, values(frame), order=None)
    assert not any(str(name).startswith("drift") for name in zarr_io.group(tree, "batch"))
    assert "drift_order" not in zarr_io.group(tree, "batch").attrs
