"""File systems of a test: a small disk in memory, and folders that can only be read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True)


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """Something mounted at ``place`` for a block; skips the test where that is not permitted."""
    place.mkdir(parents=True, exist_ok=True)
    done = _mount(*words, str(place))
    if done.returncode:
        pytest.skip(f"full and read-only disks need the right to mount (root): {done.stderr.strip()[:80]}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def resize(place: Path, free: int) -> None:
    """Leave ``free`` bytes on the disk in memory at ``place``."""
    status = os.statvfs(place)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    done = _mount("-o", f"remount,size={max(used + free, 4096)}", str(place))
    assert done.returncode == 0, done.stderr


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """``place`` can only be read during the block."""
    with mounted(place, "--bind", str(place)):
        done = _mount("-o", "remount,ro,bind", str(place))
        assert done.returncode == 0, done.stderr
        yield


def size(paths: list[Path]) -> int:
    """Bytes on the disk, in whole pages."""
    files = [p for path in paths for p in ([path] if path.is_file() else path.rglob("*"))]
    return sum(-(-p.stat().st_size // 4096) * 4096 for p in files)
