"""A sweep as the rules see it: combinations, the steps that they share, and batches of their light steps.

A step is shared by the hash of everything it follows from (`Workflow.settings` and those of the steps before it): 200
combinations that differ in contrasts are read, preprocessed and fitted once. What remains for each combination (tests,
analyses, tables) takes less time than starting a job, so one job makes a batch of them (`pipeline.combine`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import codehash, upstream
from mixflow.pipeline.paths import Paths
from mixflow.pipeline.setup import IsMade, Workflow
from mixflow.pipeline.sweepcosts import SweepCosts
from mixflow.study import sweep as sweep_module
from mixflow.study.columns import used_columns
from mixflow.study.plan import Plan, plan
from mixflow.study.study import Study
from mixflow.study.sweep import Sweep

BATCH = 25
"""Combinations in a job where the study is one shard: a start of 4 s is then a sixth of a second for each."""
FITS, FITS_BYTES = 10, 10_000_000
"""Fits in a job, and bytes of data for which they count: where a fit takes longer than a start, it is a job."""
FILES = ("tests.tsv", "config.yaml")
"""What each combination has beside its stores."""
BEFORE = {
    "check": (),
    "ingest": (),
    "preprocess": ("ingest",),
    "batch": ("ingest", "preprocess"),
    "fit": ("ingest", "preprocess", "batch"),
    "fits": ("ingest", "preprocess", "batch"),
    "combine": ("ingest", "preprocess", "batch", "fit"),
}


class Node(NamedTuple):
    """A shared step: its store, and a combination that it belongs to."""

    step: str
    key: str
    combination: str


class Sweeps:
    """The combinations of a config; ``only`` some of them, where a job needs no more."""

    def __init__(
        self, sweep: Sweep, base: Paths, only: Sequence[str] | None = None, is_made: IsMade | None = None
    ):
        self.sweep, self.base, self._is_made = sweep, base, is_made
        self.names = tuple(only if only is not None else (c.name for c in sweep.combinations))
        self.costs = SweepCosts(self)

    @property
    def folder(self) -> Path:
        """Where combinations and shared steps lie."""
        return self.base.results / "sweep"

    @property
    def compared(self) -> bool:
        """Whether the combinations are compared; else each has a report."""
        return self.sweep.kind == "sweep"

    @property
    def config(self) -> str:
        """The config."""
        return str(self.sweep.path)

    def paths(self, name: str) -> Paths:
        """Where the files of a combination lie."""
        return Paths(f"{self.base.study}/sweep/{name}" if self.compared else name, self.base.root)

    @cached_property
    def workflows(self) -> dict[str, Workflow]:
        """Each combination as a workflow of its own; MixflowError with every problem of any."""
        studies: dict[str, Study] = {}
        found: list[tuple[str, Problem]] = []
        plans: dict[str, Plan] = {}
        sheets = _Sheets()
        for name in self.names:
            study, problems = self.sweep.attempt(name)
            found += [(name, problem) for problem in problems]
            if study is not None and not problems:
                try:
                    studies[name], plans[name] = study, plan(study, sheets.of(study))
                except MixflowError as error:
                    placed = self.sweep.by_name[name].placed
                    found += [(name, placed(problem)) for problem in error.problems]
        if found:
            raise MixflowError(sweep_module.told_once(self.sweep, found))
        made = self._is_made
        return {name: Workflow(study, plans[name], self.paths(name), made) for name, study in studies.items()}

    @cached_property
    def keys(self) -> dict[str, dict[str, str]]:
        """For each combination the hash of each shared step: ingest, preprocess, batch, fit <model>."""
        return {name: _keys(workflow) for name, workflow in self.workflows.items()}

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The shared steps by their hash."""
        found: dict[str, Node] = {}
        for name, keys in self.keys.items():
            for step, key in keys.items():
                found.setdefault(key, Node(step, key, name))
        return found

    def pattern(self, step: str) -> str:
        """Regular expression of the hashes of a step; of fits those that are jobs of their own."""
        together = {key for keys in self.fit_batches for key in keys}
        keys = [node.key for node in self.nodes.values() if node.step.split()[0] == step]
        return "|".join(key for key in keys if key not in together) or "none"

    @cached_property
    def fit_batches(self) -> list[list[str]]:
        """Hashes of the fits that are made together, by job: those of small data."""
        small = [
            node.key
            for node in self.nodes.values()
            if node.step.startswith("fit ") and _size(self.workflows[node.combination]) * FITS <= FITS_BYTES
        ]
        return [small[start : start + FITS] for start in range(0, len(small), FITS)]

    def fits_inputs(self, keys: Sequence[str]) -> list[str]:
        """Every store and file that these fits read."""
        found: list[str] = []
        for key in keys:
            found += self.node_inputs(key).values()
            found += self.at(key).relationships(self.nodes[key].step.removeprefix("fit "))
        return list(dict.fromkeys(found))

    def fits_outputs(self, keys: Sequence[str]) -> list[str]:
        """The stores of these fits."""
        nodes = [self.nodes[key] for key in keys]
        return [path for n in nodes for path in self.shards(n.combination, n.step.removeprefix("fit "))]

    @property
    def name_pattern(self) -> str:
        """Regular expression of the names of the combinations."""
        return "|".join(re.escape(name) for name in self.names)

    @property
    def model_pattern(self) -> str:
        """Regular expression of the names of the models of any combination."""
        names = {name for workflow in self.workflows.values() for name in workflow.plan.names}
        return "|".join(re.escape(name) for name in sorted(names))

    def shared(self, step: str, key: str) -> Path:
        """The store of a shared step."""
        return self.folder / "shared" / step / f"{key}.zarr"

    def inputs(self) -> list[str]:
        """Every file that any combination reads, and the table of combinations."""
        found = [path for workflow in self.workflows.values() for path in workflow.checked()]
        asked = self.sweep.file.values[self.sweep.kind]
        table = [str(sweep_module._beside(self.sweep.path, asked))] if isinstance(asked, str) else []
        return list(dict.fromkeys([*found, *table]))

    def at(self, key: str) -> Workflow:
        """A workflow to which the shared step of that hash belongs."""
        return self.workflows[self.nodes[key].combination]

    def key(self, step: str, key: str) -> str:
        """The hash of ``step`` before the shared step of the hash ``key``."""
        return self.keys[self.nodes[key].combination][step]

    def fit_inputs(self, name: str) -> dict[str, str]:
        """Stores that fits of a combination read."""
        keys, workflow = self.keys[name], self.workflows[name]
        found = {"data": str(self.shared("preprocess", keys["preprocess"]))}
        if workflow.study.batch.fit_on == "harmonised":
            found["batch"] = str(self.shared("batch", keys["batch"]))
        return found

    def node_inputs(self, key: str) -> dict[str, str]:
        """The same by the hash of one of the fits."""
        return self.fit_inputs(self.nodes[key].combination)

    def shards(self, name: str, model: str) -> list[str]:
        """The stores of the shards of a model in a combination."""
        folder = self.folder / "shared" / "fit" / self.keys[name][f"fit {model}"] / model
        count = self.workflows[name].plan.n_shards
        return [str(folder / f"{i + 1}-of-{count}.zarr") for i in range(count)]

    def assembled(self, name: str) -> dict[str, Any]:
        """What the store of a combination is assembled from."""
        workflow, keys = self.workflows[name], self.keys[name]
        return {
            "data": str(self.shared("preprocess", keys["preprocess"])),
            "batch": str(self.shared("batch", keys["batch"])),
            "models": workflow.models(),
            "analyses": workflow.analyses(),
        }

    @cached_property
    def batches(self) -> list[list[str]]:
        """Names of the combinations in each job; those that share their fits stand together."""
        fits = {
            name: [k for step, k in sorted(keys.items()) if "batch" not in step]
            for name, keys in self.keys.items()
        }
        names = sorted(self.names, key=lambda name: (fits[name], self.names.index(name)))
        size = max(1, BATCH // max(workflow.plan.n_shards for workflow in self.workflows.values()))
        return [names[start : start + size] for start in range(0, len(names), size)]

    def combine_inputs(self, names: Sequence[str]) -> list[str]:
        """Every store that the light steps of these combinations read."""
        found: list[str] = []
        for name in names:
            found += self.fit_inputs(name).values()
            for model in self.workflows[name].plan.names:
                found += self.shards(name, model)
        return list(dict.fromkeys(found))

    def folders(self, names: Sequence[str]) -> list[str]:
        """What these combinations make: stores of models and analyses."""
        workflows = [self.workflows[name] for name in names]
        return [path for each in workflows for path in (*each.models(), *each.analyses())]

    def files(self, names: Sequence[str]) -> list[str]:
        """What these combinations make beside: the table of tests and the config."""
        return [str(self.paths(name).results / file) for name in names for file in FILES]

    def combine_settings(self, names: Sequence[str]) -> str:
        """Hash of what the light steps of these combinations depend on."""
        return _hash([[name, self.workflows[name].study.raw, self.keys[name]] for name in names])

    def tests(self, name: str) -> str:
        """The table of all tests of a combination."""
        return str(self.paths(name).results / "tests.tsv")

    def target(self) -> list[str]:
        """What a run makes: the comparison, or the report of each study."""
        if self.compared:
            return [str(self.base.results / "comparison.html")]
        return [str(self.paths(name).report) for name in self.names]

    def behind(self, step: str, key: str) -> str:
        """`upstream` of the shared step of that hash."""
        return self.upstream(step, [self.nodes[key].combination])

    def before(self, step: str, names: Sequence[str]) -> Callable[[Any], str]:
        """`upstream` as a function of wildcards, so that it is asked when all rules are known."""
        return lambda wildcards: self.upstream(step, names)

    def upstream(self, step: str, names: Sequence[str]) -> str:
        """Hash of the input files and of the code before ``step``: as `pipeline.upstream`, of shared steps."""
        files = sorted({self._files(name) for name in names})
        return _hash([*files, *(_code(each) for each in BEFORE[step])])

    def _files(self, name: str) -> str:
        inputs = tuple(self.workflows[name].inputs())
        if inputs not in self._seen:
            self._seen[inputs] = upstream.of(self.workflows[name], "ingest")
        return self._seen[inputs]

    @cached_property
    def _seen(self) -> dict[tuple[str, ...], str]:
        return {}

    @property
    def plan_file(self) -> Path:
        """Which combination each shared step is made by: jobs find their config with it."""
        return self.folder / "plan.json"

    def write_plan(self) -> None:
        """Write `plan_file` where it says something else; never in params, for which steps would run again."""
        from mixflow.store import atomic

        nodes = self.nodes
        text = json.dumps({key: node.combination for key, node in nodes.items()}, indent=1)
        if not self.plan_file.is_file() or self.plan_file.read_text(encoding="utf-8") != text:
            self.plan_file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(self.plan_file, text)


class _Sheets:
    """Sample sheets, each read once."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def of(self, study: Study) -> Any:
        """The sheet of a study, None where it comes with the data."""
        from mixflow.study import sheet

        if study.samples.file is None:
            return None
        key = json.dumps([str(study.samples.file), study.raw["samples"], sorted(used_columns(study))])
        if key not in self._read:
            self._read[key] = sheet.read(study)
        return self._read[key]


def _keys(workflow: Workflow) -> dict[str, str]:
    """The hashes of the shared steps of one combination."""
    study = workflow.study
    keys = {"ingest": _hash([workflow.inputs(), workflow.settings("ingest")])}
    keys["preprocess"] = _hash([keys["ingest"], workflow.settings("preprocess")])
    keys["batch"] = _hash([keys["preprocess"], workflow.settings("batch")])
    read = [keys["batch"]] if study.batch.fit_on == "harmonised" else []
    for model in workflow.plan.names:
        own = [model, workflow.fit_settings(model), workflow.relationships(model)]
        keys[f"fit {model}"] = _hash([keys["preprocess"], *read, *own])
    return keys


def _size(workflow: Workflow) -> int:
    """Bytes of the data files of a study; those in folders count as large."""
    files = workflow.study.data.files
    return sum(path.stat().st_size if path.is_file() else FITS_BYTES for path in files)


def load(workflow: Workflow) -> Sweeps | None:
    """The sweep of the config of ``workflow``, None where it asks for none."""
    found = sweep_module.read(workflow.study.path)
    if found is None:
        return None
    sweeps = Sweeps(found, workflow.paths, is_made=workflow.is_made)
    sweeps.write_plan()  # after every combination was read: a sweep that cannot run leaves nothing behind
    return sweeps


def of_config(config: Path | str, base: str, names: Sequence[str] | None = None) -> Sweeps:
    """The same in a job: of the config called ``base``, only ``names``."""
    found = sweep_module.read(Path(config))
    if found is None:
        raise MixflowError(Problem("this config has no sweep", file=str(config), remedy="mixflow run"))
    return Sweeps(found, Paths(base), names)


def study_of(config: Path | str, base: str, node: str) -> Study:
    """The study of a combination, by its name or by the hash of a shared step."""
    sweeps = of_config(config, base)
    if node not in sweeps.sweep.by_name:
        node = json.loads(sweeps.plan_file.read_text(encoding="utf-8"))[node]
    return sweeps.sweep.study(node)


def _code(step: str) -> str:
    if step not in _CODE:
        _CODE[step] = codehash.of(f"mixflow.pipeline.{step}")
    return _CODE[step]


_CODE: dict[str, str] = {}


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()[:12]
