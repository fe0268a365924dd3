"""A finished run as it tells of itself: from a report's page alone, a store, or a folder of results."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from mixflow.errors import MixflowError, Problem
from mixflow.report.carried import ELEMENT
from mixflow.store import provenance, zarr_io
from mixflow.store.schema import SCHEMA_VERSION

PAGE, STORE, TABLES = "report.html", "study.zarr", "tables"
_ELEMENT = re.compile(rf'<script type="application/json" id="{ELEMENT}">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """``facts`` as a page carries them (`mixflow.report.carried`); ``store`` and ``folder`` where at hand.

    ``folder`` is the results folder; ``expected`` is {name: {sha256, bytes}} of the tables.
    """

    path: Path
    facts: dict[str, Any]
    store: Path | None = None
    folder: Path | None = None
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def study(self) -> str:
        """Name of the study."""
        return str(self.facts["study"])

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config with the defaults of the mixflow that ran it."""
        return yaml.safe_load(self.facts.get("config") or "") or {}

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Records of the steps, first to last."""
        return self.facts["steps"]

    @cached_property
    def named(self) -> dict[str, str]:
        """Path of each file that the config names -> its dotted key."""
        found: dict[str, str] = {}
        for key, paths in self.facts["files"].items():
            for path in [paths] if isinstance(paths, str) else paths:
                found[path] = key
        return found

    @cached_property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Path -> {sha256, bytes} of every file that came from outside the run."""
        read = {path: entry for step in self.steps for path, entry in (step.get("inputs") or {}).items()}
        return {path: entry for path, entry in read.items() if path in self.named or not entry.get("store")}

    @property
    def environment(self) -> dict[str, str]:
        """Versions of all packages; of the main ones where the run kept no others. With `python`."""
        versions = {k: v for step in self.steps for k, v in (step.get("versions") or {}).items()}
        return versions | self.facts.get("environment", {})

    def table(self, name: str) -> Path | None:
        """The table of that name with the content it had, None where it is not at hand."""
        path = self.folder / TABLES / name if self.folder else None
        return path if path is not None and path.is_file() else None

    @cached_property
    def tree(self) -> xr.DataTree | None:
        """The store, opened; None where there is only a page."""
        return zarr_io.open(self.store) if self.store else None


def read(path: Path | str) -> Origin:
    """The run behind a page (report.html), a store (study.zarr), a results folder, or a replay.json.

    Raises MixflowError where it is none of these, or a page that says too little.
    """
    place = Path(path)
    if place.is_dir() and not (place / "zarr.json").is_file():
        found = [place / name for name in (STORE, PAGE) if (place / name).exists()]
        if found:
            return read(found[0])
    if place.is_dir() and (place / "zarr.json").is_file():
        return _from_store(place)
    if place.suffix in (".html", ".json") and place.is_file():
        return _from_text(place)
    remedy = "name a report.html, a study.zarr, or the folder of results that holds them"
    raise MixflowError(Problem("there is no finished run here", file=str(path), remedy=remedy))


def _from_store(store: Path) -> Origin:
    tree = zarr_io.open(store)
    attrs = tree["provenance"].attrs if "provenance" in tree.children else {}
    if not attrs.get("config"):
        remedy = "name the study.zarr of a results folder; stores of single steps are parts of it"
        raise MixflowError(
            Problem("the store does not say from which config it was made", file=str(store), remedy=remedy)
        )
    facts = {key: str(attrs.get(key) or "") for key in ("study", "title", "config", "config_file")}
    facts |= {key: json.loads(attrs.get(key) or "{}") for key in ("files", "environment")}
    facts |= {"schema_version": SCHEMA_VERSION, "steps": provenance.steps(tree)}
    folder = store.parent
    tables = sorted((folder / TABLES).glob("*.tsv"))
    return Origin(store, facts, store, folder, {table.name: provenance.identity(table) for table in tables})


def _from_text(path: Path) -> Origin:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        found = _ELEMENT.search(text)
        if found is None:
            remedy = "name the study.zarr that it was made from"
            raise MixflowError(Problem("the page carries no provenance", file=str(path), remedy=remedy))
        text = found[1]
    facts = _facts(text, path)
    if facts.get("share"):
        remedy = "ask those who made it for the full report or the study.zarr"
        message = "this is a copy to share: it names neither the config nor the inputs"
        raise MixflowError(Problem(message, file=str(path), remedy=remedy))
    _require_readable(facts, path)
    kept = facts.get("origin", {})
    folder = Path(kept["folder"]) if kept.get("folder") else path.parent
    return Origin(path, facts, _store_of(facts, folder), folder, facts.get("tables", {}))


def _facts(text: str, path: Path) -> dict[str, Any]:
    """What a page or a replay.json says; MixflowError where it is some other file, or cut off."""
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not (isinstance(facts, dict) and {"study", "steps", "files"} <= facts.keys()):
        remedy = "name a report.html, the replay.json of a replay, a study.zarr, or a folder of results"
        raise MixflowError(Problem("this is no record of a run", file=str(path), remedy=remedy))
    return facts


def _require_readable(facts: dict[str, Any], path: Path) -> None:
    if facts.get("schema_version", 0) > SCHEMA_VERSION:
        remedy = "pip install --upgrade mixflow"
        message = f"a newer mixflow wrote this (schema version {facts['schema_version']})"
        raise MixflowError(Problem(message, file=str(path), remedy=remedy))


def _store_of(facts: dict[str, Any], folder: Path) -> Path | None:
    """The store beside a page, if it is the one that the page was made from."""
    store = folder / STORE
    read_by_report = [
        e for step in facts["steps"] for e in step["inputs"].values() if step["step"] == "report"
    ]
    if not (store / "zarr.json").is_file():
        return None
    same = provenance.identity(store)["sha256"] in {entry["sha256"] for entry in read_by_report}
    return store if same else None


def arrays(tree: xr.DataTree, groups: tuple[str, ...] = ("",)) -> dict[str, str]:
    """sha256 of the content of every array below ``groups``, by `group/name`, however it is compressed.

    Arrays are read one at a time.
    """
    found = {}
    for node in tree.subtree:
        path = node.path.strip("/")
        if any(not group or path == group or path.startswith(f"{group}/") for group in groups):
            for name, variable in node.to_dataset(inherit=False).variables.items():
                found[f"{path}/{name}"] = _digest(variable.values)
    return found


def _digest(values: np.ndarray) -> str:
    text = values.dtype.kind in "OTU"
    content = json.dumps(values.tolist()).encode() if text else np.ascontiguousarray(values).tobytes()
    head = f"{'text' if text else values.dtype.str} {values.shape}".encode()
    return hashlib.sha256(head + b"\0" + content).hexdigest()
