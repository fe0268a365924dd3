"""One round of mixflow as the workflow's shards run it: processes.py CONFIG WORK ROUND.

One process a core, each with its share of the features; timed from the moment that all are ready until the
last has finished; writes WORK/shards-ROUND.json. The compilation cache was filled by measure.py.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import machine
import measure
import yaml


def main(config_file: str, work: str, turn: str) -> None:
    """Start the workers and write what the first one clocked."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str((folder / "jax-cache").resolve())
    before, count = machine.load(), config["cores"]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with context.Pool(count, _keep, (barrier,)) as pool:
        found = pool.map(_worker, [(config, folder, i) for i in range(count)], chunksize=1)
    walls, cpus = (zip(*(f[k] for f in found), strict=True) for k in (0, 1))
    runs = [{"wall": max(wall), "cpu": sum(cpu)} for wall, cpu in zip(walls, cpus, strict=True)]
    report = {"round": int(turn), "features": sum(f[2] for f in found), "engine": runs}
    report |= {"peak_mb_engine": sum(f[3] for f in found), "load": [before, machine.load()]}
    (folder / f"shards-{turn}.json").write_text(json.dumps(report))


BARRIER: list[Barrier] = []


def _keep(barrier: Barrier) -> None:
    BARRIER.append(barrier)


def _worker(task: tuple[dict[str, Any], Path, int]) -> tuple[list[float], list[float], int, float]:
    """Wall and processor seconds of each repetition on this worker's features, their number, peak memory."""
    config, folder, place = task
    machine.pin(1, first=place)
    design, values, ids = measure.inputs(config, folder)
    part = slice(place * len(values) // config["cores"], (place + 1) * len(values) // config["cores"])
    own = lambda: measure.engine(design, values[part], ids[part])  # noqa: E731
    own()
    walls, cpus = [], []
    for _ in range(config["repetitions"]):
        BARRIER[0].wait()
        start, cpu = time.perf_counter(), time.process_time()
        own()
        cpus.append(time.process_time() - cpu)
        BARRIER[0].wait()
        walls.append(time.perf_counter() - start)
    return walls, cpus, len(ids[part]), machine.peak_mb()


if __name__ == "__main__":
    main(*sys.argv[1:])
