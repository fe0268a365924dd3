"""Writes that are all or nothing: made beside the target, flushed to disk, then renamed over it."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replaced(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path (file or folder) that takes the place of ``path`` when the block succeeds.

    The temporary is this process's own: where two write the same path at once (a job that a cluster started
    again while its first node still ran), each writes a whole, and the last one stays. On an error nothing
    of it stays; what a killed process left is removed by the next writer of the path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    temporary = target.with_name(f".{target.name}.{_owner()}.tmp")
    try:
        yield temporary
        _flush(temporary)
        _rename(temporary, target)
    finally:
        remove(temporary)


@contextmanager
def spread(folder: Path | str, last: str) -> Iterator[Path]:
    """Yield a temporary folder whose files take their places below ``folder`` when the block succeeds.

    No file there is ever half written, other files stay, and the one called ``last`` comes last.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    _sweep(target / "files")
    temporary = target / f".files.{_owner()}.tmp"
    try:
        temporary.mkdir()
        yield temporary
        _flush(temporary)
        made = sorted((p for p in temporary.rglob("*") if p.is_file()), key=lambda p: (p.name == last, p))
        for path in made:
            place = target / path.relative_to(temporary)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
    finally:
        remove(temporary)


def _owner() -> str:
    """Which process writes: machine and number."""
    return f"{socket.gethostname()}-{os.getpid()}"


ABANDONED = 2 * 24 * 3600
"""Seconds after which a temporary that another machine left has no writer any more."""


def _sweep(target: Path) -> None:
    """Remove what killed processes left beside ``target``; the temporaries of living ones stay."""
    head = f".{target.name}."
    for path in target.parent.glob(f"{glob.escape(head)}*"):
        if path.suffix in (".tmp", ".old"):
            host, _, pid = path.stem.removeprefix(head).rpartition("-")
            if not _writing(path, host, pid):
                remove(path)


def _writing(path: Path, host: str, pid: str) -> bool:
    """Whether the process that made a temporary may still be at work on it."""
    if host and host != socket.gethostname():
        with suppress(FileNotFoundError):
            return time.time() - path.stat().st_mtime < ABANDONED
        return False
    return pid.isdigit() and int(pid) != os.getpid() and _lives(int(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def remove(path: Path) -> None:
    """Delete a file or folder, if it is there; another process may be deleting it too."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_gone)
    else:
        path.unlink(missing_ok=True)


def _gone(function: Any, path: str, error: Any) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def write_text(path: Path | str, text: str) -> Path:
    """Write UTF-8 text with Unix line ends, all or nothing."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def _rename(temporary: Path, target: Path) -> None:
    """Put ``temporary`` in the place of ``target``; an old folder is moved aside first."""
    aside = temporary.with_suffix(".old")
    try:
        while not _renamed(temporary, target, aside):
            remove(aside)  # another writer was quicker: what it wrote makes room as any older one
        _sync(target.parent)
    finally:
        remove(aside)


def _renamed(temporary: Path, target: Path, aside: Path) -> bool:
    if target.is_dir():
        with suppress(FileNotFoundError):
            os.rename(target, aside)
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if aside.exists() and not target.exists():
            os.rename(aside, target)  # what was there before stays
        raise
    return True


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
