"""The unit tests that Snakemake itself generates from a finished study pass for the rules fit and gather."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixflow.pipeline.paths import Paths
from tests.pipeline import steps, tiny
from tests.workflow import stores

ROOT = Path(__file__).parents[2]
MODELS = {"mixed": tiny.CONFIG["models"]["mixed"]}

pytestmark = pytest.mark.workflow


def call(folder: Path, *words: str) -> str:
    """Run a Python module in ``folder``; the generated tests call `python`, which must be this one."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}", "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's workflow with the tiny study in it, run up to the tests, and the unit tests made of it."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("rules", "scripts", "envs", "schemas"):
        shutil.copytree(ROOT / "workflows" / part, folder / "workflows" / part)
    with steps.working_in(folder):
        steps.run(tiny.write(Path(), models=MODELS), analyse=False)
    target = str(Paths("tiny").model("mixed"))
    words = (
        "--cores",
        "1",
        "--configfile",
        "config.yaml",
        "--generate-unit-tests",
        ".tests/unit",
        "--",
        target,
    )
    call(folder, "snakemake", *words)
    with (folder / ".tests" / "unit" / "common.py").open("a", encoding="utf-8") as common:
        common.write("\nimport stores\n\nOutputChecker.compare_files = stores.compare_files\n")
    shutil.copy(stores.__file__, folder / ".tests" / "unit" / "stores.py")
    return folder


@pytest.mark.parametrize("rule", ["fit", "gather"])
def test_the_unit_test_of_a_rule_passes(generated: Path, rule: str) -> None:
    said = call(generated, "pytest", "-q", "-p", "no:cacheprovider", f".tests/unit/test_{rule}.py")
    assert "1 passed" in said


def test_the_comparison_sees_one_byte(generated: Path, tmp_path: Path) -> None:
    store = generated / ".tests" / "unit" / "fit" / "expected" / Paths("tiny").shard("mixed", 1, 1)
    chunk = next(path for path in (store / "fits" / "mixed" / "beta" / "c").rglob("*") if path.is_file())
    other = tmp_path / chunk.name
    other.write_bytes(chunk.read_bytes())
    stores.compare_files(None, chunk, other)
    other.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    with pytest.raises(AssertionError, match="is not"):
        stores.compare_files(None, chunk, other)
    provenance = store / "provenance" / "zarr.json"
    (tmp_path / "provenance").mkdir()
    changed = tmp_path / "provenance" / "zarr.json"
    changed.write_text(provenance.read_text().replace('"study": "tiny"', '"study": "other"'))
    with pytest.raises(AssertionError, match="is not"):
        stores.compare_files(None, provenance, changed)
