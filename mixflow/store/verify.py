"""Is every byte of a store what was written? Finds flipped bytes, cut, missing and foreign files."""

from __future__ import annotations

from pathlib import Path

from mixflow.errors import MixflowError, Problem
from mixflow.store import manifest, zarr_io

REMEDY = "delete the store and run again: mixflow run; if it comes back, look at the disk"


def verify(path: Path | str) -> list[Problem]:
    """Read every chunk of the store ``path``; the problems found, each with its file; empty if well."""
    store = Path(path)
    if not (store / "zarr.json").is_file() and not (store / manifest.NAME).is_file():
        return [Problem("there is no store here", file=str(path), remedy="name the folder of a Zarr store")]
    try:
        expected = manifest.read(store)
    except ValueError as error:
        return [Problem(str(error), file=str(store / manifest.NAME), remedy=REMEDY)]
    return _compare(store, expected) or _decode(store)


def require(path: Path | str) -> None:
    """Raise MixflowError with all that `verify` finds."""
    problems = verify(path)
    if problems:
        raise MixflowError(problems)


def _compare(store: Path, expected: dict[str, tuple[int, str]]) -> list[Problem]:
    found = manifest.files(store)
    problems = [_damage(store / name, *expected[name]) for name in sorted(expected)]
    foreign = [
        Problem("this file is not part of the store", file=str(found[name]), remedy="move it away")
        for name in found
        if name not in expected
    ]
    return [problem for problem in problems if problem] + foreign


def _damage(path: Path, size: int, sha: str) -> Problem | None:
    if not path.is_file():
        return Problem(
            "file is missing: its values would read as missing values", file=str(path), remedy=REMEDY
        )
    actual = path.stat().st_size
    if actual != size:
        return Problem(f"file should have {size} bytes", file=str(path), value=actual, remedy=REMEDY)
    if manifest.sha256(path) != sha:
        return Problem(
            "content was changed after it was written (sha256 differs)", file=str(path), remedy=REMEDY
        )
    return None


def _decode(store: Path) -> list[Problem]:
    """Decompress everything too, which checks the declared variables and the checksum of each chunk."""
    try:
        zarr_io.read_through(store)
    except MixflowError as error:
        return list(error.problems)
    return []
