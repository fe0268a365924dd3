"""One round of mixflow: measure.py CONFIG WORK ROUND; writes WORK/mixflow-ROUND.json and .npz.

A process of its own. The first round starts with an empty compilation cache, later ones find it filled.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import steps
import yaml

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from mixflow.design import Design
    from mixflow.model import Fit

WARM_UP = 1024
"""Features of the first call, which compiles, and of the second, which tells how long the first computed."""


def main(config_file: str, work: str, turn: str) -> None:
    """Time compilation, the engine, the engine with Zarr, and its steps."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    cache = folder / "jax-cache"
    if turn == "1":
        shutil.rmtree(cache, ignore_errors=True)
    machine.pin(config["cores"], blas_threads=config["cores"])
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.resolve())
    report: dict[str, Any] = {"round": int(turn), "cache": "warm" if cache.is_dir() else "cold"}
    report["load"] = [machine.load()]
    report["import"] = clocked(imports)
    report |= measured(config, folder, turn)
    report["load"].append(machine.load())
    write_json(report, folder / f"mixflow-{turn}.json")


def imports() -> None:
    """All that the measurements need, jax among it."""
    import mixflow.inference.tests
    import mixflow.optimise.fitting
    import mixflow.pipeline.gather
    import mixflow.store.zarr_io  # noqa: F401


def measured(config: dict[str, Any], folder: Path, turn: str) -> dict[str, Any]:
    """The timings of one round, and its estimates for the features that the peer fitted."""
    import numpy as np

    design, values, ids = inputs(config, folder)
    out: dict[str, Any] = {"features": len(values)}
    few = lambda: engine(design, values[:WARM_UP], ids[:WARM_UP])  # noqa: E731
    first, second = clocked(few), clocked(few)
    out["compile"] = {clock: max(first[clock] - second[clock], 0.0) for clock in first}
    out["peak_mb_compiled"] = machine.peak_mb()
    out["engine"] = [clocked(lambda: engine(design, values, ids)) for _ in range(config["repetitions"])]
    out["peak_mb_engine"] = machine.peak_mb()
    store = folder / "fits.zarr"
    out["zarr"] = []
    for _ in range(config["repetitions"]):
        shutil.rmtree(store, ignore_errors=True)  # a job writes a new store, it removes no old one
        out["zarr"].append(clocked(lambda: with_zarr(config, folder, store)))
    out["peak_mb_zarr"] = machine.peak_mb()
    shutil.rmtree(store, ignore_errors=True)
    with steps.watched() as seconds:
        with_zarr(config, folder, store)
    fit, tests = engine(design, values, ids)
    out["statuses"] = {
        str(s): int(n) for s, n in zip(*np.unique(fit.status, return_counts=True), strict=True)
    }
    save_estimates(fit, tests, folder / f"mixflow-{turn}.npz")
    return out | {"steps": dict(seconds)}


def inputs(config: dict[str, Any], folder: Path) -> tuple[Design, np.ndarray, np.ndarray]:
    """The design, and values and ids of all features from the store."""
    import numpy as np
    import pandas as pd

    from mixflow.design import build
    from mixflow.formula import parse
    from mixflow.store import zarr_io

    sheet = pd.read_csv(folder / "samples.csv", index_col="sample")
    data = zarr_io.load(folder / "data.zarr")["data"].to_dataset(inherit=False)
    design = build(parse(config["formula"]), sheet)
    return design, data["value"].values, np.asarray(data["feature"].values, dtype=object)


def engine(design: Design, values: np.ndarray, ids: np.ndarray) -> tuple[Fit, dict[str, np.ndarray]]:
    """What is timed: fit every feature, then test every coefficient with Satterthwaite df."""
    from mixflow.inference.contrasts import build_coefficients
    from mixflow.inference.tests import test
    from mixflow.optimise.fitting import fit_features

    fit = fit_features(design, values, ids)
    return fit, test(fit, build_coefficients(design))


def with_zarr(config: dict[str, Any], folder: Path, store: Path) -> None:
    """The same from the store of the data to the store of fits and tests, as the workflow's jobs write it."""
    from mixflow.store import zarr_io

    design, values, ids = inputs(config, folder)
    fit, tests = engine(design, values, ids)
    zarr_io.write(tree(design, fit, tests), store)


def tree(design: Design, fit: Fit, tests: dict[str, np.ndarray]) -> xr.DataTree:
    """Fits and tests with their labels."""
    import xarray as xr

    from mixflow.inference.contrasts import build_coefficients
    from mixflow.pipeline import gather
    from mixflow.store import fits

    labelled = gather.to_dataset(tests, build_coefficients(design), fit)
    return xr.DataTree.from_dict({"fits/bench": fits.to_dataset(fit), "tests/bench": labelled})


def clocked(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds that ``work`` took: by the clock, and of processor time in all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def save_estimates(fit: Fit, tests: dict[str, np.ndarray], path: Path) -> None:
    """What is compared with the peer."""
    import numpy as np

    kept = {name: tests[name] for name in ("estimate", "std_error", "df")}
    np.savez(path, **kept, loglik=fit.loglik, status=fit.status, terms=np.array(fit.coef_names))


def write_json(report: dict[str, Any], path: Path) -> None:
    """The report with the versions it was measured with."""
    import json

    from mixflow.store import software

    git = software.git()
    commit = f"{git['git_commit']}{'+dirty' if git['git_dirty'] else ''}"
    path.write_text(json.dumps(report | {"versions": software.versions(), "git": commit}))


if __name__ == "__main__":
    main(*sys.argv[1:])
