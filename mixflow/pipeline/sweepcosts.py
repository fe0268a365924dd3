"""What the steps of a sweep ask of a scheduler: the needs of `pipeline.costs`, of a shared step or of a batch of them.

A batch starts once, one after the other does its work, and what one leaves in memory (compiled kernels) stays. Where
earlier runs of the sweep measured a shared step, the greatest of all its jobs is asked for, as in a study of its own;
for a batch no less than the formula, since the next run may put other combinations together.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixflow.pipeline.costs import (
    MARGIN_MB,
    MARGIN_TIME,
    Asked,
    Costs,
    Measured,
    asked_mb,
    asked_minutes,
    attempt_of,
    greatest,
)

if TYPE_CHECKING:
    from mixflow.pipeline.sweeps import Sweeps

EACH_MB = {"fits": 20, "combine": 1, "compare": 1, "check": 0}
EACH_SECONDS = {"fits": 15, "combine": 10, "compare": 1, "check": 1}
"""What each fit or combination adds to a job beside its data. In a run of 200 combinations of the embedded study, on a
machine six times overloaded, it was 5 MB and 11 s, 0 MB and 6 s, 0.4 MB and 0.7 s, 0 MB and 0.2 s."""


class SweepCosts:
    """Requests of the steps of a sweep."""

    def __init__(self, sweep: Sweeps):
        self._sweep = sweep
        self._cache: dict[str, Measured | None] = {}

    def asked(self, step: str) -> dict[str, Asked]:
        """The `resources:` of the rule of a shared step or of a step of one combination."""
        return {"mem_mb": self.mem_mb(step), "runtime": self.runtime(step), "attempt": attempt_of}

    def asked_of_fits(self, keys: Sequence[str]) -> dict[str, Asked]:
        """The `resources:` of a job of the fits with the hashes ``keys``."""
        return {"mem_mb": self.fits_mb(keys), "runtime": self.fits_runtime(keys), "attempt": attempt_of}

    def asked_of_all(self, step: str, names: Sequence[str]) -> dict[str, Asked]:
        """The `resources:` of a job of `combine`, `compare` or `check` of the combinations ``names``."""
        return {
            "mem_mb": self.all_mb(step, names),
            "runtime": self.all_runtime(step, names),
            "attempt": attempt_of,
        }

    def mem_mb(self, step: str) -> Asked:
        """Megabytes for a job of a shared step (wildcard `node`) or of a step of one `combination`."""

        def asked(wildcards: Any, attempt: int = 1) -> int:
            seen = self._shared(step, wildcards)
            need = seen.mb * MARGIN_MB if seen else self._of(wildcards).need_mb(step, _model(wildcards))
            return asked_mb(need, attempt)

        return asked

    def runtime(self, step: str) -> Asked:
        """Minutes for the same."""

        def asked(wildcards: Any, attempt: int = 1) -> int:
            seen, own = self._shared(step, wildcards), self._of(wildcards)
            need = seen.seconds * MARGIN_TIME if seen else own.need_seconds(step, _model(wildcards))
            return asked_minutes(need, attempt)

        return asked

    def fits_mb(self, keys: Sequence[str]) -> Asked:
        """Megabytes for a job of the fits with the hashes ``keys``."""
        needs = [costs.need_mb("fit", model) for costs, model in self._fits(keys)]
        return self._mb("fits", max(needs) + EACH_MB["fits"] * len(keys))

    def fits_runtime(self, keys: Sequence[str]) -> Asked:
        """Minutes for the same; a fit in a batch makes all shards of its model."""
        needs = [costs.need_seconds("fit", model) for costs, model in self._fits(keys)]
        more = sum(costs.slow("fit", model) * _each(costs, "fits") for costs, model in self._fits(keys))
        return self._minutes("fits", max(needs) + more)

    def all_mb(self, step: str, names: Sequence[str]) -> Asked:
        """Megabytes for a job of `combine`, `compare` or `check` of the combinations ``names``."""
        alone = max(self._alone_mb(step, name) for name in names)
        kept = 1 if step == "compare" else 0  # the tables of all are held together
        more = sum(EACH_MB[step] + kept * self._costs(name).total for name in names)
        return self._mb(step, alone + more)

    def all_runtime(self, step: str, names: Sequence[str]) -> Asked:
        """Minutes for the same."""
        alone = max(self._alone_seconds(step, name) for name in names)
        return self._minutes(step, alone + sum(self._more_seconds(step, name) for name in names))

    def _alone_mb(self, step: str, name: str) -> float:
        return max(self._costs(name).need_mb(each) for each in STEPS[step])

    def _alone_seconds(self, step: str, name: str) -> float:
        models = self._models(name) if step == "combine" else [""]
        return max(
            sum(self._costs(name).need_seconds(each, model) for each in STEPS[step]) for model in models
        )

    def _more_seconds(self, step: str, name: str) -> float:
        costs = self._costs(name)
        if step != "combine":
            return _each(costs, step)
        return sum(costs.slow("analyse", model) * _each(costs, step) for model in self._models(name))

    def _models(self, name: str) -> Sequence[str]:
        return self._sweep.workflows[name].plan.names

    def _mb(self, step: str, formula: float) -> Asked:
        def asked(wildcards: Any, attempt: int = 1) -> int:
            seen = self._measured(_batches(step))
            return asked_mb(max(seen.mb * MARGIN_MB if seen else 0, formula), attempt)

        return asked

    def _minutes(self, step: str, formula: float) -> Asked:
        def asked(wildcards: Any, attempt: int = 1) -> int:
            seen = self._measured(_batches(step))
            return asked_minutes(max(seen.seconds * MARGIN_TIME if seen else 0, formula), attempt)

        return asked

    def _costs(self, name: str) -> Costs:
        return self._sweep.workflows[name].costs

    def _of(self, wildcards: Any) -> Costs:
        node = getattr(wildcards, "node", "")
        return self._sweep.at(node).costs if node else self._costs(wildcards.combination)

    def _fits(self, keys: Sequence[str]) -> list[tuple[Costs, str]]:
        nodes = [self._sweep.nodes[key] for key in keys]
        return [(self._costs(node.combination), node.step.removeprefix("fit ")) for node in nodes]

    def _shared(self, step: str, wildcards: Any) -> Measured | None:
        """What was measured of this shared step; None for a step of one combination, which knows its own."""
        if not getattr(wildcards, "node", ""):
            return None
        model = glob.escape(_model(wildcards))
        return self._measured(f"{step}/*.{model}.*.jsonl" if model else f"{step}/*.jsonl")

    def _measured(self, files: str) -> Measured | None:
        """The greatest use that the benchmark files of that pattern tell of."""
        if files not in self._cache:
            base, workflows = self._sweep.base, self._sweep.workflows.values()
            newest = max(workflow.costs.newest for workflow in workflows)
            found = sorted((base.benchmarks / "sweep").glob(files))
            self._cache[files] = greatest(found, base, newest)
        return self._cache[files]


STEPS = {"combine": ("gather", "analyse"), "compare": ("report",), "check": ("check",)}
"""Steps of a study that do the same."""


def _batches(step: str) -> str:
    """The benchmark files of a step of many combinations: those of batches are numbered."""
    return f"{step}_*.jsonl" if step in ("fits", "combine") else f"{step}.jsonl"


def _each(costs: Costs, step: str) -> float:
    """Seconds of one fit or combination in a batch, without the start."""
    return EACH_SECONDS[step] + costs.total


def _model(wildcards: Any) -> str:
    return getattr(wildcards, "model", "")
