"""What each step asks of a scheduler: memory and run time, measured by earlier runs where they were, else a formula.

Asked for: the greatest need that the benchmark files of this study tell of (those newer than its data), with a
margin, but no less than the floor of the step; without such files the formula, linear in the size of the data.
Either is doubled with each attempt, so that a job killed for memory or time comes back with more (the number of
attempts is `retries` of the profile). Nothing here decides what is computed: other requests run nothing again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from mixflow.pipeline.paths import Paths
from mixflow.study.config import Study
from mixflow.study.plan import ModelPlan, Plan

Asked = Callable[..., int]
"""What a rule's `resources:` takes: a function of ``wildcards`` and ``attempt``."""


@dataclass(frozen=True)
class Cost:
    """Need of a step: megabytes and seconds, each a constant and a part for each megabyte of data as text.

    ``sharded``: the part is that of a shard.
    """

    mb: float
    mb_per_mb: float
    seconds: float
    seconds_per_mb: float
    sharded: bool = False


COSTS = {
    "check": Cost(300, 12, 60, 0.5),
    "ingest": Cost(250, 16, 60, 0.5),
    "preprocess": Cost(250, 5, 60, 0.5),
    "batch": Cost(400, 12, 120, 0.5),
    "fit": Cost(450, 10, 180, 1, sharded=True),
    "gather": Cost(400, 6, 120, 0.5),
    "analyse": Cost(450, 10, 180, 2),
    "assemble": Cost(300, 8, 60, 0.5),
    "report": Cost(350, 10, 120, 2),
}
"""Fitted to benchmark files of the embedded study (0.3 MB) and of 20,000 x 200 values (36 MB), rounded upwards:
docs/clusters.md. One value is 8 bytes in memory and 7 to 9 as text, so a megabyte of text is one of values."""
GENERALISED = 40
"""How much longer a feature's generalised model takes than a Gaussian one (docs/benchmarks.md), rounded upwards."""
LAUNCHER_MB = 600
"""Slurm counts with a job Snakemake itself, which starts the step and is started again for it (measured 310 to 470)."""
FLOOR_MB, FLOOR_MINUTES = 100, 10
MARGIN_MB, MARGIN_TIME = 1.3, 2.0
"""Memory of a step hardly varies from run to run; time does, with the node and its other jobs."""
PACKED = 6.0
"""How many times longer the text of a compressed file is."""
PACKED_ENDS = (".gz", ".bz2", ".xz", ".zip", ".xlsx", ".qza", ".parquet", ".biom", ".h5", ".rds")


class Measured(NamedTuple):
    """The greatest use of a step that its benchmark files tell of: megabytes resident, seconds."""

    mb: float
    seconds: float


