"""Stores of older schema versions as this version has them: in memory, the store itself stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
import yaml

from mixflow.errors import MixflowError, Problem
from mixflow.store.schema import SCHEMA_VERSION

Migration = Callable[[xr.DataTree], xr.DataTree]


def migrated(tree: xr.DataTree, file: str | None = None) -> xr.DataTree:
    """``tree`` brought up to `SCHEMA_VERSION`, one version after the other; the same tree where it is there.

    Raises MixflowError where the store was written by a newer mixflow, or names no version this one knows.
    """
    version = tree.attrs.get("schema_version", SCHEMA_VERSION)
    if version == SCHEMA_VERSION:
        return tree
    _require_known(version, file)
    for step in range(int(version), SCHEMA_VERSION):
        tree = MIGRATIONS[step](tree)
        tree.attrs = {**tree.attrs, "schema_version": step + 1}
    return tree


def _require_known(version: Any, file: str | None) -> None:
    newer = isinstance(version, int | float) and version > SCHEMA_VERSION
    if version in MIGRATIONS or newer:
        remedy = f"install a mixflow that reads schema version {version}: pip install --upgrade mixflow"
        message = f"the store was written by a newer mixflow: schema version {version}, this one reads up to"
        if newer:
            raise MixflowError(Problem(f"{message} {SCHEMA_VERSION}", file=file, remedy=remedy))
        return
    remedy = "run the study again with this mixflow, or read the store with the one that wrote it"
    raise MixflowError(
        Problem("the store has an unknown schema version", file=file, value=version, remedy=remedy)
    )


def _sizes_of_inputs(tree: xr.DataTree) -> xr.DataTree:
    """1 -> 2: inputs are {sha256, bytes}, the dirty flag a field, and the files that the config names are listed.

    What was not kept is told as such: sizes None, hosts {}, code ''.
    """
    if "provenance" not in tree.children:
        return tree
    tree = tree.copy()
    attrs = tree["provenance"].attrs
    steps = [_step_2(step) for step in json.loads(attrs.get("steps", "[]"))]
    config = yaml.safe_load(attrs.get("config") or "") or {}
    named = json.dumps(_files(config, steps[0]["inputs"] if steps else {}))
    told = {"steps": json.dumps(steps), "config_file": "config.yaml", "files": named}
    tree["provenance"].attrs = {**attrs, **told}
    return tree


def _files(config: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Which of the files that were read the config means: dotted key -> paths, by their names."""
    found = {}
    for part, key in (("data", "files"), ("data", "features"), ("samples", "file")):
        value = (config.get(part) or {}).get(key) or []
        names = [Path(name).name for name in ([value] if isinstance(value, str) else value)]
        found[f"{part}.{key}"] = [path for name in names for path in inputs if Path(path).name == name]
    return {key: paths for key, paths in found.items() if paths}


def _step_2(step: dict[str, Any]) -> dict[str, Any]:
    inputs = {path: {"sha256": sha, "bytes": None} for path, sha in (step.get("inputs") or {}).items()}
    for path, entry in inputs.items():
        entry.update({"store": True} if path.endswith(".zarr") else {})
    commit, dirty, _ = str(step.get("git_commit") or "").partition("+dirty")
    told = {"code": "", "host": {}, "git_commit": commit, "git_dirty": bool(dirty)}
    return {**step, **told, "inputs": inputs}


MIGRATIONS: dict[int, Migration] = {1: _sizes_of_inputs}
"""What brings a store of schema version n to n + 1."""
