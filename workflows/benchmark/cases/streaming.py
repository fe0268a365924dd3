"""100,000 features from Zarr: shards read their chunks, fit and write them; memory must not grow with features."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
import machine

SAMPLES, GROUPS, CHUNK, SHARD = 200, 40, 2048, 8192
FORMULA = "~ x + (1 | group)"


def sheet(seed: int) -> pd.DataFrame:
    """The samples."""
    rng = np.random.default_rng(seed)
    group = np.arange(SAMPLES) * GROUPS // SAMPLES
    return pd.DataFrame({"x": rng.normal(size=SAMPLES), "group": [f"g{g}" for g in group]})


def write(path: Path, features: int, seed: int) -> None:
    """Simulated values, chunk by chunk, each chunk from its own stream of random numbers."""
    import zarr

    frame = sheet(seed)
    group = pd.factorize(frame["group"])[0]
    shutil.rmtree(path, ignore_errors=True)
    array = zarr.create_array(path, shape=(features, SAMPLES), chunks=(CHUNK, SAMPLES), dtype="float64")
    for first in range(0, features, CHUNK):
        rng = np.random.default_rng([seed, first])
        size = min(CHUNK, features - first)
        values = rng.normal(20, 2, (size, 1)) + rng.normal(size=(size, SAMPLES))
        values += (rng.gamma(2, 0.4, (size, 1)) * rng.normal(size=(size, GROUPS)))[:, group]
        values[rng.random(values.shape) < 0.2] = np.nan
        array[first : first + size] = values


def fit_store(path: Path, out: Path, features: int, seed: int, shard: int = SHARD) -> tuple[float, float]:
    """Fit every shard of the store in turn, writing each one's estimates. (seconds, peak MB) of the process."""
    import zarr

    from mixflow.api import fit_values

    values, frame = zarr.open_array(path, mode="r"), sheet(seed)
    shutil.rmtree(out, ignore_errors=True)
    target = zarr.create_array(out, shape=(features, 4), chunks=(CHUNK, 4), dtype="float64")
    start = time.perf_counter()
    for first in range(0, features, shard):
        part = slice(first, min(first + shard, features))
        fit = fit_values(np.asarray(values[part]), frame, FORMULA)
        target[part] = np.column_stack([fit.beta, fit.sigma, fit.loglik])
    return time.perf_counter() - start, machine.peak_mb()


def _alone(arguments: tuple[Any, ...]) -> tuple[float, float]:
    return fit_store(*arguments)


def measure(work: Path, seed: int) -> dict[str, Any]:
    """Peak memory for 10,000 and 100,000 features, each in a process of its own; bytes equal to one shard's."""
    import zarr

    context, found = multiprocessing.get_context("spawn"), {}
    for features in (10_000, 100_000):
        path = work / f"values-{features}.zarr"
        write(path, features, seed)
        with context.Pool(1) as pool:
            task = (path, work / f"fits-{features}.zarr", features, seed)
            seconds, peak = pool.apply(_alone, (task,))
        found[str(features)] = {"seconds": seconds, "peak_mb": peak}
    with context.Pool(1) as pool:  # all 10,000 in memory at once
        whole = pool.apply(_alone, ((work / "values-10000.zarr", work / "whole.zarr", 10_000, seed, 10_000),))
    same = np.array_equal(
        zarr.open_array(work / "whole.zarr")[:], zarr.open_array(work / "fits-10000.zarr")[:], equal_nan=True
    )
    return {
        "features": found,
        "whole": whole,
        "same_bytes": bool(same),
        "seconds": found["100000"]["seconds"],
    }
