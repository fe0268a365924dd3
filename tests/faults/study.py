"""The study that faults are injected into: 24 samples, 520 features in two shards, one mixed model, one analysis."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixflow.pipeline.paths import Paths
from mixflow.store import atomic, verify
from tests.pipeline import tiny

ROOT = Path(__file__).parents[2]
PATHS = Paths("tiny")
MODEL = "mixed"
MODELS: dict[str, Any] = {MODEL: {**tiny.CONFIG["models"][MODEL], "analyses": {"r2": None}}}
SHARDS = 2
RULES = ("check", "ingest", "preprocess", "batch", "fit", "gather", "analyse", "assemble", "report")
STORES = {
    "raw": PATHS.raw,
    "data": PATHS.data,
    "batch": PATHS.batch,
    "shard": PATHS.shard(MODEL, 1, SHARDS),
    "model": PATHS.model(MODEL),
    "analyses": PATHS.analyses(MODEL),
    "study.zarr": PATHS.store,
}
"""One store of each kind."""
VOLATILE = ("manifest.json", "provenance/zarr.json", ".snakemake_timestamp")
"""Files of a store that tell times and commands; all others are the same bytes in every run."""


@dataclass(frozen=True)
class Job:
    """One job of the workflow, as its script sees it."""

    rule: str
    inputs: dict[str, Any]
    outputs: dict[str, Path]
    wildcards: dict[str, str] = field(default_factory=dict)


def write(folder: Path, **changes: Any) -> Path:
    """Table, sheet and config in ``folder``; the config's path."""
    return tiny.write(folder, **{"n_features": 520, "models": MODELS, "shards": SHARDS, **changes})


def shards() -> list[Path]:
    return [PATHS.shard(MODEL, i + 1, SHARDS) for i in range(SHARDS)]


def job(rule: str) -> Job:
    """The job of a rule (of fit: the first shard, which holds 512 features)."""
    data, model = {"data": PATHS.data}, {"model": MODEL}
    of_model = {
        "fit": Job("fit", data, {"store": shards()[0]}, {**model, "shard": f"1-of-{SHARDS}"}),
        "gather": Job("gather", {**data, "shards": shards()}, {"store": PATHS.model(MODEL)}, model),
        "analyse": Job(
            "analyse",
            {**data, "model": PATHS.model(MODEL), "others": []},
            {"store": PATHS.analyses(MODEL)},
            model,
        ),
    }
    parts = {"models": [PATHS.model(MODEL)], "analyses": [PATHS.analyses(MODEL)]}
    report = {
        "html": PATHS.report,
        "tables": PATHS.results / "tables",
        "figures": PATHS.results / "figures",
        "xlsx": PATHS.results / "results.xlsx",
    }
    return {
        **of_model,
        "check": Job("check", {}, {"text": PATHS.checked}),
        "ingest": Job("ingest", {}, {"store": PATHS.raw}),
        "preprocess": Job("preprocess", {"raw": PATHS.raw}, {"store": PATHS.data}),
        "batch": Job("batch", {"data": PATHS.data}, {"store": PATHS.batch}),
        "assemble": Job("assemble", {**data, "batch": PATHS.batch, **parts}, {"store": PATHS.store}),
        "report": Job("report", {"store": PATHS.store}, report),
    }[rule]


def copied(finished: Path, to: Path) -> Path:
    """A copy of a finished study with the same times, for one fault."""
    shutil.copytree(finished, to, copy_function=shutil.copy2, symlinks=True)
    return to


def content(folder: Path, paths: list[Path]) -> dict[str, str]:
    """sha256 of each file below ``paths`` that must not differ between two runs, by its name.

    The page itself tells times; its tables, figures and workbook do not.
    """
    found = {}
    for path in paths:
        whole = folder / path
        files = sorted(p for p in whole.rglob("*") if p.is_file()) if whole.is_dir() else [whole]
        for file in files:
            name = file.relative_to(folder).as_posix()
            if not name.endswith((*VOLATILE, "report.html")):
                found[name] = hashlib.sha256(_plain(file)).hexdigest()
    return found


def _plain(file: Path) -> bytes:
    """The file without the digest that ties analyses to one writing of the store that they stand on."""
    if file.name != "zarr.json" or b"made_from" not in file.read_bytes():
        return file.read_bytes()
    told = json.loads(file.read_bytes())
    told["attributes"].pop("made_from", None)
    return json.dumps(told, sort_keys=True).encode()


def results(folder: Path) -> dict[str, str]:
    """What a user reads in the end: tables, figures, workbook, and the arrays of study.zarr."""
    found = content(folder, [*job("report").outputs.values(), PATHS.store])
    tables = [name for name in found if "/tables/" in name]
    arrays = [name for name in found if "/c/" in name and "study.zarr" in name]
    assert len(tables) >= 8 and len(arrays) >= 30, sorted(found)
    return {name: sha for name, sha in found.items() if "zarr.json" not in name}


def half_written(folder: Path, made: Job) -> list[str]:
    """Problems of outputs that stand in their place and are not whole: nothing may ever take them for done."""
    found = []
    for path in made.outputs.values():
        whole = folder / path
        if path.suffix == ".zarr" and whole.exists():
            found += [str(problem) for problem in verify.verify(whole)]
    return found


def without_outputs(folder: Path, made: Job) -> None:
    """Remove the outputs of a job, as Snakemake does before it runs one."""
    for path in made.outputs.values():
        atomic.remove(folder / path)


def from_rule(folder: Path, rule: str) -> None:
    """Everything that this rule makes, and what is made from it, is to be made again."""
    for each in ("check", "report") if rule == "check" else RULES[RULES.index(rule) :]:
        without_outputs(folder, job(each))


def leftovers(folder: Path) -> list[str]:
    """Temporaries of writes that never ended; none may outlive the next run."""
    results = folder / PATHS.results
    return sorted(str(p) for p in results.rglob("*") if p.name.endswith((".tmp", ".old", ".part")))
