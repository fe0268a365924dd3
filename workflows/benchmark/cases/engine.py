"""mixflow on one case: engine.py CONFIG CASE FOLDER OUT. One process a core, each with its share, as shards run."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
import machine

BARRIER: list[Barrier] = []


def main(config_file: str, case: str, folder: str, out: str) -> None:
    """Time the repetitions: the clock from the moment all processes are ready until the last is done."""
    config = yaml.safe_load(Path(config_file).read_text())
    cores = config["cores"]
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str((Path(config["work"]) / "jax-cache").resolve())
    before = machine.load()
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores, _keep, (context.Barrier(cores),)) as pool:
        found = pool.map(_worker, [(config, case, folder, i) for i in range(cores)], chunksize=1)
    runs = [
        {
            "seconds": max(f["walls"][r] for f in found),
            "cpu": sum(f["cpus"][r] for f in found),
            "features": sum(f["features"] for f in found),
        }
        for r in range(config["repetitions"])
    ]
    report = {"runs": runs, "statuses": [f["statuses"] for f in found], "load": [before, machine.load()]}
    report |= {"peak_mb": sum(f["peak_mb"] for f in found), "first_call": [f["first"] for f in found]}
    report |= {"answers": {k: v for f in found for k, v in f["answers"].items()}}
    Path(out).write_text(json.dumps(report))


def _keep(barrier: Barrier) -> None:
    BARRIER.append(barrier)


def _worker(task: tuple[dict[str, Any], str, str, int]) -> dict[str, Any]:
    """Wall and processor seconds of each repetition on this process's features."""
    config, case, folder, place = task
    machine.pin(1, first=place)
    work = prepare(config["cases"][case], Path(folder), place, config["cores"])
    start = time.perf_counter()
    fit = work()
    first, walls, cpus = time.perf_counter() - start, [], []
    for _ in range(config["repetitions"]):
        BARRIER[0].wait()
        start, cpu = time.perf_counter(), time.process_time()
        work()
        cpus.append(time.process_time() - cpu)
        BARRIER[0].wait()
        walls.append(time.perf_counter() - start)
    import numpy as np

    codes, counts = np.unique(fit.status, return_counts=True)
    statuses = {str(code): int(n) for code, n in zip(codes, counts, strict=True)}
    return {
        "walls": walls,
        "cpus": cpus,
        "first": first,
        "features": len(fit.status),
        "statuses": statuses,
        "peak_mb": machine.peak_mb(),
        "answers": _answers(config["cases"][case], fit, place, config["cores"]),
    }


def _answers(case: dict[str, Any], fit: Any, place: int, of: int) -> dict[str, Any]:
    if "family" not in case:
        return {}
    import generalised
    import numpy as np

    return generalised.answers(fit, place + of * np.arange(len(fit.status)))


def prepare(case: dict[str, Any], folder: Path, place: int, of: int) -> Any:
    """What is timed: fit all features of this process, test every coefficient by the case's df."""
    import numpy as np
    import pandas as pd

    from mixflow.api.fitting import residual_side
    from mixflow.design import build
    from mixflow.formula import parse
    from mixflow.inference.contrasts import build_coefficients
    from mixflow.inference.tests import test
    from mixflow.optimise.fitting import fit_features
    from mixflow.optimise.ragged import fit_ragged

    df, kr = case.get("df", "satterthwaite"), case.get("df") == "kenward-roger"
    if (folder / "long.csv").exists():
        long = pd.read_csv(folder / "long.csv")
        numbers, ids = pd.factorize(long["feature"])
        mine = numbers % of == place  # every other protein: shares of like size
        long, numbers = long[mine].reset_index(drop=True), numbers[mine]
        ids, numbers = ids[np.unique(numbers)].to_numpy(), np.unique(numbers, return_inverse=True)[1]

        def rows() -> Any:
            design = build(parse(case["formula"]), long)
            used = design.rows  # rows with a value in every column of the formula
            fit = fit_ragged(design, long["y"].to_numpy()[used], numbers[used], ids, kr=kr)
            test(fit, build_coefficients(design), df=df, design=design)
            return fit

        return rows
    sheet = pd.read_csv(folder / "rows.csv")
    values = np.fromfile(folder / "values.f64", "<f8").reshape(-1, len(sheet))[place::of]
    ids = np.arange(len(values)).astype(str)
    if "family" in case:
        import generalised

        return generalised.work(case, sheet, values, ids)

    def shared() -> Any:
        design = build(parse(case["formula"]), sheet, **residual_side(case.get("residual"), None))
        fit = fit_features(design, values, ids, kr=kr)
        test(fit, build_coefficients(design), df=df, design=design)
        return fit

    return shared


if __name__ == "__main__":
    main(*sys.argv[1:])
