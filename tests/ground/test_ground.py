"""The ground: what is installed, what is imported when, what the lock file may hold."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mixflow import resources

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def python(code: str, cwd: Path = ROOT) -> str:
    """Standard output of `code` in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["mixflow", "mixflow.cli", "mixflow.study", "mixflow.resources"])
def test_parse_time_imports_load_neither_jax_nor_xarray(module: str) -> None:
    heavy = python(
        f"import sys, {module}; print(*(m for m in ('jax', 'jaxlib', 'xarray') if m in sys.modules))"
    )
    assert heavy == "", f"importing {module} loads {heavy}"


def test_version_is_the_metadata_s() -> None:
    assert python("import mixflow; print(mixflow.__version__)") == PYPROJECT["project"]["version"]


def test_root_of_a_checkout_holds_the_workflow() -> None:
    root = resources.root()
    for name in ("Snakefile", "workflows", "config", "reports"):
        assert (root / name).exists(), name


def test_lock_names_no_index_and_no_path() -> None:
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|(^|\s)/", LOCK)


def test_every_locked_package_has_a_hash() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", LOCK, flags=re.IGNORECASE)
    packages = [entry for entry in entries if re.match(r"[A-Za-z0-9._-]+==", entry)]
    assert len(packages) > 80
    assert [entry.splitlines()[0] for entry in packages if "--hash=sha256:" not in entry] == []


def test_lock_pins_every_declared_dependency_and_no_deadlocking_jax() -> None:
    pinned = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ]+)", LOCK, flags=re.MULTILINE))
    project = PYPROJECT["project"]
    declared = project["dependencies"] + [
        d for extra in project["optional-dependencies"].values() for d in extra
    ]
    names = {re.match(r"[A-Za-z0-9._-]+", d)[0].lower() for d in declared}  # type: ignore[index]
    assert names - set(pinned) == set()
    assert not pinned["jax"].startswith("0.10.")
    assert pinned["jax"] == pinned["jaxlib"]
