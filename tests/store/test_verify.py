"""Damage to a store is found, with the file it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixflow.errors import MixflowError
from mixflow.store import provenance, verify, zarr_io
from mixflow.store.info import info
from tests.store import examples


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return zarr_io.write(examples.tree(), tmp_path / "study.zarr")


def chunk(store: Path) -> Path:
    return store / "data/raw/c/0/0"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_whole_store_has_no_problems(store: Path) -> None:
    (store / ".snakemake_timestamp").touch()
    assert verify.verify(store) == []


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_flipped_byte_is_found_and_stops_reading(store: Path, position: int) -> None:
    flip(chunk(store), position)
    (problem,) = verify.verify(store)
    assert problem.file == str(chunk(store))
    assert "changed after it was written" in problem.message
    with pytest.raises(MixflowError):
        verify.require(store)
    with pytest.raises(MixflowError, match="cannot be read"):
        zarr_io.load(store)


def test_a_cut_chunk_is_found(store: Path) -> None:
    content = chunk(store).read_bytes()
    chunk(store).write_bytes(content[:-7])
    (problem,) = verify.verify(store)
    assert (problem.file, problem.value) == (str(chunk(store)), len(content) - 7)


def test_a_missing_chunk_is_found_though_it_reads_as_missing_values(store: Path) -> None:
    chunk(store).unlink()
    with pytest.raises(MixflowError, match="would read as missing values"):
        zarr_io.open(store)
    (problem,) = verify.verify(store)
    assert problem.file == str(chunk(store))
    assert "missing" in problem.message and problem.remedy


def test_foreign_files_and_damage_to_the_metadata_are_found(store: Path) -> None:
    (store / "data/raw/c/9").write_text("x")
    flip(store / "data/zarr.json", 3)
    assert {Path(problem.file or "").name for problem in verify.verify(store)} == {"9", "zarr.json"}


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_text("{"), lambda p: flip(p, 40)])
def test_damage_to_the_manifest_is_found(store: Path, damage) -> None:
    damage(store / "manifest.json")
    (problem,) = verify.verify(store)
    assert problem.file == str(store / "manifest.json")


def test_a_folder_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    (problem,) = verify.verify(tmp_path / "nothing.zarr")
    assert "no store" in problem.message


def test_info_tells_the_groups_and_the_steps(store: Path) -> None:
    text = info(store)
    for expected in (
        "tiny: Tiny",
        "data  (feature 5, sample 6)",
        "raw",
        "feature x sample",
        "ingest",
        "config abc",
    ):
        assert expected in text


def test_a_step_records_versions_inputs_and_times(tmp_path: Path, store: Path, monkeypatch) -> None:
    monkeypatch.setenv(provenance.COMMAND, "mixflow run")
    table = tmp_path / "table.tsv"
    table.write_text("a\n")
    step = provenance.Clock().step("ingest", [table, store], config_hash="h", seed=7)
    sha = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"
    assert step["inputs"][str(table)] == {"sha256": sha, "bytes": 2}
    made = step["inputs"][str(store)]
    assert len(made["sha256"]) == 64 and made["bytes"] > 1000 and made["store"]
    assert step["host"]["cores"] >= 1 and step["host"]["system"] and "threads" in step["host"]
    assert len(step["code"]) == 64 and step["git_dirty"] in (True, False)
    assert (step["command"], step["seed"], step["config_hash"]) == ("mixflow run", 7, "h")
    assert step["versions"]["zarr"] and step["seconds"] >= 0
    assert step["started"].endswith("+00:00")


def test_what_no_chunk_s_checksum_covers_is_looked_at_whenever_a_store_is_opened(store: Path) -> None:
    told = store / "data" / "zarr.json"
    flip(told, told.read_bytes().index(b"attributes"))
    with pytest.raises(MixflowError, match="changed after it was written") as caught:
        zarr_io.open(store)
    assert str(told) in str(caught.value) and "delete the store and run again" in str(caught.value)


def test_a_cut_chunk_and_an_absent_manifest_stop_the_opening(store: Path) -> None:
    chunk(store).write_bytes(chunk(store).read_bytes()[:-7])
    with pytest.raises(MixflowError, match="should have"):
        zarr_io.open(store)
    (store / "manifest.json").unlink()
    with pytest.raises(MixflowError, match="manifest cannot be read"):
        zarr_io.open(store)


def test_a_flipped_byte_is_told_whichever_array_it_is_in(store: Path) -> None:
    """Labels, text and small arrays are read when a store is opened, the others when they are used."""
    chunks = [path for path in store.rglob("*") if path.is_file() and "c" in path.relative_to(store).parts]
    assert len({path.parts[path.parts.index("c") - 1] for path in chunks}) > 5  # arrays
    for path in chunks:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(MixflowError, match="a chunk of the store cannot be read") as caught:
            tree = zarr_io.open(store)
            for node in tree.subtree:
                for array in node.data_vars.values():
                    _ = array.values
        assert "delete the store" in str(caught.value)
        path.write_bytes(content)
