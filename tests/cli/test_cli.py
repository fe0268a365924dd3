"""The commands: what they print, their exit codes, and no traceback ever."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mixflow
from mixflow.cli import main
from tests.pipeline import tiny

ROOT = Path(__file__).parents[2]


def command(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and error stream of `mixflow WORDS` in ``folder``."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mixflow", *words])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main()
    return int(end.value.code or 0), out.getvalue(), err.getvalue()


def good(folder: Path, *words: str) -> str:
    code, out, err = command(folder, *words)
    assert code == 0, out + err
    return out


def bad(folder: Path, *words: str) -> str:
    code, out, err = command(folder, *words)
    assert code == 1, out + err
    return err


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study taken through all steps by the commands."""
    folder = tmp_path_factory.mktemp("commands")
    tiny.write(folder, models={"plain": tiny.CONFIG["models"]["plain"]})
    assert "24 samples x 8 features" in good(folder, "ingest")
    assert "8 of 8 features kept" in good(folder, "batch")
    assert "8 of 8 features fitted" in good(folder, "fit", "--model", "plain")
    assert "in case vs control" in good(folder, "test", "config.yaml")
    return folder


def test_the_version_is_told(tmp_path: Path) -> None:
    assert good(tmp_path, "--version").strip() == f"mixflow {mixflow.__version__}"


def test_a_process_of_its_own_ends_with_code_1_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mixflow.cli", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("1 problem:") and "Traceback" not in done.stderr


def test_info_tells_statuses_tests_and_steps(study: Path) -> None:
    text = good(study, "info", "results/tiny/study.zarr")
    for expected in (
        "tiny: A tiny study",
        "tests/plain  (",
        "8  ok",
        "case vs control  (8 tested)",
        "assemble",
    ):
        assert expected in text


def test_verify_finds_a_flipped_byte_and_the_report_stops(study: Path) -> None:
    store = study / "results" / "tiny" / "study.zarr"
    assert "as it was written" in good(study, "verify", str(store))
    chunk = store / "data" / "raw" / "c" / "0" / "0"
    content = chunk.read_bytes()
    try:
        chunk.write_bytes(content[:30] + bytes([content[30] ^ 1]) + content[31:])
        for word in ("verify", "report"):
            said = bad(study, word, str(store))
            assert "data/raw/c/0/0" in said and "changed after it was written" in said
    finally:
        chunk.write_bytes(content)
    assert not (store.parent / "report.html").exists()


def test_validate_lists_everything_at_once(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    assert "nothing wrong" in good(tmp_path, "validate")
    text = path.read_text().replace("~ group + age", "~ group + agee")
    path.write_text(text.replace("scale: log2", "scale: log3"))
    said = bad(tmp_path, "validate", "config.yaml")
    assert int(said.split()[0]) >= 2
    assert "log3" in said and "agee" in said and "config.yaml, row 6" in said and "->" in said


def test_init_writes_a_config_that_is_valid(tmp_path: Path) -> None:
    tiny.write(tmp_path / "files")
    said = good(tmp_path, "init", "files/table.tsv", "files/samples.tsv", "--folder", "mine")
    assert "wrote mine/config.yaml" in said
    assert "nothing wrong" in good(tmp_path, "validate", "mine/config.yaml")
    assert "is there already" in bad(tmp_path, "init", "files/table.tsv", "--folder", "mine")


def test_a_folder_without_a_study_and_a_store_that_is_none(tmp_path: Path) -> None:
    for words in (("run",), ("ingest",), ("validate",)):
        assert "mixflow init" in bad(tmp_path, *words)
    assert "no such folder" in bad(tmp_path, "info", "nothing.zarr")
    assert "no store here" in bad(tmp_path, "verify", "nothing.zarr")


def test_an_earlier_step_that_is_missing_is_named(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    assert "mixflow ingest" in bad(tmp_path, "batch")
    assert "mixflow batch" in bad(tmp_path, "fit", "--model", "plain")
