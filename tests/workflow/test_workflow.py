"""The workflow run by a real Snakemake on a tiny study: entry points, what runs again, kills and resumes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline import tiny

ROOT = Path(__file__).parents[2]
ONE_MODEL = {"mixed": {**tiny.CONFIG["models"]["mixed"], "analyses": {"r2": None}}}
STEPS = ("check", "ingest", "preprocess", "batch", "fit", "gather", "analyse", "assemble", "report")

pytestmark = pytest.mark.workflow


def environment(package: Path = ROOT) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(package)}


def mixflow_run(*words: str) -> list[str]:
    return [sys.executable, "-m", "mixflow.cli", "run", "--cores", "2", *words]


def dry_run(
    folder: Path, *words: str, snakefile: Path = ROOT / "Snakefile", package: Path = ROOT
) -> dict[str, int]:
    """Jobs that Snakemake would run, by rule."""
    command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(snakefile), *words]
    if "--cores" not in words:
        command += ["--cores", "2"]
    done = subprocess.run(command, cwd=folder, env=environment(package), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.search(r"Job stats:\n(.*?)\n\n", done.stdout, flags=re.DOTALL)
    if table is None:
        assert "Nothing to be done" in done.stdout + done.stderr
        return {}
    rows = [line.split() for line in table[1].splitlines()[2:]]
    return {name: int(count) for name, count in rows if name != "total"}


def results(folder: Path) -> dict[str, bytes]:
    """Bytes of the tables and of every array of the study's store."""
    base = folder / "results" / "tiny"
    arrays = [p for p in (base / "study.zarr").rglob("*") if p.is_file() and "/c/" in p.as_posix()]
    tables = list((base / "tables").glob("*.tsv"))
    assert len(tables) >= 3 and len(arrays) >= 30
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in arrays + tables}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `mixflow run` did everything once; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    tiny.write(folder, models=ONE_MODEL)
    done = subprocess.run(
        mixflow_run(), cwd=folder, env=environment(), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Report: results/tiny/report.html" in done.stdout
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it with the same times."""
    shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


def configured(folder: Path, *words: str, **more) -> dict[str, int]:
    return dry_run(folder, "--configfile", "config.yaml", *words, **more)


def test_all_outputs_logs_and_benchmarks_are_where_they_belong(finished: Path) -> None:
    made = {path.name for path in (finished / "results" / "tiny").iterdir()}
    assert {"study.zarr", "report.html", "tables", "figures", "results.xlsx", "work"} <= made
    logs = {p.relative_to(finished / "logs/tiny").as_posix() for p in (finished / "logs/tiny").rglob("*.log")}
    assert logs == {f"{step}.log" for step in STEPS if step not in ("fit", "gather", "analyse")} | {
        "fit/mixed.1-of-1.log",
        "gather/mixed.log",
        "analyse/mixed.log",
    }
    timed = list((finished / "benchmarks/tiny").rglob("*.jsonl"))
    assert len(timed) == len(logs)
    assert (finished / "results/tiny/tables/mixed.r2.tsv").is_file()
    assert "8 of 8 features" in (finished / "logs/tiny/fit/mixed.1-of-1.log").read_text()
    assert {p.name for p in finished.iterdir() if not p.name.startswith(".")} == {
        "config.yaml", "table.tsv", "samples.tsv", "results", "logs", "benchmarks",
    }  # fmt: skip


def test_a_second_run_does_nothing_and_says_so(finished: Path) -> None:
    done = subprocess.run(mixflow_run(), cwd=finished, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in done.stdout
    assert not (finished / ".snakemake" / "mixflow-run.json").exists()


@pytest.mark.parametrize("cores", ["1", "4"])
def test_another_number_of_cores_runs_nothing_again(finished: Path, cores: str) -> None:
    assert configured(finished, "--cores", cores) == {}


def test_only_what_a_change_concerns_runs_again(folder: Path) -> None:
    contrast = {"mixed": {**ONE_MODEL["mixed"], "contrasts": {"ten years": {"age": 10}}}}
    tiny.write(folder / "other", models=contrast)
    shutil.copy(folder / "other" / "config.yaml", folder / "config.yaml")
    jobs = configured(folder)
    assert {"check", "gather", "assemble", "report"} <= set(jobs)
    assert not {"ingest", "fit"} & set(jobs)
    analyses = {"mixed": {**ONE_MODEL["mixed"], "analyses": {"r2": None, "again": {"analysis": "r2"}}}}
    tiny.write(folder / "other", models=analyses)
    shutil.copy(folder / "other" / "config.yaml", folder / "config.yaml")
    assert set(configured(folder)) == {"check", "analyse", "assemble", "report", "all"}
    tiny.write(folder / "other", models=ONE_MODEL, report={"top": 7})
    shutil.copy(folder / "other" / "config.yaml", folder / "config.yaml")
    assert set(configured(folder)) == {"assemble", "report", "all"}


def test_what_single_commands_wrote_runs_again(folder: Path) -> None:
    command = [sys.executable, "-m", "mixflow.cli", "ingest"]
    subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=True)
    done = subprocess.run(mixflow_run("-n"), cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^check +1$", done.stdout, re.MULTILINE)
    assert re.search(r"^ingest +1$", done.stdout, re.MULTILINE)
    assert (folder / "results/tiny/work/by-command.json").is_file()


def test_editing_the_package_runs_what_uses_it_again(finished: Path, tmp_path: Path) -> None:
    for name in ("mixflow", "workflows", "reports", "config"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "package" / name, ignore=ignored)
    package = tmp_path / "package"
    shutil.copy(ROOT / "Snakefile", package)
    snakefile = package / "Snakefile"
    assert configured(finished, snakefile=snakefile, package=package) == {}
    append(package / "mixflow" / "report" / "build.py")
    assert set(configured(finished, snakefile=snakefile, package=package)) == {"report", "all"}
    append(package / "mixflow" / "derived" / "analysis.py")
    jobs = configured(finished, snakefile=snakefile, package=package)
    assert "analyse" in jobs and not {"ingest", "preprocess", "batch", "fit", "gather"} & set(jobs)
    append(package / "mixflow" / "optimise" / "newton.py")
    jobs = configured(finished, snakefile=snakefile, package=package)
    assert {"fit", "gather", "analyse", "batch", "assemble"} <= set(jobs)
    assert not {"ingest", "preprocess"} & set(jobs)


def append(path: Path) -> None:
    with path.open("a") as handle:
        handle.write("\n# edited\n")


def test_the_catalog_s_entry_point_has_a_default_target(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=ONE_MODEL)
    jobs = configured(tmp_path, snakefile=ROOT / "workflow" / "Snakefile")
    assert set(jobs) == {*STEPS, "default"}


def test_the_workflow_serves_as_a_module(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, models=ONE_MODEL)
    (tmp_path / "Snakefile").write_text(
        f'configfile: "{path.name}"\n\n'
        f'module mixflow:\n    snakefile: "{ROOT / "Snakefile"}"\n    config: config\n\n'
        "use rule * from mixflow as mixflow_*\n\n"
        "rule everything:\n    default_target: True\n    input: rules.mixflow_all.input\n"
    )
    jobs = dry_run(tmp_path, snakefile=tmp_path / "Snakefile")
    assert set(jobs) == {*(f"mixflow_{step}" for step in STEPS), "everything"}


def test_a_module_and_a_key_on_the_command_line_find_the_files_beside_the_config(tmp_path: Path) -> None:
    tiny.write(tmp_path / "my", models=ONE_MODEL)
    (tmp_path / "Snakefile").write_text(
        'configfile: "my/config.yaml"\n\n'
        f'module mixflow:\n    snakefile: "{ROOT / "Snakefile"}"\n    config: {{**config, "seed": 7}}\n\n'
        "use rule * from mixflow as mixflow_*\n\n"
        "rule everything:\n    default_target: True\n    input: rules.mixflow_all.input\n"
    )
    assert "mixflow_ingest" in dry_run(tmp_path, snakefile=tmp_path / "Snakefile")
    assert "ingest" in dry_run(tmp_path, "--configfile", "my/config.yaml", "--config", "seed=7")


def test_no_key_of_one_study_reaches_another(tmp_path: Path) -> None:
    tiny.write(tmp_path / "config", study="other", models={"decoy": ONE_MODEL["mixed"]}, shards=3)
    tiny.write(tmp_path, models=ONE_MODEL)
    jobs = configured(tmp_path)
    assert jobs["fit"] == 1
    alone = dry_run(tmp_path)
    assert alone["fit"] == 3


def test_several_shards_are_several_jobs(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=ONE_MODEL, shards=5)
    assert configured(tmp_path)["fit"] == 5


def test_a_config_that_is_wrong_is_told_without_a_traceback(tmp_path: Path) -> None:
    tiny.write(tmp_path, models={"mixed": {"formula": "~ group", "contrats": {}}})
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--cores",
        "1",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    done = subprocess.run(
        [*command, "--configfile", "config.yaml"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "did you mean `contrasts`" in said and "Traceback" not in said


def test_bad_data_stop_the_run_with_their_place(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=ONE_MODEL)
    table = tmp_path / "table.tsv"
    table.write_text(re.sub(r"^(P0002\t)[^\t]+", r"\1#NAME?", table.read_text(), flags=re.MULTILINE))
    done = subprocess.run(mixflow_run(), cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "table.tsv, row 4" in done.stderr and "#NAME?" in done.stderr and "Traceback" not in done.stderr
    assert "check stopped" in done.stderr and "ingest" not in done.stderr
    assert not (tmp_path / "results" / "tiny" / "study.zarr").exists()


def test_refused_data_are_not_read_again_by_a_retry_and_mended_data_are(tmp_path: Path) -> None:
    tiny.write(tmp_path, models=ONE_MODEL)
    table = tmp_path / "table.tsv"
    well = table.read_text()
    table.write_text(re.sub(r"^(P0002\t)[^\t]+", r"\1#NAME?", well, flags=re.MULTILINE))
    words = mixflow_run("--retries", "1", "--until", "check")
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("table.tsv, row 4") == 2
    assert (
        done.stderr.count("check stopped") == done.stderr.count("check stopped, as in the attempt") + 1 == 2
    )
    table.write_text(well)
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "stopped" not in done.stderr, done.stderr
    assert not list((tmp_path / ".snakemake" / "mixflow-refused").iterdir())


def test_killed_at_any_step_and_resumed_the_results_are_the_same(finished: Path, tmp_path: Path) -> None:
    tiny.write(tmp_path, models=ONE_MODEL)
    for log in ("ingest.log", "fit/mixed.1-of-1.log", "gather/mixed.log"):
        kill_when(tmp_path, tmp_path / "logs" / "tiny" / log)
        assert list((tmp_path / ".snakemake" / "locks").glob("*")), "the killed run left no lock"
    done = subprocess.run(
        mixflow_run(), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A killed run had left a lock" in done.stdout
    assert results(tmp_path) == results(finished)


def kill_when(folder: Path, log: Path) -> None:
    """Start a run and kill all its processes, without a chance to tidy, once the step has begun its log."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(mixflow_run(), cwd=folder, env=environment(), start_new_session=True, **quiet)
    try:
        until = time.monotonic() + 200
        while not (log.is_file() and log.stat().st_size):
            assert run.poll() is None, f"the run ended before {log.name}"
            assert time.monotonic() < until, f"{log.name} did not begin"
            time.sleep(0.02)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def test_the_lock_of_a_living_run_is_left_alone(folder: Path) -> None:
    (folder / ".snakemake" / "locks").mkdir(exist_ok=True)
    (folder / ".snakemake" / "locks" / "0.input.lock").write_text("table.tsv")
    done = subprocess.run(mixflow_run(), cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "mixflow run config.yaml --unlock" in done.stderr
    assert (folder / ".snakemake" / "locks" / "0.input.lock").exists()
