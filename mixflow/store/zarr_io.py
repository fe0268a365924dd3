"""A tree to and from a Zarr v3 store: checksummed chunks, all or nothing, checked against the schema."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from mixflow.errors import MixflowError, Problem
from mixflow.slices import Sliced
from mixflow.store import atomic, lazy, manifest, whole
from mixflow.store.check import check, rank
from mixflow.store.migrate import migrated
from mixflow.store.schema import SCHEMA_VERSION

BLOCK = 512
"""Features of a chunk are a multiple of this: the block in which features are fitted."""
MODELLED = ("fits", "tests", "analyses")
"""Groups with one group for each model."""
LONG = ("feature", "row", "precursor")
"""Dims that are cut into chunks."""
CHUNK_BYTES = 4 << 20
"""Aim for the size of a chunk before compression."""


def write(content: xr.DataTree | xr.Dataset, path: Path | str, group: str = "/") -> Path:
    """Write a tree, or a dataset as ``group``, as the store ``path``; what was there is replaced as a whole.

    Every array carries a checksum (zstd); chunks hold a multiple of 512 features; a manifest lists all files.
    Arrays not yet read, or made by slices (`mixflow.store.lazy`), are written chunk by chunk: the same bytes.
    Raises MixflowError where the content is not what `mixflow.store.schema` declares.
    """
    tree = xr.DataTree.from_dict({group: content}) if isinstance(content, xr.Dataset) else content.copy()
    tree.attrs = {**tree.attrs, "schema_version": SCHEMA_VERSION}
    check(tree, file=str(path))
    tree = tree.map_over_datasets(_plain)
    with atomic.replaced(path) as temporary, zarr.config.set({"array.write_empty_chunks": True}):
        late = any(
            lazy.is_lazy(v)
            for node in tree.subtree
            for v in node.to_dataset(inherit=False).variables.values()
        )
        first = tree.map_over_datasets(_without_rows) if late else tree
        first.to_zarr(temporary, mode="w-", zarr_format=3, consolidated=False, encoding=_encoding(tree))
        if late:
            _fill(tree, temporary)
        manifest.write(temporary)
    return Path(path)


def open(path: Path | str) -> xr.DataTree:
    """The store as a DataTree, arrays read when used, text as objects.

    A store of an older schema version is brought up to this one in memory. Raises MixflowError where there is
    no store, a newer mixflow wrote it, or its variables are not those of the schema.
    """
    _require_store(Path(path))
    whole.require(Path(path))
    with _foreign_files_allowed(), _chunks_read(path):  # labels are read at once
        opened = xr.open_datatree(str(path), engine="zarr", consolidated=False)
    tree = migrated(opened, file=str(path))
    check(tree, file=str(path))
    nodes = sorted(tree.subtree, key=lambda node: _place(node, tree))
    groups = {node.path: node.to_dataset(inherit=False) for node in nodes}
    with _chunks_read(path):  # text is read at once
        ready = {name: _text_as_objects(_ordered(name, group)) for name, group in groups.items()}
    return xr.DataTree.from_dict({name: _guarded(group, path) for name, group in ready.items()})


def _guarded(dataset: xr.Dataset, path: Path | str) -> xr.Dataset:
    """The dataset with arrays of features that are read when used, a damaged chunk told with the store's path."""

    def read(array: xr.Variable, start: int, stop: int) -> np.ndarray:
        with _chunks_read(path):
            return array[start:stop].values

    later = {
        name: lazy.variable(array.dims, Sliced(array.shape, array.dtype, partial(read, array)), array.attrs)
        for name, array in dataset.variables.items()
        if array.dims and array.dims[0] in LONG and lazy.is_lazy(array)
    }
    with _chunks_read(path):  # small ones are read now
        now = {name: array.load() for name, array in dataset.data_vars.variables.items() if name not in later}
    return dataset.assign(now | {name: array for name, array in later.items() if name in dataset.data_vars})


def load(path: Path | str) -> xr.DataTree:
    """As `open`, with every array read into memory; damaged chunks raise MixflowError."""
    tree = open(path)
    with _chunks_read(path):
        return tree.load()


def read_through(path: Path | str) -> None:
    """Read every array of the store, a chunk at a time; what is damaged raises as of `load`."""
    for node in open(path).subtree:
        for array in node.to_dataset(inherit=False).variables.values():
            step = chunks(array.dims, array.shape, array.dtype.itemsize)[0] if array.dims else 1
            for start in range(0, len(array), step) if array.dims else ():
                with _chunks_read(path):
                    _ = array[start : start + step].values


def values(array: xr.DataArray, path: Path | str) -> np.ndarray:
    """An array of the opened store ``path`` (or what was picked of it), read now; errors as of `load`."""
    with _chunks_read(path):
        return array.values


