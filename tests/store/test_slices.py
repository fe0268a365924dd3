"""Arrays by slices: what is written of them is what is written of whole arrays, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow import slices
from mixflow.errors import MixflowError
from mixflow.slices import Sliced
from mixflow.store import lazy, manifest, readers, zarr_io

N, SAMPLES = 3000, 300
IDS = np.array([f"f{i}" for i in range(N)], dtype=object)
SHEET = np.array([f"s{i}" for i in range(SAMPLES)], dtype=object)


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(N, SAMPLES))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def watched(values: np.ndarray, widest: list[int]) -> Sliced:
    """The array by slices, with a note of the largest number of features read at once."""

    def read(start: int, stop: int) -> np.ndarray:
        widest.append(stop - start)
        return values[start:stop]

    return Sliced(values.shape, values.dtype, read)


def data(raw: xr.Variable) -> xr.DataTree:
    kept = np.arange(N) % 3 > 0
    group = {"raw": raw, "kept": ("feature", kept), "dropped_by": ("feature", IDS)}
    return xr.DataTree.from_dict(
        {
            "data": xr.Dataset(group, coords={"feature": IDS, "sample": SHEET}, attrs={"scale": "free"}),
            "data/features": xr.Dataset({"name": ("feature", IDS)}, coords={"feature": IDS}),
        }
    )


def test_a_store_written_by_slices_has_the_same_bytes(matrix: np.ndarray, tmp_path: Path) -> None:
    dims, widest = ("feature", "sample"), []
    whole = zarr_io.write(data(xr.Variable(dims, matrix)), tmp_path / "whole.zarr")
    later = zarr_io.write(data(lazy.variable(dims, watched(matrix, widest))), tmp_path / "later.zarr")
    again = zarr_io.write(zarr_io.open(later), tmp_path / "again.zarr")  # copied without being loaded
    assert manifest.read(whole) == manifest.read(later) == manifest.read(again)
    assert 0 < max(widest) < N


@pytest.mark.parametrize("key", [N, -N - 1, [0, N], np.ones(N - 1, dtype=bool)])
def test_a_feature_that_is_not_there_is_refused_as_of_an_array(matrix: np.ndarray, key: object) -> None:
    for values in (matrix, watched(matrix, [])):
        with pytest.raises(IndexError):
            values[key]  # type: ignore[index]


def test_indexing_is_that_of_an_array_and_reads_no_more_than_needed(matrix: np.ndarray) -> None:
    widest: list[int] = []
    array = watched(matrix, widest)
    mask = np.arange(N) % 1000 == 5
    for key in (slice(10, 20), (slice(10, 20), [1, 2]), 7, -1, (7, 3), [5, 2, 9], mask, (mask, 4)):
        np.testing.assert_array_equal(array[key], matrix[key])
    assert max(widest) <= 2001
    rows = np.flatnonzero(mask)
    np.testing.assert_array_equal(np.asarray(slices.taken(array, rows)), matrix[rows])
    np.testing.assert_array_equal(np.asarray(array.columns(np.array([3, 1]))), matrix[:, [3, 1]])


def test_blocks_follow_from_the_width_alone_and_cover_all() -> None:
    assert slices.block_of(500) == 12288 and slices.block_of(10**7) == slices.BLOCK
    for n in (0, 1, 12288, 30000):
        parts = list(slices.blocks(n, 500))
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))


def test_parts_one_after_the_other(matrix: np.ndarray) -> None:
    def part(start: int, stop: int, **attrs: str) -> xr.Dataset:
        own = lazy.variable(("feature", "sample"), watched(matrix[start:stop], []))
        return xr.Dataset({"raw": own}, coords={"feature": IDS[start:stop], "sample": SHEET}, attrs=attrs)

    joined = lazy.concatenated([part(0, 700), part(700, 700), part(700, N)])
    assert lazy.is_lazy(joined.variables["raw"])
    np.testing.assert_array_equal(joined["raw"][600:900].values, matrix[600:900])
    np.testing.assert_array_equal(joined["feature"].values, IDS)
    with pytest.raises(ValueError, match="different variables or attributes"):
        lazy.concatenated([part(0, 10), part(10, 20, scale="other")])
    with pytest.raises(ValueError, match="differ in sample"):
        lazy.concatenated([part(0, 10), part(10, 20).assign_coords(sample=SHEET[::-1])])


def written(matrix: np.ndarray, path: Path, **changed: object) -> Path:
    text = np.dtypes.StringDType()
    coords = {"feature": IDS.astype(text), "sample": SHEET.astype(text), **changed}
    beside = {"gene": ("feature", ("g" + IDS).astype(text)), "age": ("sample", np.arange(SAMPLES))}
    dataset = xr.Dataset({"x": (("feature", "sample"), matrix), **beside}, coords, {"scale": "log2"})
    dataset.to_zarr(path, encoding={"x": {"chunks": (512, SAMPLES)}}, consolidated=False)
    return path


def test_a_zarr_store_is_read_by_slices(matrix: np.ndarray, tmp_path: Path) -> None:
    path = written(matrix, tmp_path / "table.zarr")
    assert readers.sniff(path) == "zarr"
    table = readers.read([path])
    assert isinstance(table.values, Sliced) and table.scale == "log2"
    assert (table.feature_ids, table.sample_ids) == (tuple(IDS), tuple(SHEET))
    np.testing.assert_array_equal(table.values[5:9], matrix[5:9])
    assert table.features["gene"]["f7"] == "gf7" and table.samples["age"]["s7"] == "7"
    dropped = readers.read([path], options={"contaminants": {"drop": True, "patterns": ["f1"]}})
    assert dropped.feature_ids[:3] == ("f0", "f2", "f3")
    np.testing.assert_array_equal(dropped.values[0:3], matrix[[0, 2, 3]])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda path, matrix: written(matrix, path, feature=np.full(N, "f0", np.dtypes.StringDType())),
            "stand twice",
        ),
        (lambda path, matrix: xr.Dataset({"x": (("a", "b"), matrix)}).to_zarr(path), "which variable"),
        (
            lambda path, matrix: xr.Dataset({"x": (("feature", "sample"), matrix)}).to_zarr(path),
            "has no labels",
        ),
        (
            lambda path, matrix: xr.Dataset({"x": (("sample", "feature"), matrix)}).to_zarr(path),
            "by features",
        ),
    ],
    ids=["ids twice", "other dims", "no labels", "the other way round"],
)
def test_stores_that_are_no_table_are_refused(spoil, told: str, matrix: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "table.zarr"
    spoil(path, matrix)
    with pytest.raises(MixflowError, match=told) as caught:
        readers.read([path], "zarr")
    assert str(path) in str(caught.value) and "->" in str(caught.value)


def test_an_absent_group_and_a_file_are_refused(matrix: np.ndarray, tmp_path: Path) -> None:
    path = written(matrix[:, :SAMPLES], tmp_path / "table.zarr")
    with pytest.raises(MixflowError, match="no Zarr store that can be read"):
        readers.read([path], "zarr", {"group": "elsewhere"})
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(MixflowError, match="no Zarr store that can be read"):
        readers.read([tmp_path / "file.zarr"], "zarr")


def test_a_damaged_chunk_is_told_where_it_is_read(matrix: np.ndarray, tmp_path: Path) -> None:
    store = zarr_io.write(data(xr.Variable(("feature", "sample"), matrix)), tmp_path / "data.zarr")
    opened = zarr_io.open(store)
    chunk = store / "data" / "raw" / "c" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(MixflowError, match="cannot be read") as caught:
        zarr_io.write(opened, tmp_path / "copy.zarr")
    assert str(store) in str(caught.value) and not (tmp_path / "copy.zarr").exists()
    pd.testing.assert_index_equal(pd.Index(opened["data"]["feature"].values), pd.Index(IDS))
