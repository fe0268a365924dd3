"""A job pins its threads, writes a readable log and ends bad input without a traceback."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import job


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in (*job.THREAD_VARIABLES, job.COMMAND):
        monkeypatch.setenv(name, "before")


def test_threads_are_pinned_and_lines_are_logged(tmp_path: Path, capsys) -> None:
    with job.running(tmp_path / "logs" / "x.log", 2, "ingest") as done:
        assert {os.environ[name] for name in job.THREAD_VARIABLES} == {"2"}
        assert os.environ[job.COMMAND] == "before (step ingest)"
        logging.getLogger("mixflow.store").info("read %d rows", 3)
        done("3 rows")
    lines = (tmp_path / "logs" / "x.log").read_text().splitlines()
    assert [line.split("  ", 1)[1] for line in lines[:2]] == ["ingest begins with 2 thread(s)", "read 3 rows"]
    assert "ingest: 3 rows" in lines[2]
    assert capsys.readouterr().err.startswith("mixflow  ingest      3 rows  (")


def test_bad_input_ends_with_its_problems_and_no_traceback(tmp_path: Path, capsys) -> None:
    problem = Problem("wrong", file="t.tsv", row=3, column="x", value="#NAME?", remedy="mend it")
    with pytest.raises(SystemExit) as caught, job.running(tmp_path / "x.log", 1, "ingest"):
        raise MixflowError(problem)
    assert caught.value.code == 1
    for text in (capsys.readouterr().err, (tmp_path / "x.log").read_text()):
        assert str(problem) in text
        assert "Traceback" not in text


def test_a_defect_keeps_its_traceback_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), job.running(tmp_path / "x.log", 1, "fit"):
        _ = 1 / 0
    assert "Traceback" in (tmp_path / "x.log").read_text()


def test_the_log_is_closed_and_the_logger_left_as_it_was(tmp_path: Path) -> None:
    before = (job.LOGGER.level, list(job.LOGGER.handlers))
    with job.logged(tmp_path / "x.log"):
        job.LOGGER.info("inside")
    assert (job.LOGGER.level, job.LOGGER.handlers) == before
