"""Data that are refused are not tried again; what a machine did is, and nothing old is told of a mended input."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import job, refused

PROBLEMS = [Problem("a word", file="t.tsv", row=4, value="#NAME?", remedy="mend it"), Problem("and another")]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".snakemake").mkdir()


def attempt(log: Path, number: int, follows: str, error: BaseException | None) -> bool:
    """Run a job that raises ``error``; whether it got as far as doing anything."""
    began = False
    try:
        with job.running(log, 1, "ingest", attempt=number, follows=follows) as done:
            began = True
            if error is not None:
                raise error
            done("3 rows")
    except SystemExit as ended:
        assert ended.code == 1
    return began


def test_a_further_attempt_on_the_same_input_ends_at_once_with_the_same_words(tmp_path: Path, capsys) -> None:
    log = tmp_path / "x.log"
    assert attempt(log, 1, "abc", MixflowError(PROBLEMS))
    said = capsys.readouterr().err
    for number in (2, 3):
        log.unlink()  # as Snakemake does before each attempt
        assert not attempt(log, number, "abc", None)
        told = capsys.readouterr().err
        assert told.splitlines()[1:] == said.splitlines()[1:] == str(MixflowError(PROBLEMS)).splitlines()
        assert "as in the attempt before" in told
        assert "stopped:" in log.read_text() and str(PROBLEMS[0]) in log.read_text()


def test_a_new_run_and_a_mended_input_are_not_told_the_old_words(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert attempt(log, 1, "abc", MixflowError(PROBLEMS))
    assert attempt(log, 2, "mended", None)
    assert attempt(log, 1, "abc", MixflowError(PROBLEMS))
    assert attempt(log, 1, "abc", None)
    assert attempt(log, 2, "abc", None), "the first attempt of a run takes the note of an earlier run away"
    assert attempt(tmp_path / "another.log", 2, "abc", None)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("8 GiB"),
        OSError(28, "No space left on device", "results/x"),
        MixflowError(Problem("cut", file="results/tiny/work/raw.zarr/data/c/0")),
    ],
    ids=["memory", "disk", "store"],
)
def test_what_a_machine_did_is_tried_again(tmp_path: Path, error: BaseException) -> None:
    log = tmp_path / "x.log"
    assert attempt(log, 1, "abc", error)
    assert "stopped:" in log.read_text() and attempt(log, 2, "abc", None)


def test_a_file_or_package_missing_on_one_node_is_tried_again(tmp_path: Path) -> None:
    for behind in (FileNotFoundError("t.tsv"), ImportError("openpyxl")):
        error = MixflowError(PROBLEMS)
        error.__cause__ = behind
        assert not refused.is_of_data(error)
    assert refused.is_of_data(MixflowError(PROBLEMS))


def test_only_params_that_tell_the_input_have_a_hash() -> None:
    params = {"config": "config.yaml", "settings": "a", "upstream": "b", "nodes": ["x"]}
    assert refused.hash_of(params.items()) != refused.hash_of({**params, "upstream": "c"}.items()) != ""
    assert refused.hash_of({"config": "config.yaml", "settings": "a"}.items()) == ""
