"""The embedded study through a real one-node Slurm with the profile that ships: `make test-slurm`.

Tables must be the same bytes as those of a local run, under Slurm and under any scheduler that takes a script; a job
killed for memory must come back with more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.slurm import usage
from tests.slurm.node import PARTITION, Node, missing, running

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "config" / "profiles"
STUDY = "alzheimer-csf"
CONFIG = ["--configfile", str(ROOT / "config" / "config.yaml")]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
QUICK = ["--latency-wait", "10", "--seconds-between-status-checks", "2"]
"""The shipped profile asks a busy controller rarely."""
QUICK_SLURM = [*QUICK, "--slurm-init-seconds-before-status-checks", "2"]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


def call(folder: Path, words: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command in ``folder``; all that it said. Its code must be 0."""
    env = {**(environment or os.environ), "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(words, cwd=folder, env=env, timeout=1400, **pipes)
    assert done.returncode == 0, done.stdout
    return done.stdout


def tables(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in (folder / "results" / STUDY / "tables").glob("*.tsv")}
    assert len(found) >= 8
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study was run on one core of this machine."""
    folder = tmp_path_factory.mktemp("local")
    call(folder, [*SNAKEMAKE, *CONFIG, "--cores", "1", "--benchmark-extended"])
    return folder


@pytest.fixture(scope="module")
def cluster(
    node: Node, tmp_path_factory: pytest.TempPathFactory, job_rows: list[dict[str, str]]
) -> tuple[Path, list[dict[str, str]], str]:
    """The folder of a run through Slurm, the rows of its jobs, and what it said."""
    folder = tmp_path_factory.mktemp("cluster")
    run = [sys.executable, "-m", "mixflow.cli", "run", CONFIG[1], "--profile", "slurm", *QUICK_SLURM]
    with usage.watched(node) as peaks:
        said = call(folder, [*run, "--default-resources", f"slurm_partition={PARTITION}"], node.environment())
        rows = usage.table(node, peaks)
    job_rows += rows
    return folder, rows, said


def test_another_number_of_cores_runs_nothing_again(local: Path) -> None:
    for cores in ("1", "2"):
        assert "Nothing to be done" in call(local, [*SNAKEMAKE, *CONFIG, "--cores", cores])


def test_slurm_ends_with_the_same_bytes(local: Path, cluster: tuple) -> None:
    assert tables(cluster[0]) == tables(local)


def test_slurm_after_it_the_same_folder_is_done_for_a_local_run_too(cluster: tuple) -> None:
    assert "Nothing to be done" in call(cluster[0], [*SNAKEMAKE, *CONFIG, "--cores", "2"])


def test_jobs_are_arrays_and_groups_and_stay_within_what_they_asked(cluster: tuple) -> None:
    folder, rows, said = cluster
    assert {row["state"] for row in rows} == {"COMPLETED"} and {row["CPUs"] for row in rows} == {"1"}
    named = [row["rule"] for row in rows]
    assert sum("fit (task" in name for name in named) == 4 and len(re.findall(r"array job with", said)) == 1
    assert [name for name in named if name.startswith("prepare")] and not any(n == "ingest" for n in named)
    for row in rows:
        assert 0 < float(row["used MB"]) < float(row["asked MB"]), row
        assert float(row["used s"]) < 60 * float(row["asked min"]), row
    timed = list((folder / "benchmarks").rglob("*.jsonl"))
    logs = list((folder / "logs" / STUDY).rglob("*.log"))
    assert len(timed) == len(logs) == 15
    assert all(json.loads(path.read_text())["threads"] == 1 for path in timed)
    assert all("begins with 1 thread" in path.read_text() for path in logs)


def test_any_scheduler_that_takes_a_script_ends_with_the_same_bytes(local: Path, tmp_path: Path) -> None:
    submit = tmp_path / "submit"
    submit.write_text(
        '#!/bin/sh\necho "$1 $2 $3" >> asked\nnohup sh "$4" > /dev/null 2>&1 < /dev/null &\necho $!\n'
    )
    submit.chmod(0o755)
    command = f"{submit} {{threads}} {{resources.mem_mb}} {{resources.runtime}}"
    words = ["--profile", str(PROFILES / "generic"), "--jobs", "2", *QUICK]
    words += ["--cluster-generic-submit-cmd", command, "--cluster-generic-cancel-cmd", "kill"]
    call(tmp_path, [*SNAKEMAKE, *CONFIG, *words])
    assert tables(tmp_path) == tables(local)
    asked = [[int(each) for each in line.split()] for line in (tmp_path / "asked").read_text().splitlines()]
    assert len(asked) >= 8 and all(cpus == 1 and mb >= 500 and minutes >= 10 for cpus, mb, minutes in asked)


def test_a_job_killed_for_memory_comes_back_with_more(
    node: Node, tmp_path: Path, job_rows: list[dict[str, str]]
) -> None:
    write_large(tmp_path)
    config = ["--configfile", "config.yaml"]
    call(tmp_path, [*SNAKEMAKE, *config, "--cores", "2", "--until", "preprocess"])
    record = tmp_path / "benchmarks" / "large" / "fit" / "plain.1-of-1.jsonl"
    record.parent.mkdir(parents=True)
    record.write_text('{"s": 1.0, "max_rss": 10.0}\n')  # as of a run on far less data
    before = {job["JobId"] for job in node.jobs()}
    words = ["--profile", str(PROFILES / "slurm"), "--until", "fit", *QUICK_SLURM]
    with usage.watched(node) as peaks:
        said = call(tmp_path, [*SNAKEMAKE, *config, *words], node.environment())
        rows = [row for row in usage.table(node, peaks) if row["id"] not in before]
    job_rows += rows
    first, *_, last = rows = [row for row in rows if row["rule"].startswith("fit")]
    assert first["state"] != "COMPLETED" and last["state"] == "COMPLETED", rows
    assert float(last["asked MB"]) >= 1.9 * float(first["asked MB"])
    assert "exceeded memory limit" in (node.folder / "log" / "slurmd.log").read_text() + said
    assert (tmp_path / "results/large/work/shards/plain/1-of-1.zarr").is_dir()


def write_large(folder: Path) -> None:
    """A study whose fit takes some 600 MB: 20,000 features of 200 samples."""
    rng = np.random.default_rng(1)
    values = rng.normal(20, 1, size=(20_000, 200)).round(4)
    ids = [f"s{i}" for i in range(200)]
    rows = "\n".join(f"f{i}\t" + "\t".join(map(str, row)) for i, row in enumerate(values.tolist()))
    (folder / "table.tsv").write_text("feature\t" + "\t".join(ids) + "\n" + rows + "\n")
    sheet = "\n".join(f"{name}\t{'ab'[i % 2]}\tsite {i % 9}" for i, name in enumerate(ids))
    (folder / "samples.tsv").write_text("sample\tgroup\tsite\n" + sheet + "\n")
    columns = {"group": {"type": "factor", "levels": ["a", "b"]}, "site": {"type": "factor"}}
    config = {
        "study": "large",
        "data": {"files": "table.tsv", "format": "wide", "scale": "log2"},
        "samples": {"file": "samples.tsv", "id": "sample", "columns": columns},
        "batch": {"factors": "site", "method": "mixed"},
        "models": {"plain": {"formula": "~ group + (1 | site)"}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
