"""The shards of a model brought together, with a check that no feature is missing, doubled or not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import fitted
from mixflow.status import Status
from mixflow.store import fits, zarr_io

REMEDY = "delete the shard and run again: mixflow run (or snakemake --forcerun fit)"


def join(
    model: str, shards: Sequence[Path], feature_ids: np.ndarray, settings: dict[str, Any]
) -> tuple[xr.Dataset, list[xr.DataTree]]:
    """The group `fits/<model>` of all features, in the order of ``feature_ids``, and the shards as trees.

    Raises MixflowError where a shard lacks the model or was fitted with other than ``settings``
    (`mixflow.pipeline.fitted`), or the shards do not hold each feature exactly once.
    """
    trees = [zarr_io.open(path) for path in shards]
    absent = [p for p, tree in zip(shards, trees, strict=True) if f"/fits/{model}" not in tree.groups]
    if absent:
        message = f"no fits of {model} in this shard"
        raise MixflowError(Problem(message, file=str(path), remedy=REMEDY) for path in absent)
    parts = [zarr_io.group(tree, f"fits/{model}") for tree in trees]
    parts = fitted.require(settings, model, parts, shards)
    check_complete(parts, shards, feature_ids)
    return fits.join(parts), trees


def check_complete(parts: Sequence[xr.Dataset], shards: Sequence[Path], feature_ids: np.ndarray) -> None:
    """Every feature once, in order, each with a status."""
    found = np.concatenate([np.asarray(part["feature"].values, dtype=object) for part in parts])
    wanted = np.asarray(feature_ids, dtype=object)
    if not np.array_equal(found, wanted):
        raise MixflowError(_mismatch(found, wanted, shards))
    for part, path in zip(parts, shards, strict=True):
        idle = part["feature"].values[part["status"].values == Status.NOT_RUN]
        if len(idle):
            raise MixflowError(
                Problem("features without a fit", file=str(path), value=list(idle[:5]), remedy=REMEDY)
            )


def _mismatch(found: np.ndarray, wanted: np.ndarray, shards: Sequence[Path]) -> Problem:
    held, asked = set(found), set(wanted)
    missing = [i for i in wanted if i not in held]
    extra = [i for i in found if i not in asked]
    what = (
        f"{len(missing)} feature(s) are missing"
        if missing
        else f"{len(extra)} feature(s) are unknown"
        if extra
        else "features are doubled or out of order"
    )
    return Problem(
        f"the shards do not hold the features of the study: {what}",
        file=str(shards[0].parent),
        value=(missing or extra or list(found))[:5],
        remedy=REMEDY,
    )
