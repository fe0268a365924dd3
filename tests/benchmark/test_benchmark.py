"""The benchmark's own code on a table of 40 features: what `make bench` runs, in seconds."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

HERE = Path(__file__).parents[2] / "workflows" / "benchmark"
TINY = {"features": 40, "samples": 60, "groups": 12, "rounds": 1, "repetitions": 1, "peer_features": 6}


@pytest.fixture(scope="module")
def config() -> dict:
    return yaml.safe_load((HERE / "config.yaml").read_text()) | TINY


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, config: dict) -> Path:
    """A folder in which the table was simulated and mixflow measured once, each in a process of its own."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for script in (["simulate.py"], ["measure.py", "1"]):
        script_run(folder, *script)
    return folder


def script_run(folder: Path, name: str, *words: str) -> None:
    command = [sys.executable, str(HERE / name), str(folder / "config.yaml"), str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module(name)


def peer_of(folder: Path) -> dict:
    """A peer's file as peer_lmertest.R writes it, with mixflow's own estimates and one difference."""
    own = np.load(folder / "mixflow-1.npz")
    rows = json.loads((folder / "peer-1.rows.json").read_text())
    results = [
        {"terms": list(own["terms"]), "loglik": own["loglik"][row], **{k: list(own[k][row]) for k in KEYS}}
        for row in rows
    ]
    results[0]["estimate"][1] += 0.25 * results[0]["std_error"][1]
    facts = {"features_fitted": 6, "wall_seconds": 0.6, "cpu_seconds": 1.2, "peak_mb": 300.0, "load": [1, 3]}
    return facts | {"rows": rows, "results": results, "versions": {"R": "R version 4"}}


KEYS = ("estimate", "std_error", "df")


def test_simulated_table_has_the_declared_shape_and_is_the_same_each_time(
    config: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate = module("simulate", monkeypatch)
    sheet, values = simulate.table(config | {"features": 2000})
    assert values.shape == (2000, 60)
    assert list(sheet["group"].value_counts().unique()) == [5]
    assert abs(np.isnan(values).mean() - 0.2) < 0.01
    np.testing.assert_array_equal(values, simulate.table(config | {"features": 2000})[1])


def test_no_feature_is_given_to_the_peer_twice(config: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = module("simulate", monkeypatch).subsets(config | {"rounds": 3})
    assert [len(part) for part in parts] == [6, 6, 6]
    assert len(set(np.concatenate(parts))) == 18


def test_a_round_reports_times_memory_statuses_and_steps(work: Path) -> None:
    report = json.loads((work / "mixflow-1.json").read_text())
    assert report["cache"] == "cold"
    assert report["features"] == sum(report["statuses"].values()) == 40
    assert all(run["wall"] > 0 and run["cpu"] > 0 for run in report["engine"] + report["zarr"])
    assert 50 < report["peak_mb_engine"] <= report["peak_mb_zarr"]
    assert {"read Zarr", "Newton (kernel)", "cross-products", "tests", "write Zarr"} <= set(report["steps"])


def test_every_step_of_the_profile_is_a_function_of_mixflow(monkeypatch: pytest.MonkeyPatch) -> None:
    import mixflow

    package = Path(inspect.getfile(mixflow)).parent
    for file, function in module("steps", monkeypatch).STEPS:
        assert f"def {function}(" in (package / file).read_text(), f"{file} has no {function}"


def test_watch_gives_each_moment_to_the_innermost_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = module("steps", monkeypatch)
    ticks = iter(range(100))
    watch = steps.Watch(clock=lambda: next(ticks))
    monkeypatch.setattr(steps, "_step", lambda frame: frame)
    for event, step in [("call", "fit"), ("call", "kernel"), ("return", "kernel"), ("return", "fit")]:
        watch(step, event, None)
    watch.book()
    assert dict(watch.seconds) == {"other": 2, "fit": 2, "kernel": 1}


def test_page_holds_ratios_agreement_machine_and_figure(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = json.loads((work / "mixflow-1.json").read_text())
    report["engine"] = [{"wall": 0.04, "cpu": 0.05}]
    (work / "mixflow-1.json").write_text(json.dumps(report))
    (work / "peer-1.json").write_text(json.dumps(peer_of(work)))
    shards = {"features": 40, "engine": [{"wall": 0.08, "cpu": 0.1}], "peak_mb_engine": 500.0, "load": [1, 2]}
    (work / "shards-1.json").write_text(json.dumps(shards))
    module("page", monkeypatch).main(str(work / "config.yaml"), str(work), str(tmp_path))
    speed = pd.read_csv(tmp_path / "speed.tsv", sep="\t")
    assert list(speed["wall_ratio"][:3]) == pytest.approx([1, 100, 50])
    assert list(speed["cpu_ratio"][:3]) == pytest.approx([1, 160, 80])
    largest = pd.read_csv(tmp_path / "agreement.tsv", sep="\t").set_index("quantity")["largest"]
    assert largest["estimate, in standard errors"] == pytest.approx(0.25)
    assert largest["degrees of freedom, relative"] == 0
    text = (tmp_path / "README.md").read_text()
    assert "**100 times as fast as lmerTest by the clock (160 times in processor time)**" in text
    assert "R version 4" in text and "jaxlib" in text
    assert "Newton (kernel)" in (tmp_path / "steps.svg").read_text()


def test_lmertest_and_mixflow_agree_on_the_same_features(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not here: the benchmark's peer, lmerTest, cannot run")
    probe = "for (p in c('lmerTest', 'jsonlite')) library(p, character.only = TRUE)"
    if subprocess.run(["Rscript", "--vanilla", "-e", probe], capture_output=True).returncode:
        pytest.skip("R is here, but not its packages lmerTest and jsonlite: the benchmark's peer cannot run")
    script_run(work, "peer.py", "1")
    peer = json.loads((work / "peer-1.json").read_text())
    assert peer["features_fitted"] == 6 and peer["failed"] == 0 and peer["cpu_seconds"] > 0
    found = module("tables", monkeypatch).agreement(work, [peer]).set_index("quantity")["largest"]
    assert found["estimate, in standard errors"] < 1e-4
    assert found["degrees of freedom, relative"] < 1e-2
    assert found["log-likelihood, mixflow below lmerTest"] < 1e-6