class Costs:
    """Requests of the steps of one study."""

    def __init__(self, study: Study, plan: Plan, paths: Paths):
        self._study, self._plan, self._paths = study, plan, paths
        self._cache: dict[tuple[str, str], Measured | None] = {}

    def asked(self, step: str) -> dict[str, Asked]:
        """The `resources:` of the rule of ``step``."""
        return {"mem_mb": self.mem_mb(step), "runtime": self.runtime(step), "attempt": attempt_of}

    def mem_mb(self, step: str) -> Asked:
        """Megabytes for a job of ``step``, with Snakemake's own; doubled with each attempt."""

        def asked(wildcards: Any, attempt: int = 1) -> int:
            return asked_mb(self.need_mb(step, _model(wildcards)), attempt)

        return asked

    def runtime(self, step: str) -> Asked:
        """Minutes for a job of ``step``; doubled with each attempt."""

        def asked(wildcards: Any, attempt: int = 1) -> int:
            return asked_minutes(self.need_seconds(step, _model(wildcards)), attempt)

        return asked

    def need_mb(self, step: str, model: str = "") -> float:
        """Megabytes that a step (of a model) needs itself, with the margin of what was measured."""
        seen, cost = self.measured(step, model), COSTS[step]
        return seen.mb * MARGIN_MB if seen else cost.mb + cost.mb_per_mb * self._megabytes(cost)

    def need_seconds(self, step: str, model: str = "") -> float:
        """Seconds that a step (of a model) needs, with the margin of what was measured."""
        seen, cost = self.measured(step, model), COSTS[step]
        if seen:
            return seen.seconds * MARGIN_TIME
        return self.slow(step, model) * (cost.seconds + cost.seconds_per_mb * self._megabytes(cost))

    def measured(self, step: str, model: str = "") -> Measured | None:
        """The greatest use by this step (of this model) in earlier runs on the data as they are; None without one.

        Read once: while a step runs, Snakemake takes its benchmark file away.
        """
        key = (step, model)
        if key not in self._cache:
            self._cache[key] = self._read(step, model)
        return self._cache[key]

    def _read(self, step: str, model: str) -> Measured | None:
        folder, count = self._paths.benchmarks, self._plan.n_shards
        if step == "fit":
            files: Iterable[Path] = (
                folder / step / f"{model}.{i + 1}-of-{count}.jsonl" for i in range(count)
            )
        else:
            files = [folder / step / f"{model}.jsonl" if model else folder / f"{step}.jsonl"]
        return greatest(files, self._paths, self.newest)

    @property
    def newest(self) -> float:
        """When the data were last written: what was measured before is no measure of them."""
        return max((_time(path) for path in self._study.data.files), default=0.0)

    def _megabytes(self, cost: Cost) -> float:
        """Megabytes of data as text that a job of a step of this cost sees."""
        return self.total / self._plan.n_shards if cost.sharded else self.total

    @cached_property
    def total(self) -> float:
        """Megabytes of the data as text."""
        return sum(_text_bytes(path) for path in self._study.data.files) / 1e6

    def slow(self, step: str, model: str) -> float:
        """How much longer a step takes for this model than for a Gaussian one."""
        return GENERALISED if step in ("fit", "analyse") and model and self._is_generalised(model) else 1

    def _is_generalised(self, model: str) -> bool:
        found: ModelPlan = self._plan.model(model)
        return found.generalised


def greatest(files: Iterable[Path], paths: Paths, newest: float) -> Measured | None:
    """The greatest use that benchmark files written after ``newest`` tell of, with the peaks in the logs beside."""
    seen = [path for path in files if _time(path) > newest]
    used = [each for path in seen for each in _records(path)]
    if not used:
        return None
    logs = [_peak(paths.logs / path.relative_to(paths.benchmarks).with_suffix(".log")) for path in seen]
    return Measured(max(*(u.mb for u in used), *logs), max(u.seconds for u in used))


def attempt_of(wildcards: Any, attempt: int = 1) -> int:
    """Which attempt a job is, for the job itself (`mixflow.pipeline.refused`); Snakemake tells it in resources only."""
    return attempt


def asked_mb(need: float, attempt: int) -> int:
    """Megabytes asked for a job that needs so many itself: with Snakemake's own, doubled with each attempt."""
    return escalated(max(need, FLOOR_MB) + LAUNCHER_MB, attempt, to=50)


def asked_minutes(need: float, attempt: int) -> int:
    """Minutes asked for a job that needs so many seconds, doubled with each attempt."""
    return escalated(FLOOR_MINUTES + need / 60, attempt, to=5)


def escalated(need: float, attempt: int, to: int) -> int:
    """``need``, twice as much with each further attempt, rounded up to a multiple of ``to``."""
    return math.ceil(need * 2 ** (attempt - 1) / to) * to


def _model(wildcards: Any) -> str:
    return getattr(wildcards, "model", "")


def _records(path: Path) -> list[Measured]:
    """The runs that a benchmark file tells of; those too short for Snakemake to have seen their memory are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # its step began in this moment
        return []
    found = []
    for line in lines:
        try:
            told = json.loads(line)
            found.append(Measured(float(told["max_rss"]), float(told["s"])))
        except (ValueError, KeyError, TypeError):  # "NA", or a line cut off by a killed run
            continue
    return found


def _peak(log: Path) -> float:
    """Peak memory that a step wrote into its log at the end, which a benchmark can miss; 0 where it did not."""
    found = (
        re.findall(r"([\d.]+) MB of memory at most", log.read_text(encoding="utf-8")) if log.is_file() else []
    )
    return max(map(float, found), default=0.0)


def _time(path: Path) -> float:
    """When a file was last written; before all others where it is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return -math.inf


def _text_bytes(path: Path) -> float:
    """Size of a file of data as text, of a store as it is; 0 where it is not there, which the check tells."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0.0
    return size * (PACKED if path.name.lower().endswith(PACKED_ENDS) else 1)
