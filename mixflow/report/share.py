"""The copy for a collaborator: nothing that points at a person, a place or a machine.

Sample ids become pseudonyms (in an order that the ids decide through a hash, so that the order of the sheet
is not told), no picture or table has sample-level values, cells under five are suppressed together with one
more cell of their row so that they cannot be worked out from the total, and paths, hosts, users and commands
are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

SMALLEST_CELL = 5
SUPPRESSED = "<5"
OTHER = "withheld"
KEPT = ("step", "started", "seconds", "versions", "code", "config_hash", "git_commit", "git_dirty", "seed")
"""What a copy tells of a step: no command, no host; inputs without their names."""


def pseudonyms(sample_ids: list[str]) -> dict[str, str]:
    """`S001` ... for each sample id, ordered by the id's hash."""
    order = sorted(sample_ids, key=lambda s: hashlib.sha256(s.encode()).hexdigest())
    width = max(3, len(str(len(order))))
    return {sample: f"S{i + 1:0{width}d}" for i, sample in enumerate(order)}


def shareable(tree: xr.DataTree) -> xr.DataTree:
    """The tree with pseudonyms for sample ids, and without notes, paths, commands and the config."""
    names = pseudonyms([str(s) for s in tree["data"].to_dataset()["sample"].values])
    groups = {node.path: _renamed(node.to_dataset(inherit=True), names) for node in tree.subtree}
    groups["/provenance"] = _bare_provenance(groups.get("/provenance", xr.Dataset()))
    return xr.DataTree.from_dict(groups)


def _renamed(dataset: xr.Dataset, names: dict[str, str]) -> xr.Dataset:
    if "sample" in dataset.coords:
        ids = np.array([names.get(str(s), str(s)) for s in dataset["sample"].values], dtype=object)
        dataset = dataset.assign_coords(sample=("sample", ids))
    attrs = dict(dataset.attrs)
    if "rows" in attrs:
        attrs["rows"] = json.dumps([names.get(s, s) for s in _list(attrs["rows"])])
    if "dropped_rows" in attrs:
        told = _list(attrs["dropped_rows"])
        attrs["dropped_rows"] = json.dumps({k: [names.get(s, "S???") for s in v] for k, v in told.items()})
    attrs.pop("notes", None)
    return dataset.drop_attrs(deep=False).assign_attrs(attrs)


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _bare_provenance(group: xr.Dataset) -> xr.Dataset:
    """Steps with times, versions and hashes, inputs by their checksums, the report's part of the config."""
    attrs = dict(group.attrs)
    config = yaml.safe_load(attrs.get("config") or "") or {}
    unit = (config.get("samples") or {}).get("unit")
    order = {name: {} for name in config.get("models") or {}}  # names only: the page's order of models
    kept = {"report": config.get("report") or {}, "samples": {"unit": unit}, "models": order}
    attrs["config"] = yaml.safe_dump(kept, sort_keys=False)
    for named in ("config_file", "files"):
        attrs.pop(named, None)
    steps = _list(attrs.get("steps") or "[]")
    attrs["steps"] = json.dumps([bare_step(step) for step in steps])
    return xr.Dataset(attrs=attrs)


def bare_step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step without command, host and the names of its inputs."""
    kept = {k: step[k] for k in KEPT if k in step}
    inputs = sorted((step.get("inputs") or {}).values(), key=lambda entry: entry["sha256"])
    return {**kept, "inputs": {f"input {i + 1}": entry for i, entry in enumerate(inputs)}}


def suppressed(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of one to four as '<5', and one more cell withheld where a row or column has only one such."""
    small = (counts > 0) & (counts < SMALLEST_CELL)
    hidden = small.copy()
    while True:
        wider = _second(counts.T, _second(counts, hidden).T).T
        if wider.equals(hidden):
            break
        hidden = wider
    text = counts.astype(int).astype(str).astype(object)
    return text.mask(hidden & ~small, OTHER).mask(small, SUPPRESSED)


def _second(counts: pd.DataFrame, hidden: pd.DataFrame) -> pd.DataFrame:
    """In each row with exactly one hidden cell, hide its smallest other cell too."""
    hidden = hidden.copy()
    for i in np.flatnonzero(hidden.sum(axis=1).to_numpy() == 1):
        row = counts.iloc[i].where(~hidden.iloc[i]).dropna()
        row = row[row > 0]
        if len(row):
            hidden.iloc[i, counts.columns.get_loc(row.idxmin())] = True
    return hidden
