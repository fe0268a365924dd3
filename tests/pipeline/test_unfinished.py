"""A job that was killed is named after the run, with the way on; those that said how they ended are not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import job, unfinished


def test_only_logs_without_an_end_are_told(tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    old = tmp_path / "check.log"
    old.write_text("12:00:00  check begins\n")
    before = unfinished.times([tmp_path])
    with job.running(tmp_path / "ingest.log", 1, "ingest") as done:
        done("read")
    for name, error in (("batch", MixflowError(Problem("no"))), ("gather", ValueError("a defect"))):
        try:
            with job.running(tmp_path / f"{name}.log", 1, name):
                raise error
        except (SystemExit, ValueError):
            pass
    (tmp_path / "fit" / "mixed.1-of-2.log").write_text(
        "12:00:00  fit begins\n12:00:01  100 of 200 features\n"
    )
    (sentence,) = unfinished.told([tmp_path], before)
    assert sentence.startswith("fit/mixed.1-of-2 was ended from outside")
    assert "memory" in sentence and "--set-resources fit:mem_mb=" in sentence


@pytest.mark.parametrize(
    ("log", "rule"),
    [
        ("report.log", "report"),
        ("sweep/check.log", "sweep_check"),
        ("sweep/ingest/0bbb8d461e0d.log", "sweep_ingest"),
        ("sweep/fit/0bbb8d461e0d.mixed.1-of-2.log", "sweep_fit"),
        ("sweep/combine_3.log", "combine_3"),
        ("sweep/compare.log", "compare"),
        ("sweep/normalise=median,df=z/report.log", "sweep_report"),
    ],
)
def test_the_rule_of_a_killed_job_is_named_as_snakemake_knows_it(log: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / log
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("12:00:00  it begins\n")
    (sentence,) = unfinished.told([tmp_path], {})
    assert f"--set-resources {rule}:mem_mb=" in sentence


def test_a_job_killed_before_its_first_word_is_told_too(tmp_path: Path) -> None:
    assert unfinished.told([tmp_path / "logs"], {}) == [unfinished.SILENT]
    with job.running(tmp_path / "ingest.log", 1, "ingest") as done:
        done("read")
    assert unfinished.told([tmp_path], {}) == [unfinished.SILENT]


def test_a_step_that_said_why_it_stopped_is_enough(tmp_path: Path) -> None:
    with suppress(SystemExit), job.running(tmp_path / "batch.log", 1, "batch"):
        raise MixflowError(Problem("no"))
    assert unfinished.told([tmp_path], {}) == []


def test_a_log_that_cannot_be_written_is_a_line_and_no_traceback(tmp_path: Path, capsys) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with suppress(SystemExit), job.running("/dev/full", 1, "fit") as done:
        done("fitted")
    said = capsys.readouterr().err
    assert "the log cannot be written" in said and "No space left" in said and "Traceback" not in said


def test_each_of_several_studies_is_looked_into(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "fit").mkdir(parents=True)
    second.mkdir()
    (first / "fit" / "mixed.log").write_text("fit begins\nused: 3 s\n")
    before = unfinished.times([first, second])
    (second / "assemble.log").write_text("assemble begins\n")
    (sentence,) = unfinished.told([first, second], before)
    assert sentence.startswith("assemble was ended from outside")
