"""A store's files with sizes and sha256: a chunk that is gone would read silently as missing values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

NAME = "manifest.json"
FOREIGN = frozenset({NAME, ".snakemake_timestamp"})
"""Files the manifest does not speak of (Snakemake puts a timestamp into directories)."""


def is_store(path: Path) -> bool:
    """Whether ``path`` is the folder of a Zarr group, of version 2 or 3, of mixflow or not."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def files(store: Path) -> dict[str, Path]:
    """Relative name -> path of every file of the store, in sorted order."""
    found = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return {name: found[name] for name in sorted(found) if name not in FOREIGN}


def write(store: Path) -> None:
    """Write the manifest into the folder: {"files": {name: [bytes, sha256]}, "digest": sha256 of these}."""
    listed = _listed(store)
    text = json.dumps({"files": listed, "digest": digest(listed)}, indent=0)
    (store / NAME).write_text(text + "\n", encoding="utf-8")


def of(store: Path) -> dict[str, tuple[int, str]]:
    """As `read`; of a store that others wrote, without a manifest, what its files are now."""
    if (store / NAME).is_file():
        return read(store)
    return {name: (int(size), str(sha)) for name, (size, sha) in _listed(store).items()}


def _listed(store: Path) -> dict[str, list]:
    return {name: [path.stat().st_size, sha256(path)] for name, path in files(store).items()}


def read(store: Path) -> dict[str, tuple[int, str]]:
    """The files the store should have; raises ValueError where the manifest itself is absent or damaged."""
    try:
        content = json.loads((store / NAME).read_text(encoding="utf-8"))
        listed, expected = content["files"], content["digest"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"the manifest cannot be read ({type(error).__name__})") from error
    if digest(listed) != expected:
        raise ValueError("the manifest was changed after it was written")
    return {name: (int(size), str(sha)) for name, (size, sha) in listed.items()}


def digest(listed: dict[str, list]) -> str:
    """sha256 over all entries: the identity of a store's content."""
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """sha256 of a file, as hexadecimal text."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
