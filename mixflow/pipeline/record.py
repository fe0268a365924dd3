"""What a step adds to the provenance of the store it writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from mixflow.store import provenance
from mixflow.study.config import Study


def config_hash(study: Study) -> str:
    """sha256 of the whole config with its defaults."""
    return hashlib.sha256(json.dumps(study.raw, sort_keys=True).encode()).hexdigest()


def group(
    study: Study,
    step: str,
    clock: provenance.Clock,
    inputs: Iterable[Path],
    before: Iterable[dict[str, Any]] = (),
) -> xr.Dataset:
    """The group ``provenance``: the steps ``before`` (each once) and this one."""
    own = clock.step(step, inputs, config_hash(study), study.seed)
    return provenance.group([*unique(before), own], study=study.name, title=study.title)


def unique(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps in the order in which they were done, without repeats."""
    seen = {json.dumps(step, sort_keys=True): step for step in steps}
    return sorted(seen.values(), key=lambda step: step["started"])