@contextmanager
def _chunks_read(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError):  # of the machine, not of the store (mixflow.pipeline.stopped)
        raise
    except Exception as error:
        raise MixflowError(
            Problem(
                f"a chunk of the store cannot be read: {error}",
                file=str(path),
                remedy="`mixflow verify` names the file; delete the store and run again: mixflow run",
            )
        ) from error


def models(tree: xr.DataTree) -> list[str]:
    """Names of the models in the order of the report, as the root's attribute `models` (JSON) has them."""
    return json.loads(tree.attrs.get("models", "[]"))


def _place(node: xr.DataTree, tree: xr.DataTree) -> tuple[str, int, int, str]:
    """Where a group stands: kind, model (attr `models` of the root), analysis (attr `names` of its model)."""
    kind, model, name, *_ = [*node.path.split("/")[1:], "", ""]
    order = models(tree) if kind in MODELLED else []
    names = json.loads(tree[f"{kind}/{model}"].attrs.get("names", "[]")) if name else []
    return kind, _index(order, model), _index(names, name), node.path


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else -1


def group(tree: xr.DataTree, path: str) -> xr.Dataset:
    """The dataset of the group ``path``, with the labels that it shares with the group above it."""
    node = tree[path]
    if not isinstance(node, xr.DataTree):
        raise KeyError(f"{path} is a variable, not a group")
    return node.to_dataset()


def _require_store(path: Path) -> None:
    if not (path / "zarr.json").is_file():
        what = "no such folder" if not path.exists() else "not a Zarr v3 store (no zarr.json in it)"
        raise MixflowError(
            Problem(
                what,
                file=str(path),
                remedy="name the folder study.zarr of a results folder, or run the study",
            )
        )


@contextmanager
def _foreign_files_allowed() -> Iterator[None]:
    """The manifest and Snakemake's timestamp lie among the arrays; Zarr warns of it at each listing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Object at .* is not recognized as a component")
        yield


def _without_rows(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with nothing along the dims that are cut into chunks."""
    return dataset.isel({dim: slice(0) for dim in LONG if dim in dataset.dims})


def _fill(tree: xr.DataTree, store: Path) -> None:
    """Give the arrays of ``store`` the features, rows and precursors that `_without_rows` left out."""
    for node in tree.subtree:
        for name, variable in node.to_dataset(inherit=False).variables.items():
            if set(variable.dims[1:]) & set(LONG):  # it would stay empty
                raise ValueError(f"{name}: only its first dimension may be one of {LONG}: {variable.dims}")
            if variable.dims and variable.dims[0] in LONG:
                array = zarr.open_array(store / node.path.strip("/") / str(name), mode="r+")
                array.resize(variable.shape)
                step = array.chunks[0]
                for start in range(0, len(variable), step):
                    part = variable[start : start + step].values
                    array[start : start + step] = part.astype("i1") if part.dtype == bool else part


def _encoding(tree: xr.DataTree) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        node.path: {
            str(name): {
                "chunks": chunks(variable.dims, variable.shape, variable.dtype.itemsize),
                "compressors": [ZstdCodec(level=3, checksum=True)],
            }
            for name, variable in node.to_dataset(inherit=False).variables.items()
        }
        for node in tree.subtree
    }


def chunks(dims: tuple[Any, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape: whole in every dim but ``feature`` and ``row``, cut at a multiple of 512 of about 4 MB."""
    row = itemsize * int(np.prod([n for dim, n in zip(dims, shape, strict=True) if dim not in LONG]))
    blocks = max(1, CHUNK_BYTES // max(1, BLOCK * row))
    features = BLOCK * blocks
    return tuple(max(1, min(n, features) if dim in LONG else n) for dim, n in zip(dims, shape, strict=True))


def _ordered(path: str, group: xr.Dataset) -> xr.Dataset:
    """Variables in the order of the schema, then by name: a folder lists its files in an order of its own."""
    names = sorted(map(str, group.data_vars), key=lambda name: (rank(path, name), name))
    variables, coords = group.variables, sorted(map(str, group.coords))
    return xr.Dataset(
        {name: variables[name] for name in names}, {name: variables[name] for name in coords}, group.attrs
    )


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Drop what an earlier file left on variables (chunks, codecs), and write text as text even if empty."""
    return _text_as(np.dtypes.StringDType(), dataset.drop_encoding())


def _text_as_objects(dataset: xr.Dataset) -> xr.Dataset:
    """Text as numpy objects in memory: pandas and numpy treat StringDType and fixed-width text unevenly."""
    return _text_as(np.dtype(object), dataset)


def _text_as(dtype: Any, dataset: xr.Dataset) -> xr.Dataset:
    text = {
        name: (variable.dims, np.asarray(variable.values.astype(dtype)), variable.attrs)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "OTU"
    }
    return dataset.assign({k: v for k, v in text.items() if k in dataset.data_vars}).assign_coords(
        {k: v for k, v in text.items() if k in dataset.coords}
    )
