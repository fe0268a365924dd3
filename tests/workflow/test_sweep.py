"""Sweeps, several studies and mixflow as a module, run by a real Snakemake on a tiny study."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.pipeline import tiny
from tests.workflow.test_workflow import ROOT, dry_run, environment, mixflow_run

MODEL = {"mixed": tiny.CONFIG["models"]["mixed"]}
SWEEP = {"preprocess.normalise": ["none", "median"], "models.mixed.df": ["satterthwaite", "residual"]}

pytestmark = pytest.mark.workflow


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*mixflow_run(), *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def jobs(folder: Path, *words: str) -> dict[str, int]:
    return dry_run(folder, *words, "--configfile", "config.yaml")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a sweep of four combinations was run; not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    tiny.write(folder, models=MODEL, sweep=SWEEP)
    done = run(folder)
    assert "Comparison: results/tiny/comparison.html" in done.stdout
    return folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    shutil.copytree(swept, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


def test_each_combination_has_its_folder_and_shared_steps_ran_once(swept: Path) -> None:
    base = swept / "results" / "tiny"
    names = {path.name for path in (base / "sweep").iterdir() if path.is_dir()} - {"shared"}
    assert names == {
        f"normalise={normalise},df={df}"
        for normalise in ("none", "median")
        for df in ("satterthwaite", "residual")
    }
    counts = {step.name: len(list(step.iterdir())) for step in (base / "sweep" / "shared").iterdir()}
    assert counts == {"ingest": 1, "preprocess": 2, "fit": 2}
    table = pd.read_csv(base / "comparison" / "tables" / "comparison.tsv", sep="\t")
    assert len(table) == 4 and set(table["combination"]) == names
    assert table["reference"].tolist() == [True, False, False, False]


def test_a_combination_is_what_its_config_gives_alone(swept: Path, tmp_path: Path) -> None:
    own = swept / "results" / "tiny" / "sweep" / "normalise=median,df=residual"
    shutil.copy(own / "config.yaml", tmp_path / "config.yaml")
    command = [sys.executable, "-m", "mixflow.cli"]
    for step in ("ingest", "batch", "fit", "test"):
        subprocess.run([*command, step], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    alone, found = tmp_path / "results/tiny/work/models/mixed.zarr", own / "work/models/mixed.zarr"
    assert arrays(alone) == arrays(found) != {}


def arrays(store: Path) -> dict[str, bytes]:
    files = [path for path in store.rglob("*") if path.is_file() and "/c/" in path.as_posix()]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


def test_a_second_run_does_nothing_and_other_cores_neither(swept: Path) -> None:
    assert jobs(swept) == {}
    assert jobs(swept, "--cores", "1") == {}


def test_only_what_a_change_concerns_runs_again(folder: Path) -> None:
    more = {**SWEEP, "models.mixed.df": ["satterthwaite", "residual", "z"]}
    tiny.write(folder, models=MODEL, sweep=more)
    found = jobs(folder)
    assert not {"sweep_ingest", "sweep_preprocess", "fits_1", "sweep_fit"} & set(found)
    assert {"combine_1", "compare"} <= set(found)


def test_the_report_of_one_combination_is_made_when_asked_for(swept: Path) -> None:
    found = jobs(swept, "results/tiny/sweep/normalise=none,df=residual/report.html")
    assert found == {"sweep_batch": 1, "sweep_assemble": 1, "sweep_report": 1}


def test_a_wrong_value_stops_before_anything_runs(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=MODEL, sweep={"models.mixed.df": ["satterthwaite", "zz"]})
    done = subprocess.run(mixflow_run(), cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "models.mixed.df" in said and "'zz'" in said and "Traceback" not in said
    assert not (tmp_path / "results" / "tiny" / "sweep").exists()


def test_large_fits_are_jobs_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mixflow.pipeline import setup, sweeps
    from mixflow.study import config

    tiny.write(tmp_path, models=MODEL, sweep=SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeps, "FITS_BYTES", 100)
    found = sweeps.load(setup.Workflow(config.load("config.yaml")))
    assert found is not None
    assert found.fit_batches == [] and found.pattern("fit") != "none"


def test_several_studies_share_what_they_have_in_common(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=MODEL, studies="studies.tsv")
    rows = ["study\ttitle\tmodels.mixed.formula", "one\tFirst\t", "two\tSecond\t~ group + (1 | site)"]
    (tmp_path / "studies.tsv").write_text("\n".join(rows) + "\n")
    found = jobs(tmp_path)
    assert found == {
        "sweep_check": 1, "sweep_ingest": 1, "sweep_preprocess": 1, "sweep_batch": 2, "fits_1": 1, "combine_1": 1,
        "sweep_assemble": 2, "sweep_report": 2, "all": 1,
    }  # fmt: skip


OUTER = """
configfile: "config.yaml"

module mixflow:
    snakefile: "{snakefile}"
    config: config

use rule * from mixflow as mixflow_*

rule everything:
    default_target: True
    input: "hits.txt"

rule measure:
    output: "table.tsv"
    input: "measured.tsv"
    shell: "cp {{input}} {{output}}"

rule use:
    input: rules.mixflow_gather.output[0].format(model="mixed")
    output: "hits.txt"
    shell: "ls {{input}} > {{output}}"
"""


def outer(folder: Path, **changes: Any) -> Path:
    """Another workflow, which makes the table, has mixflow as a module, and uses what it makes."""
    tiny.write(folder, models=MODEL, **changes)
    (folder / "table.tsv").rename(folder / "measured.tsv")
    path = folder / "Snakefile"
    path.write_text(OUTER.format(snakefile=ROOT / "Snakefile"))
    return path


def test_another_workflow_makes_the_data_and_uses_the_results(tmp_path: Path) -> None:
    outer(tmp_path)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fits" in (tmp_path / "hits.txt").read_text()
    path = tmp_path / "Snakefile"
    assert dry_run(tmp_path, snakefile=path) == {}, "the table was absent when the first run began"
    measured = tmp_path / "measured.tsv"
    measured.write_text(measured.read_text().replace("\t2", "\t1", 1))
    again = {"measure", "mixflow_ingest", "mixflow_preprocess", "mixflow_fit", "mixflow_gather", "use"}
    assert set(dry_run(tmp_path, snakefile=path)) == {*again, "everything"}


def test_a_sweep_in_a_module(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=MODEL, sweep=SWEEP)
    (tmp_path / "Snakefile").write_text(
        'configfile: "config.yaml"\n\n'
        f'module mixflow:\n    snakefile: "{ROOT / "Snakefile"}"\n    config: config\n\n'
        "use rule * from mixflow as mixflow_*\n\n"
        "rule everything:\n    default_target: True\n    input: rules.mixflow_all.input\n"
    )
    found = dry_run(tmp_path, snakefile=tmp_path / "Snakefile")
    assert found["mixflow_compare"] == 1 and found["mixflow_combine_1"] == 1
    assert json.loads((tmp_path / "results/tiny/sweep/plan.json").read_text())
