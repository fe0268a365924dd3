"""Run a simulated study and say what it took.

measure.py study CONFIG FOLDER OUT: the whole workflow, from its store to its report.
measure.py shards CONFIG FOLDER OUT: the fits and tests again, with each number of shards of CONFIG.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

USED = re.compile(r"used: ([\d.]+) s of processor, (\d+) MB of memory")


def run(folder: Path, cores: int, *words: str) -> dict[str, Any]:
    """`mixflow run` in ``folder``: wall and processor seconds of everything, load of the machine around it."""
    command = [sys.executable, "-m", "mixflow.cli", "run", "config.yaml", "--cores", str(cores), *words]
    before, began, load = (
        resource.getrusage(resource.RUSAGE_CHILDREN),
        time.perf_counter(),
        os.getloadavg()[0],
    )
    with (folder / "run.log").open("w") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=subprocess.STDOUT)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "load": [load, os.getloadavg()[0]], "jobs": jobs(folder)}


def jobs(folder: Path) -> list[dict[str, Any]]:
    """Rule, wall and processor seconds and peak memory (MB) of each job whose log and benchmark lie there."""
    found = []
    for path in sorted((folder / "benchmarks").rglob("*.jsonl")):
        name = path.relative_to(folder / "benchmarks").with_suffix("")
        log = (folder / "logs" / name).with_name(name.name + ".log")
        told = USED.findall(log.read_text()) if log.is_file() else []
        if told:
            cpu, peak = told[-1]
            wall = json.loads(path.read_text().splitlines()[-1])["s"]
            rule = name.parts[1]
            found.append({"rule": rule, "wall": wall, "cpu": float(cpu), "peak_mb": float(peak)})
    return found


def size(path: Path) -> int:
    """Bytes of a file or of all files of a folder."""
    return sum(f.stat().st_size for f in (path.rglob("*") if path.is_dir() else (path,)) if f.is_file())


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the input and of all that the study leaves behind, by name."""
    (results,) = [path for path in (folder / "results").iterdir() if path.is_dir()]
    found = {"input": folder / "table.zarr", "work": results / "work", "study.zarr": results / "study.zarr"}
    found |= {name: results / name for name in ("report.html", "results.xlsx", "tables", "figures")}
    return {name: size(path) for name, path in found.items()}


def study(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The whole workflow, from nothing."""
    for name in ("results", "logs", "benchmarks", ".snakemake"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return run(folder, config["cores"]) | {"bytes": sizes(folder)}


def shards(config: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The same study fitted and tested again, in ever more shards; what stands before the fits stays."""
    path = folder / "config.yaml"
    asked, found = yaml.safe_load(path.read_text()), []
    for count in ["auto", *config["shards"]]:
        path.write_text(yaml.safe_dump(asked | {"shards": count}, sort_keys=False))
        for name in ("results/*/work/models", "results/*/work/shards", "logs/*/fit", "benchmarks/*/fit"):
            for old in folder.glob(name):
                shutil.rmtree(old)
        # Snakemake does not make again what only made files need: fits are asked for by name.
        told = run(folder, config["cores"], "--until", "gather", "--forcerun", "fit")
        told["jobs"] = [job for job in told["jobs"] if job["rule"] in ("fit", "gather")]
        n = sum(job["rule"] == "fit" for job in told["jobs"])
        found.append(told | {"shards": n, "chosen": count == "auto"})
    path.write_text(yaml.safe_dump(asked, sort_keys=False))
    return found


def main(kind: str, config_file: str, folder: str, out: str) -> None:
    """Measure and write OUT (JSON)."""
    config = yaml.safe_load(Path(config_file).read_text())
    found = {"study": study, "shards": shards}[kind](config, Path(folder))
    Path(out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
