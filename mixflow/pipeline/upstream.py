"""What stands before a step, as one hash in its params: inputs, settings and code of all steps it follows from.

Snakemake compares times of files. Those lie: a table put back from a copy is older than the results, a node's clock
is late, a run is killed between two steps. With this hash a step runs again whenever anything before it changed.

A file that a rule makes (of a workflow that has mixflow as a module) is left to Snakemake, which knows when it was made
again: it may be absent, or old, when the hash is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixflow.pipeline import codehash
from mixflow.study.others import others

if TYPE_CHECKING:
    from mixflow.pipeline.setup import Workflow

KNOWN = Path(".snakemake/mixflow-inputs.json")
"""sha256 of input files by size, times and place on the disk, so that no file is read at every start."""


def of(workflow: Workflow, step: str, model: str = "") -> str:
    """The hash of everything that the job of ``step`` (of ``model``) follows from, without itself."""
    return _of(workflow, step, model)


@cache
def _of(workflow: Workflow, step: str, model: str) -> str:
    files = _of_files(_files(workflow, step, model), workflow.is_made)
    return _hash([files, *_before(workflow, step, model)])


def _through(workflow: Workflow, step: str, model: str = "") -> str:
    """The hash of a step with all before it."""
    by_model: dict[str, Callable[[str], str]] = {
        "fit": workflow.fit_settings,
        "gather": workflow.gather_settings,
        "analyse": workflow.analyse_settings,
    }
    settings = by_model[step](model) if step in by_model else workflow.settings(step)
    return _hash([_of(workflow, step, model), settings, codehash.of(f"mixflow.pipeline.{step}")])


def _before(workflow: Workflow, step: str, model: str) -> list[str]:
    """Hashes of the steps whose outputs a step reads, as the rules say."""
    if step in ("check", "ingest"):
        return []
    if step == "preprocess":
        return [_through(workflow, "ingest")]
    if step == "report":
        return [_through(workflow, "check"), _through(workflow, "assemble")]
    values = [_through(workflow, "preprocess")]
    if step == "batch":
        return values
    if step == "assemble":
        names = workflow.plan.names
        having = [each.name for each in workflow.plan.models if each.analyses]
        models = [_through(workflow, "gather", name) for name in names]
        analyses = [_through(workflow, "analyse", name) for name in having]
        return [*values, _through(workflow, "batch"), *models, *analyses]
    if workflow.study.batch.fit_on == "harmonised":
        values.append(_through(workflow, "batch"))
    if step == "gather":
        values.append(_through(workflow, "fit", model))
    if step == "analyse":
        beside = others(workflow.plan.model(model))
        values += [_through(workflow, "gather", name) for name in (model, *beside)]
    return values


def _files(workflow: Workflow, step: str, model: str) -> list[str]:
    """The files of the user that a step reads itself."""
    if step == "check":
        return workflow.checked()
    if step == "ingest":
        return workflow.inputs()
    return workflow.relationships(model) if step == "fit" else []


def _of_files(paths: Iterable[str], is_made: Callable[[str], bool]) -> str:
    known = _read_known()
    found = {
        path: "" if is_made(path) else [_sha256(each, known) for each in _members(Path(path))]
        for path in paths
    }
    _write_known(known)
    return _hash(found)


def _members(path: Path) -> Iterable[Path]:
    """A file, or all files of a folder (a store as input)."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _sha256(path: Path, known: dict[str, list[Any]]) -> list[str]:
    """Name and sha256; '' where the file is absent, which the step that reads it tells."""
    try:
        status = os.stat(path)
        seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if known.get(str(path), [None])[:-1] != seen:
            with path.open("rb") as handle:
                known[str(path)] = [*seen, hashlib.file_digest(handle, "sha256").hexdigest()]
    except OSError:
        return [path.name, ""]
    return [path.name, known[str(path)][-1]]


def _read_known() -> dict[str, list[Any]]:
    try:
        found = json.loads(KNOWN.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: the files are read
        return {}
    return found if isinstance(found, dict) else {}


def _write_known(known: dict[str, list[Any]]) -> None:
    from mixflow.store import atomic

    if known and known != _read_known() and KNOWN.parent.is_dir() and os.access(KNOWN.parent, os.W_OK):
        with suppress(OSError):  # a full disk: then the files are read again at the next start
            atomic.write_text(KNOWN, json.dumps(known))


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]
