"""What a step adds to the provenance of the store it writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr
import yaml

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
    """The group ``provenance``: config, the files it names, the steps ``before`` (each once) and this one."""
    own = clock.step(step, inputs, config_hash(study), study.seed)
    attrs = {"study": study.name, "title": study.title, "config": config_text(study)}
    attrs |= {"config_file": str(study.path), "files": json.dumps(files(study))}
    return provenance.group([*unique(before), own], **attrs)


def config_text(study: Study) -> str:
    """The whole config with its defaults, as YAML."""
    return yaml.safe_dump(study.raw, sort_keys=False, allow_unicode=True)


def files(study: Study) -> dict[str, str | list[str]]:
    """The files that the config names: dotted key -> path as found from the working folder."""
    data, sheet = study.data, study.samples.file
    found: dict[str, str | list[str]] = {"data.files": [str(path) for path in data.files]}
    found |= {"data.features": str(data.features)} if data.features else {}
    found |= {"samples.file": str(sheet)} if sheet else {}
    found |= {"data.options": [str(path) for path in data.beside]} if data.beside else {}
    for model in study.models:
        named = {group: str(path) for group, path in model.relationship.items()}
        found |= {f"models.{model.name}.relationship.{group}": path for group, path in named.items()}
    return found


def unique(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps in the order in which they were done, without repeats."""
    seen = {json.dumps(step, sort_keys=True): step for step in steps}
    return sorted(seen.values(), key=lambda step: step["started"])
