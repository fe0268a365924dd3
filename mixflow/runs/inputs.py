"""The files that a run read, looked for by content: under whatever name they lie now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixflow import resources
from mixflow.errors import MixflowError, Problem
from mixflow.runs.origin import Origin
from mixflow.store import manifest, provenance


@dataclass(frozen=True)
class Needed:
    """One input: its path then, what it was, where it is now (None: not found), and the config's key for it."""

    path: str
    key: str
    sha256: str
    bytes: int | None
    found: Path | None
    changed: Path | None = None
    """A file at the place where it was, with other content."""

    def __str__(self) -> str:
        size = "" if self.bytes is None else f", {self.bytes:,} bytes"
        what = f"{self.path} ({self.key}; sha256 {self.sha256[:16]}...{size})"
        if self.found:
            return f"{what}: {self.found}"
        if self.changed:
            return f"{what}: NOT FOUND; {self.changed} has another content"
        return f"{what}: NOT FOUND"


def needed(run: Origin, folders: Sequence[Path] = ()) -> list[Needed]:
    """Every input of ``run``: looked for in ``folders`` (files or folders), then where it was.

    Raises MixflowError where one of ``folders`` does not exist.
    """
    absent = [folder for folder in folders if not folder.exists()]
    if absent:
        remedy = "correct the name after --inputs"
        raise MixflowError(
            Problem("there is no such file or folder", file=str(folder), remedy=remedy) for folder in absent
        )
    return [_look(run, path, entry, folders) for path, entry in run.inputs.items()]


def _look(run: Origin, path: str, entry: dict[str, Any], folders: Sequence[Path]) -> Needed:
    places = list(dict.fromkeys(_places(run, path)))
    there = [place for place in places if place.exists()]
    given = (place for folder in folders for place in _below(folder, Path(path).name))
    found = next((place for place in (*given, *there) if _is(place, entry)), None)
    changed = there[0] if there and found is None else None
    key = run.named.get(path, "read by a step")
    return Needed(path, key, entry["sha256"], entry["bytes"], found, changed)


def _places(run: Origin, path: str) -> Iterator[Path]:
    """Where it was: from the working folder, from the run's own, and beside the page."""
    yield Path(path)
    for folder in run.path.resolve().parents[:4]:
        yield folder / path
    if run.folder is not None:
        yield run.folder / Path(path).name
    yield resources.root() / path  # the embedded study


def _below(folder: Path, name: str) -> Iterable[Path]:
    """Files and stores below ``folder``, those of that name first; itself where it is a file or a store."""
    if folder.is_file() or folder.suffix == ".zarr":
        return [folder]
    found = [path for path in folder.rglob("*") if path.is_file() or path.suffix == ".zarr"]
    return sorted(found, key=lambda path: (path.name != name, str(path)))


def _is(path: Path, entry: dict[str, Any]) -> bool:
    """Whether ``path`` has that content; the size is looked at first, so that few files are read."""
    if path.is_dir():
        return bool(entry.get("store")) and provenance.identity(path)["sha256"] == entry["sha256"]
    if entry.get("store") or (entry["bytes"] is not None and path.stat().st_size != entry["bytes"]):
        return False
    return manifest.sha256(path) == entry["sha256"]
