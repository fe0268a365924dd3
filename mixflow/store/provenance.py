"""What was done to a store, when, by which versions and on which machine: the only place of volatile facts."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

from mixflow.store import host, manifest, software

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
        """The record of one step: times, command, versions, code, host, inputs, seed (docs/ARCHITECTURE.md)."""
        return {
            "step": name,
            "started": self.started,
            "seconds": round(time.perf_counter() - self.tick, 3),
            "command": os.environ.get(COMMAND) or shlex.join(sys.argv),
            "versions": software.versions(),
            "code": software.source(),
            **software.git(),
            "host": host.facts(),
            "inputs": {str(path): identity(path) for path in inputs},
            "config_hash": config_hash,
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


def identity(path: Path | str) -> dict[str, Any]:
    """``{"sha256", "bytes"}`` of a file; for a store those of its manifest, with ``"store": True``."""
    place = Path(path)
    if place.is_dir():
        listed = {name: list(entry) for name, entry in manifest.of(place).items()}
        size = sum(int(entry[0]) for entry in listed.values())
        return {"sha256": manifest.digest(listed), "bytes": size, "store": True}
    return {"sha256": manifest.sha256(place), "bytes": place.stat().st_size}
