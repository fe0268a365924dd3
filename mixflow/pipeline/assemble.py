"""Step assemble: everything of a study in its one store."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import record, seen, sheets
from mixflow.store import provenance, software, zarr_io
from mixflow.study.config import Study

LOGGER = logging.getLogger(__name__)


def run(
    study: Study,
    data: Path,
    batch: Path,
    models: Sequence[Path],
    out: Path,
    analyses: Sequence[Path] = (),
) -> str:
    """Join the stores of the steps (``models`` in the order of the report) as ``out``."""
    clock = provenance.Clock()
    paths = (data, batch, *models, *analyses)
    parts = [zarr_io.open(path) for path in paths]
    groups: dict[str, xr.Dataset] = {}
    for path, part in zip(paths, parts, strict=True):
        _take(groups, part, path)
    groups["data/one_group"] = seen.one_group_table(study, groups["data"], sheets.from_tree(parts[0]))
    before = [step for part in parts for step in provenance.steps(part)]
    last = record.group(study, "assemble", clock, paths, before)
    groups["provenance"] = last.assign_attrs(environment=json.dumps(software.environment()))
    groups["/"] = xr.Dataset(attrs={"models": json.dumps([path.stem for path in models])})
    zarr_io.write(xr.DataTree.from_dict(groups), out)
    LOGGER.info("assembled %d groups", len(groups))
    return f"{len(models)} model(s) in {out}"


def _take(groups: dict[str, xr.Dataset], part: xr.DataTree, path: Path) -> None:
    """Add the groups of one store; two stores with the same group would hide one another."""
    for node in part.subtree:
        name = node.path.strip("/")
        dataset = node.to_dataset(inherit=False)
        if name in ("", "provenance") or not (dataset.variables or dataset.attrs):
            continue
        if name in groups:
            remedy = "remove the folder work of this study's results and run again"
            raise MixflowError(Problem(f"group {name} stands in two stores", file=str(path), remedy=remedy))
        groups[name] = dataset
