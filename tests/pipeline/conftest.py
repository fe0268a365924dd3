"""What tests of the steps share; each module says in its own fixture ``done`` which steps ran."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import xarray as xr

from mixflow.pipeline.paths import Paths
from mixflow.store import zarr_io


@pytest.fixture
def folder(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is done to spoil, as the working folder."""
    shutil.copytree(done, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def tree(done: Path) -> xr.DataTree:
    """The one store of what is done."""
    return zarr_io.load(done / Paths("tiny").store)
