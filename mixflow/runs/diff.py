"""What changed between two runs: config, inputs, software, machine, and what it did to the results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.runs import results
from mixflow.runs.origin import Origin
from mixflow.runs.results import ModelChange

MISSING = "(none)"


@dataclass(frozen=True)
class Change:
    """One thing that is another: ``item`` of a ``section``, as it was and as it is."""

    section: str
    item: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Difference:
    """All changes beside the results, and those of the results by model."""

    before: str
    after: str
    changes: list[Change] = field(default_factory=list)
    models: list[ModelChange] = field(default_factory=list)

    @property
    def same_results(self) -> bool:
        """Whether nothing of the results differs."""
        told = [c for c in self.changes if c.section in ("tables", "data", "analyses", "models")]
        return not told and all(model.same for model in self.models)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for JSON; numbers that are not finite as None."""
        return _plain({**asdict(self), "same_results": self.same_results})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def diff(before: Origin, after: Origin, top: int = 10) -> Difference:
    """Compare two runs; ``top`` features of each contrast that changed most are named.

    Results are read from the stores; where one is not at hand, the tables' checksums alone are compared.
    """
    changes = [*_config(before, after), *_inputs(before, after), *_software(before, after)]
    changes += _host(before, after)
    names = (str(before.path), str(after.path))
    if before.tree is None or after.tree is None:
        if not (before.expected and after.expected):
            remedy = "keep report.html, tables and study.zarr together, or name the study.zarr"
            bare = next(run.path for run in (before, after) if not run.expected)
            raise MixflowError(Problem("neither store nor tables are known", file=str(bare), remedy=remedy))
        return Difference(*names, changes + _tables(before, after))
    told = [Change(*change) for change in results.data(before.tree, after.tree)]
    return Difference(*names, changes + told, results.models(before.tree, after.tree, top))


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted key -> value; lists stay values."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    parts = [flat(inner, f"{prefix}.{key}" if prefix else str(key)) for key, inner in value.items()]
    return {key: inner for part in parts for key, inner in part.items()}


def _between(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Keys whose values differ, in the order of ``before``, then new ones."""
    return [
        Change(section, key, before.get(key, MISSING), after.get(key, MISSING))
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key, MISSING) != after.get(key, MISSING)
    ]


def _config(before: Origin, after: Origin) -> list[Change]:
    return _between("config", flat(before.config), flat(after.config))


def _inputs(before: Origin, after: Origin) -> list[Change]:
    """By what the file is for, not by its path: a file that was moved is the same input."""
    return _between("inputs", _by_use(before), _by_use(after))


def _by_use(run: Origin) -> dict[str, str]:
    uses: dict[str, list[str]] = {}
    for path, entry in run.inputs.items():
        uses.setdefault(run.named.get(path, path), []).append(f"sha256 {entry['sha256'][:24]}...")
    return {
        f"{use}{f' [{i}]' if len(found) > 1 else ''}": text
        for use, found in uses.items()
        for i, text in enumerate(found)
    }


def _software(before: Origin, after: Origin) -> list[Change]:
    """Code and packages; of those that one run did not record nothing is said."""
    packages = before.environment, after.environment
    if not (before.facts.get("environment") and after.facts.get("environment")):
        packages = _of_both(*packages)
    return [*_between("code", *_of_both(_code(before), _code(after))), *_between("packages", *packages)]


def _of_both(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The entries that both have."""
    shared = [key for key in before if key in after]
    return {key: before[key] for key in shared}, {key: after[key] for key in shared}


def _code(run: Origin) -> dict[str, str]:
    """Commits and code of all steps (a report may be newer than its store)."""

    def all_of(key: str) -> str:
        return ", ".join(sorted({str(step[key])[:12] for step in run.steps if step.get(key)}))

    dirty = any(step.get("git_dirty") for step in run.steps)
    told = {"commit": all_of("git_commit"), "changed since the commit": str(dirty)}
    told |= {"sha256 of the code": all_of("code")}
    return {key: text for key, text in told.items() if text}


def _host(before: Origin, after: Origin) -> list[Change]:
    machines = _machine(before), _machine(after)
    return _between("machine", *machines) if all(machines) else []


def _machine(run: Origin) -> dict[str, str]:
    """What the steps ran on: each fact once, several where steps ran on several machines."""
    facts: dict[str, set[str]] = {}
    for step in run.steps:
        for key, value in flat(step.get("host") or {}).items():
            text = " ".join(value) if isinstance(value, list) else str(value)
            facts.setdefault(key, set()).update({text} if key and value not in (None, "", {}) else set())
    return {key: ", ".join(sorted(values)) for key, values in facts.items() if values}


def _tables(before: Origin, after: Origin) -> list[Change]:
    def sums(run: Origin) -> dict[str, str]:
        return {name: f"sha256 {entry['sha256'][:16]}..." for name, entry in run.expected.items()}

    return _between("tables", sums(before), sums(after))
