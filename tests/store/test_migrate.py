"""Stores that earlier versions wrote are read as if this one had written them; those of later ones are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from mixflow.errors import MixflowError
from mixflow.report import build as report_build
from mixflow.runs import origin
from mixflow.store import manifest, migrate, provenance, schema, verify, zarr_io

DATA = Path(__file__).parent / "data"
STORES = {1: "tiny-schema-1.zarr.zip", 2: "alzheimer-csf-schema-2.zarr.zip"}
"""One store for each schema version there has been, as that version wrote it."""


@pytest.fixture(params=STORES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(DATA / STORES[request.param]) as packed:
        packed.extractall(tmp_path)
    assert (
        json.loads((tmp_path / "study.zarr/zarr.json").read_text())["attributes"]["schema_version"]
        == request.param
    )
    return tmp_path / "study.zarr"


def test_there_is_a_store_of_every_version_and_a_migration_from_each_but_the_last() -> None:
    assert set(STORES) == set(range(1, schema.SCHEMA_VERSION + 1))
    assert set(migrate.MIGRATIONS) == set(range(1, schema.SCHEMA_VERSION))


def test_an_old_store_is_verified_read_and_left_as_it_was(old: Path) -> None:
    before = provenance.identity(old)
    assert verify.verify(old) == []
    tree = zarr_io.open(old)
    assert tree.attrs["schema_version"] == schema.SCHEMA_VERSION
    for step in provenance.steps(tree):
        assert isinstance(step["git_dirty"], bool) and len(step["git_commit"]) == 40
        assert all(len(entry["sha256"]) == 64 for entry in step["inputs"].values())
    run = origin.read(old)
    assert set(run.named.values()) >= {"data.files", "samples.file"} and set(run.named) == set(run.inputs)
    assert provenance.identity(old) == before


def test_a_report_is_made_of_an_old_store(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        report_build, "write_figures", lambda *_: []
    )  # files beside the page, made of the same
    tree = zarr_io.load(old)
    page = report_build.build(tree, tmp_path / "out")[0]
    again = origin.read(page)
    assert again.inputs == origin.read(old).inputs
    assert len(again.expected) == len(list((tmp_path / "out" / "tables").iterdir())) > 5


def test_a_store_of_a_newer_mixflow_is_refused_with_the_way_out(old: Path) -> None:
    root = old / "zarr.json"
    content = json.loads(root.read_text())
    content["attributes"]["schema_version"] = schema.SCHEMA_VERSION + 1
    root.write_text(json.dumps(content))
    manifest.write(old)
    with pytest.raises(MixflowError, match=r"written by a newer mixflow.*\n.*pip install --upgrade"):
        zarr_io.open(old)
