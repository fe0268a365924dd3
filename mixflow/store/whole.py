"""Is a store whole? Asked at every opening, by sizes and metadata alone: chunks carry checksums of their own."""

from __future__ import annotations

from pathlib import Path

from mixflow.errors import MixflowError, Problem
from mixflow.store import manifest

REMEDY = "delete the store and run again: mixflow run (it is made anew from what stands before it)"


def require(store: Path) -> None:
    """Raise MixflowError where a file of ``store`` is missing or cut, or a name, shape or attribute was changed.

    The values in a chunk are checked by its checksum when it is read; `mixflow.store.verify` reads every byte.
    """
    try:
        listed = manifest.read(store)
    except ValueError as error:
        raise MixflowError(Problem(str(error), file=str(store / manifest.NAME), remedy=REMEDY)) from error
    problems = [_problem(store / name, *entry) for name, entry in listed.items()]
    if any(problems):
        raise MixflowError(problem for problem in problems if problem)


def _problem(path: Path, size: int, sha: str) -> Problem | None:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        message = "file is missing: its values would read as missing values"
        return Problem(message, file=str(path), remedy=REMEDY)
    if found != size:
        return Problem(f"file should have {size} bytes", file=str(path), value=found, remedy=REMEDY)
    if path.name == "zarr.json" and manifest.sha256(path) != sha:
        message = "content was changed after it was written (sha256 differs)"
        return Problem(message, file=str(path), remedy=REMEDY)
    return None
