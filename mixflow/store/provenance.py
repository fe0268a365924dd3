"""What was done to a store, when and by which versions: the only place where results hold volatile facts."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import xarray as xr

from mixflow.store import manifest

PACKAGES = (
    "mixflow",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "zarr",
    "jax",
    "jaxlib",
    "formulaic",
    "snakemake",
)
COMMAND = "MIXFLOW_COMMAND"
"""Environment variable by which an outer program (the workflow) says which command this step belongs to."""


@dataclass
class Clock:
    """Started when a step begins; `step` closes it."""

    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    tick: float = field(default_factory=time.perf_counter)

    def step(
        self, name: str, inputs: Iterable[Path | str] = (), config_hash: str = "", seed: int | None = None
    ) -> dict[str, Any]:
        """The record of one step: times, command, versions, sha256 of inputs, git commit, seed."""
        return {
            "step": name,
            "started": self.started,
            "seconds": round(time.perf_counter() - self.tick, 3),
            "command": os.environ.get(COMMAND) or shlex.join(sys.argv),
            "versions": versions(),
            "inputs": {str(path): identity(path) for path in inputs},
            "config_hash": config_hash,
            "git_commit": git_commit(),
            "seed": seed,
        }


def group(steps: Iterable[Mapping[str, Any]], **attrs: str) -> xr.Dataset:
    """The dataset of the group ``provenance``: attributes only, `steps` as JSON text."""
    return xr.Dataset(attrs={**attrs, "steps": json.dumps(list(steps))})


def steps(tree: xr.DataTree) -> list[dict[str, Any]]:
    """The step records that a store carries, first to last."""
    if "provenance" not in tree.children:
        return []
    return json.loads(tree["provenance"].attrs.get("steps", "[]"))


def identity(path: Path | str) -> str:
    """sha256 of a file; for a store the digest of its manifest."""
    place = Path(path)
    if place.is_dir():
        listed = {name: list(entry) for name, entry in manifest.read(place).items()}
        return manifest.digest(listed)
    return manifest.sha256(place)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str:
    """Commit of the checkout mixflow runs from, `+dirty` where changed since; '' where installed."""
    package = Path(__file__).parents[1]
    try:
        _git(package, "ls-files", "--error-unmatch", "errors.py")
        commit = _git(package, "rev-parse", "HEAD")
        changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}+dirty" if changed else commit


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
