"""The wheel carries what the package needs to work away from the checkout (.ci/wheel then runs it there)."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("mixflow-*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_holds_every_file_of_the_workflow(unpacked: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "Snakefile", "workflows", "config", "reports"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    packed = unpacked / "mixflow" / "_workflow"
    assert tracked
    assert [name for name in tracked if not (packed / name).is_file()] == []


def test_wheel_holds_the_package_and_no_tests(unpacked: Path) -> None:
    assert (unpacked / "mixflow" / "cli").exists() or (unpacked / "mixflow" / "cli.py").exists()
    assert {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"} == {"mixflow"}
    assert not list(unpacked.rglob("__pycache__"))


def test_unpacked_wheel_finds_its_own_workflow(unpacked: Path, tmp_path: Path) -> None:
    code = "import mixflow, mixflow.resources as r; print(mixflow.__file__); print(r.root())"
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    file, root = done.stdout.splitlines()
    assert Path(file).is_relative_to(unpacked)
    assert Path(root) == unpacked.resolve() / "mixflow" / "_workflow"
