"""The code hash of a step follows what the step imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mixflow.pipeline import codehash


def test_the_closure_reaches_what_is_imported_inside_functions() -> None:
    fit = codehash.closure("mixflow.pipeline.fit")
    assert {"mixflow.store.zarr_io", "mixflow.study.plan", "mixflow.store.schema", "mixflow.errors"} <= fit
    assert "mixflow.report.build" not in fit
    assert "mixflow.report.build" in codehash.closure("mixflow.pipeline.report")
    assert "mixflow.store.readers.wide" in codehash.closure("mixflow.pipeline.ingest")


def test_what_comes_after_the_fits_is_no_part_of_what_fits_them() -> None:
    for step in ("ingest", "preprocess", "batch", "fit", "gather"):
        reached = codehash.closure(f"mixflow.pipeline.{step}")
        assert not {n for n in reached if n.split(".")[1] in ("api", "derived", "report", "cli")}, step
    assert "mixflow.derived.analysis" in codehash.closure("mixflow.pipeline.analyse")


def test_every_step_has_a_hash_of_its_own() -> None:
    steps = ("check", "ingest", "preprocess", "batch", "fit", "gather", "analyse", "assemble", "report")
    hashes = [codehash.of(f"mixflow.pipeline.{step}") for step in steps]
    assert len(set(hashes)) == len(steps)


def test_editing_a_module_changes_the_steps_that_import_it(tmp_path: Path) -> None:
    package = tmp_path / "mixflow"
    shutil.copytree(codehash.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = hashes(tmp_path)
    with (package / "report" / "build.py").open("a") as handle:
        handle.write("\n# edited\n")
    after = hashes(tmp_path)
    assert [before[step] != after[step] for step in ("report", "fit", "ingest")] == [True, False, False]
    with (package / "store" / "zarr_io.py").open("a") as handle:
        handle.write("\n# edited\n")
    assert all(hashes(tmp_path)[step] != after[step] for step in after)


def hashes(folder: Path) -> dict[str, str]:
    code = (
        "from mixflow.pipeline import codehash\n"
        "for step in ('report', 'fit', 'ingest'): print(step, codehash.of(f'mixflow.pipeline.{step}'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in done.stdout.splitlines())


def test_editing_a_template_changes_the_hash_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("a")
    before = codehash.of_files(tmp_path)
    assert codehash.of_files(tmp_path) == before
    (tmp_path / "page.html").write_text("b")
    assert codehash.of_files(tmp_path) != before
    before = codehash.of_files(tmp_path, skip=("size",))
    (tmp_path / "size").mkdir()
    (tmp_path / "size" / "rules.tsv").write_text("measured")
    assert codehash.of_files(tmp_path, skip=("size",)) == before
