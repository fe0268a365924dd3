"""A step that refused its input is not tried again: the same input, config and code would be refused again.

Snakemake's `retries` cannot tell bad data from a killed job. So a step leaves a note of what it refused, with a hash of
all that it follows from; a further attempt that finds the same hash there ends at once with the same words. The first
attempt of a run takes the note away, so that nothing of an earlier run is told again; a mended input has another hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError
from mixflow.pipeline import stopped
from mixflow.store import atomic

NOTES = Path(".snakemake/mixflow-refused")
"""A note for each job that refused its input, by its log. (Snakemake removes the log itself before each attempt.)"""


def hash_of(params: Iterable[tuple[str, Any]]) -> str:
    """Hash of the params of a job, '' where they do not tell its input (`mixflow.pipeline.upstream`)."""
    found = dict(params)
    if not found.get("upstream"):
        return ""
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()[:16]


def before(log: Path | str, attempt: int, follows: str) -> str:
    """The problems for which the attempt before ended, where another would end for the same; else ''."""
    note = _note(log)
    if not note.is_file():
        return ""
    if attempt < 2:
        note.unlink()
        return ""
    told, _, problems = note.read_text(encoding="utf-8").partition("\n")
    return problems if follows and told == follows else ""


def note(log: Path | str, follows: str, error: MixflowError) -> None:
    """Leave a note for further attempts where the input is to blame, and the job can tell what it follows from."""
    if follows and is_of_data(error) and NOTES.parent.is_dir():
        with suppress(OSError):  # nowhere to write: then the step is tried again, as ever
            NOTES.mkdir(exist_ok=True)
            atomic.write_text(_note(log), f"{follows}\n{error}")


def _note(log: Path | str) -> Path:
    return NOTES / hashlib.sha256(str(log).encode()).hexdigest()[:16]


def is_of_data(error: MixflowError) -> bool:
    """Whether an input is refused for what it is, and not for what a machine did: that may not come again.

    A store may be shown late or in parts by a shared file system, a package may be missing on one node.
    """
    machine = (OSError, ImportError, MemoryError)
    if stopped.problem(error, "") or any(isinstance(each, machine) for each in stopped.behind(error)):
        return False
    return not any(
        part.endswith(".zarr") for problem in error.problems for part in Path(problem.file or "").parts
    )
