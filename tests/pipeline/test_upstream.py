"""What stands before a step decides whether it runs again, whatever the times of the files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mixflow.pipeline import upstream
from mixflow.pipeline.setup import Workflow
from mixflow.study import config
from tests.pipeline import tiny

STEPS = ("check", "ingest", "preprocess", "batch", "fit", "gather", "analyse", "assemble", "report")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.write(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hashes() -> dict[str, str]:
    workflow = Workflow(config.load(Path("config.yaml")))
    by_model = ("fit", "gather", "analyse")
    return {step: upstream.of(workflow, step, "mixed" if step in by_model else "") for step in STEPS}


def changed(before: dict[str, str]) -> set[str]:
    return {step for step, value in hashes().items() if value != before[step]}


def test_a_table_put_back_with_an_older_time_changes_all_that_follow_from_it(folder: Path) -> None:
    before = hashes()
    table = folder / "table.tsv"
    status = table.stat()
    content = table.read_text()
    table.write_text(content.replace("\t2", "\t1", 1))
    os.utime(table, ns=(status.st_atime_ns - 10**15, status.st_mtime_ns - 10**15))
    assert changed(before) == set(STEPS)
    table.write_text(content)
    assert changed(before) == set()


def test_settings_change_only_what_comes_after(folder: Path) -> None:
    before = hashes()
    tiny.write(folder, batch={"factors": "site", "method": "none"})
    assert changed(before) == {"assemble", "report"}
    tiny.write(folder, preprocess={"normalise": "median"})
    assert changed(before) == {"batch", "fit", "gather", "analyse", "assemble", "report"}
    tiny.write(folder, title="Another")
    assert changed(before) == {"report"}  # assemble depends on all keys by its own settings


def test_files_are_read_once_and_a_damaged_note_of_it_is_no_harm(folder: Path) -> None:
    before = hashes()
    assert upstream.KNOWN.is_file()
    upstream.KNOWN.write_text('{"table.tsv": [1')
    assert changed(before) == set()


def test_an_absent_file_is_told_by_the_step_that_reads_it(folder: Path) -> None:
    before = hashes()
    (folder / "table.tsv").unlink()
    assert "ingest" in changed(before)


def test_a_file_that_a_rule_makes_is_left_to_snakemake(folder: Path) -> None:
    def asked() -> list[str]:
        workflow = Workflow(config.load(Path("config.yaml")), is_made=lambda path: path.endswith("table.tsv"))
        return [upstream.of(workflow, step) for step in ("check", "ingest", "preprocess")]

    there = asked()
    (folder / "table.tsv").unlink()
    assert asked() == there
    sheet = folder / "samples.tsv"
    sheet.write_text(sheet.read_text() + "\n")
    assert all(a != b for a, b in zip(asked(), there, strict=True))
