"""A job that was killed is named after the run, with the way on; those that said how they ended are not."""

from __future__ import annotations

from pathlib import Path

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import job, unfinished


def test_only_logs_without_an_end_are_told(tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    old = tmp_path / "check.log"
    old.write_text("12:00:00  check begins\n")
    before = unfinished.times(tmp_path)
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
    (sentence,) = unfinished.told(tmp_path, before)
    assert sentence.startswith("fit/mixed.1-of-2 was ended from outside")
    assert "memory" in sentence and "--set-resources fit:mem_mb=" in sentence


def test_a_study_without_logs_has_none(tmp_path: Path) -> None:
    assert unfinished.told(tmp_path / "logs", {}) == []
