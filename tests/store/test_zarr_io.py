"""The store comes back as it was written, and departures from the schema are refused."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.errors import MixflowError
from mixflow.store import atomic, frames, manifest, names, verify, zarr_io
from tests.store import examples


def test_round_trip_keeps_values_labels_and_attributes(tmp_path: Path) -> None:
    tree = examples.tree()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zarr_io.write(tree, tmp_path / "study.zarr")
        back = zarr_io.load(tmp_path / "study.zarr")
    for path in ("data", "data/samples", "data/features"):
        xr.testing.assert_identical(back[path].to_dataset(), tree[path].to_dataset())
    assert back["data/features/name"].values.dtype == object
    assert back["provenance"].attrs["study"] == "tiny"


def test_every_array_has_a_checksum_and_whole_feature_blocks(tmp_path: Path) -> None:
    tree = examples.tree(n_features=1500, n_samples=1200)
    zarr_io.write(tree, tmp_path / "s.zarr")
    arrays = [json.loads(p.read_text()) for p in (tmp_path / "s.zarr").rglob("zarr.json")]
    arrays = [meta for meta in arrays if meta["node_type"] == "array"]
    assert len(arrays) >= 7
    for meta in arrays:
        assert {"name": "zstd", "configuration": {"level": 3, "checksum": True}} in meta["codecs"]
    raw = json.loads((tmp_path / "s.zarr/data/raw/zarr.json").read_text())
    assert raw["chunk_grid"]["configuration"]["chunk_shape"] == [512, 1200]
    assert raw["fill_value"] == "NaN"


def test_chunks_are_multiples_of_the_block() -> None:
    assert zarr_io.chunks(("feature",), (20_000,), 8) == (20_000,)
    features, samples = zarr_io.chunks(("feature", "sample"), (20_000, 120), 8)
    assert features % 512 == 0 and samples == 120
    assert zarr_io.chunks(("feature", "sample"), (0, 3), 8) == (1, 3)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    content = xr.DataTree.from_dict(examples.data())
    for name in ("a.zarr", "b.zarr"):
        zarr_io.write(content, tmp_path / name)
    files = [sorted((tmp_path / name).rglob("*")) for name in ("a.zarr", "b.zarr")]
    assert [p.relative_to(tmp_path / "a.zarr") for p in files[0]] == [
        p.relative_to(tmp_path / "b.zarr") for p in files[1]
    ]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*files, strict=True) if a.is_file())


def test_variables_come_in_the_order_of_the_schema(tmp_path: Path) -> None:
    content = examples.data()["data"]
    for name, columns in (("a.zarr", ["kept", "raw"]), ("b.zarr", ["raw", "kept"])):
        zarr_io.write(content[columns], tmp_path / name, group="data")
        assert list(zarr_io.open(tmp_path / name)["data"].data_vars) == ["raw", "kept"]
    tree = zarr_io.open(zarr_io.write(examples.tree(), tmp_path / "c.zarr"))
    assert list(tree["data/samples"].data_vars) == ["AD", "a%2Fb %25", "age"]


def test_a_dataset_is_written_as_its_group(tmp_path: Path) -> None:
    zarr_io.write(examples.data()["data"], tmp_path / "raw.zarr", group="data")
    assert zarr_io.open(tmp_path / "raw.zarr")["data/raw"].shape == (5, 6)


def test_a_store_without_features_is_legal(tmp_path: Path) -> None:
    zarr_io.write(examples.tree(n_features=0), tmp_path / "empty.zarr")
    assert zarr_io.load(tmp_path / "empty.zarr")["data"].sizes["feature"] == 0


def test_a_failed_write_leaves_the_old_store_and_no_rest(tmp_path: Path) -> None:
    path = zarr_io.write(examples.tree(), tmp_path / "s.zarr")
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(RuntimeError, match="power cut"), atomic.replaced(path) as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("x")
        raise RuntimeError("power cut")
    assert (path / "manifest.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]
    zarr_io.write(examples.tree(n_features=2), path)
    assert zarr_io.open(path)["data"].sizes["feature"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".s.zarr.tmp" / "data").mkdir(parents=True)
    zarr_io.write(examples.tree(), tmp_path / "s.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize(
    ("change", "column", "message"),
    [
        (lambda d: d.assign(extra=("feature", np.zeros(5))), "data/extra", "not declared"),
        (lambda d: d.assign(raw=d.raw.T), "data/raw", "dims should be ('feature', 'sample')"),
        (lambda d: d.assign(kept=d.kept.astype(float)), "data/kept", "dtype should be bool"),
        (lambda d: d.drop_vars("raw"), "data/raw", "missing"),
        (lambda d: d.assign_coords(feature=["a", "a", "b", "c", "d"]), "data/feature", "twice"),
    ],
)
def test_departures_from_the_schema_are_refused(tmp_path: Path, change, column: str, message: str) -> None:
    with pytest.raises(MixflowError) as caught:
        zarr_io.write(change(examples.data()["data"]), tmp_path / "s.zarr", group="data")
    (problem,) = caught.value.problems
    assert (problem.column, message in problem.message) == (column, True)
    assert problem.remedy
    assert not (tmp_path / "s.zarr").exists()


def test_unknown_groups_and_other_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MixflowError, match="group is not part"):
        zarr_io.write(xr.Dataset({"x": ("feature", [1.0])}), tmp_path / "s.zarr", group="other")
    path = zarr_io.write(examples.tree(), tmp_path / "s.zarr")
    root = path / "zarr.json"
    root.write_text(root.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    manifest.write(path)
    with pytest.raises(MixflowError, match="schema version 99"):
        zarr_io.open(path)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_what_is_no_store_is_named(tmp_path: Path, make) -> None:
    make(tmp_path / "s.zarr")
    with pytest.raises(MixflowError) as caught:
        zarr_io.open(tmp_path / "s.zarr")
    assert caught.value.problems[0].file == str(tmp_path / "s.zarr")


def test_the_sample_sheet_comes_back_with_its_levels_in_order(tmp_path: Path) -> None:
    zarr_io.write(examples.tree(), tmp_path / "s.zarr")
    sheet = frames.frame(zarr_io.open(tmp_path / "s.zarr"))
    pd.testing.assert_frame_equal(sheet, examples.samples(), check_names=False)
    assert list(sheet["AD"].cat.categories) == ["control", "AD"]
    picked = frames.frame(zarr_io.open(tmp_path / "s.zarr"), samples=["s3", "s0"])
    assert list(picked.index) == ["s3", "s0"]


def test_missing_factor_values_stay_missing() -> None:
    table = pd.DataFrame({"g": pd.Categorical(["a", None], ordered=True)}, index=["s0", "s1"])
    back = frames.table_of(frames.dataset(table, "sample"))
    assert back["g"].isna().tolist() == [False, True]
    assert back["g"].cat.ordered


def test_columns_named_like_the_dims_do_not_hide_them(tmp_path: Path) -> None:
    groups = examples.data()
    for group, dim in (("data/samples", "sample"), ("data/features", "feature")):
        table = frames.table_of(groups[group]).assign(sample="x", feature="y")
        groups[group] = frames.dataset(table, dim)
    zarr_io.write(xr.DataTree.from_dict(groups), tmp_path / "s.zarr")
    tree = zarr_io.load(tmp_path / "s.zarr")
    assert frames.frame(tree)["sample"].eq("x").all() and frames.features(tree)["feature"].eq("y").all()
    assert list(frames.frame(tree).index) == list(examples.samples().index)


@pytest.mark.parametrize(
    "name", ["a/b", "100 %", "%2F", ".hidden", "__x", "zarr.json", "#SampleID", "é", "sample"]
)
def test_any_column_name_survives(name: str) -> None:
    assert names.decode(names.encode(name)) == name
    assert "/" not in names.encode(name)


def test_two_writers_of_one_path_do_not_mix(tmp_path: Path) -> None:
    """A cluster may start a job again while its first node still runs: the slower one finds the place taken."""
    target = tmp_path / "s.zarr"
    with atomic.replaced(target) as mine:
        zarr_io.write(examples.tree(), mine)
        other = subprocess.run([sys.executable, "-c", WRITER, str(target)], capture_output=True, text=True)
        assert other.returncode == 0, other.stderr
        assert (target / "other").is_file() and mine.is_dir()
    assert (target / "zarr.json").is_file() and not (target / "other").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


WRITER = """
import sys
from mixflow.store import atomic
with atomic.replaced(sys.argv[1]) as place:
    place.mkdir()
    (place / "other").write_text("")
"""


def test_what_was_there_stays_where_the_new_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "s.zarr"
    zarr_io.write(examples.tree(), target)

    def full(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.raises(OSError, match="Input/output"):
        zarr_io.write(examples.tree(), target)
    monkeypatch.undo()
    assert verify.verify(target) == []
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_spread_files_take_their_places_together_and_leave_others(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.tsv").write_text("kept")
    with pytest.raises(ZeroDivisionError), atomic.spread(tmp_path, "page") as place:
        (place / "page").write_text("half")
        raise ZeroDivisionError
    assert not (tmp_path / "page").exists()
    with atomic.spread(tmp_path, "page") as place:
        (place / "tables").mkdir()
        (place / "tables" / "a.tsv").write_text("a")
        (place / "page").write_text("whole")
    assert (tmp_path / "page").read_text() == "whole"
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == ["a.tsv", "mine.tsv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page", "tables"]
