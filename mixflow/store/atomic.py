"""Writes that are all or nothing: made beside the target, flushed to disk, then renamed over it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path (file or folder) that takes the place of ``path`` when the block succeeds.

    The name of the temporary is fixed, so that what a killed run left is removed by the next one;
    a path has one writer at a time, which Snakemake guarantees. On an error nothing of it stays.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    remove(temporary)
    try:
        yield temporary
        _flush(temporary)
        _rename(temporary, target)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Delete a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> Path:
    """Write UTF-8 text with Unix line ends, all or nothing."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def _rename(temporary: Path, target: Path) -> None:
    """Put ``temporary`` in the place of ``target``; an old folder is moved aside first."""
    aside = target.with_name(f".{target.name}.old")
    remove(aside)
    if target.is_dir():
        os.rename(target, aside)
    os.replace(temporary, target)
    _sync(target.parent)
    remove(aside)


def _flush(path: Path) -> None:
    """Bring a file, or every file and folder below a folder, to the disk."""
    for folder, _, files in os.walk(path):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))
    if path.is_file():
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
