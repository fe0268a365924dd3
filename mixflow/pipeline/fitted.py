"""What the fits of a model stand on: written into each shard, asked again before its fits are tested."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.store import manifest
from mixflow.study.columns import structure_columns, terms_of
from mixflow.study.config import FAMILY_KEYS, Study
from mixflow.study.structure import design_of, needs_kenward_roger

if TYPE_CHECKING:
    from mixflow.pipeline.fit import Task

ATTR = "fitted_with"
"""Attribute of the group `fits/<model>` of a shard: `settings` as JSON."""


def settings(study: Study, task: Task) -> dict[str, Any]:
    """What decides the numbers of a fit, by the words that tell a difference; long parts as digests."""
    plan = task.plan
    named = terms_of(study, plan).variables | structure_columns(plan)
    used = task.frame[sorted(named & set(task.frame.columns))]
    return {
        "formula": plan.formula,
        "reml": plan.reml,
        "include": {name: list(levels) for name, levels in plan.include.items()},
        "exclude": {name: list(levels) for name, levels in plan.exclude.items()},
        "fit_on": study.batch.fit_on,
        "residual": plan.residual or "",
        "dispersion": plan.dispersion or "",
        "weights": plan.weights or "",
        **(
            {key: getattr(plan, key) or "" for key in FAMILY_KEYS}
            if plan.generalised or plan.response != "values"
            else {}
        ),
        "variances": plan.variances or "",
        "Kenward-Roger": needs_kenward_roger(plan),
        "relationship": {group: _digest(path.read_bytes()) for group, path in plan.relationship.items()},
        "coefficients": list(design_of(study, plan, task.frame).coef_names),
        "samples": _digest(json.dumps([str(i) for i in task.frame.index]).encode()),
        "columns of the sample sheet": _digest(_as_text(used).encode()),
        "values": task.origin,
    }


def origin(store: Path, *arrays: str) -> str:
    """What tells the ``arrays`` of a store from others, without reading them: their chunks in its manifest."""
    try:
        listed = manifest.read(store)
    except ValueError as error:
        remedy = "run the step that makes it again: mixflow run"
        raise MixflowError(Problem(str(error), file=str(store / manifest.NAME), remedy=remedy)) from error
    chunks = {n: list(e) for n, e in listed.items() if n.startswith(arrays) and not n.endswith("zarr.json")}
    return manifest.digest(chunks)[:16]


def require(
    wanted: dict[str, Any], model: str, parts: Sequence[xr.Dataset], shards: Sequence[Path]
) -> list[xr.Dataset]:
    """``parts`` without the attribute; MixflowError names each shard whose fits stand on other settings."""
    remedy = f"fit again: mixflow fit --model {model}; or everything that changed: mixflow run"
    found = [json.loads(part.attrs.get(ATTR, "{}")) for part in parts]
    wrong = [
        Problem(
            f"this shard was not fitted as the config now asks: {_difference(was, wanted)}",
            file=str(path),
            remedy=remedy,
        )
        for was, path in zip(found, shards, strict=True)
        if was != wanted
    ]
    if wrong:
        raise MixflowError(wrong)
    return [_without(part) for part in parts]


def _difference(was: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, settings with both values; digests say nothing to a reader."""
    if not was:
        return "it does not say with which settings (an earlier mixflow wrote it)"
    names = [name for name in wanted if was.get(name) != wanted[name]]
    told = ("samples", "columns of the sample sheet", "values")
    return "; ".join(
        f"other {name}" if name in told else f"{name} was {was.get(name)!r}, now {wanted[name]!r}"
        for name in names
    )


def _without(part: xr.Dataset) -> xr.Dataset:
    plain = part.copy()
    plain.attrs.pop(ATTR)
    return plain


def _as_text(frame: pd.DataFrame) -> str:
    """Values of the columns and, since their order decides the coding, the levels of factors."""
    levels = {
        str(name): [str(level) for level in frame[name].cat.categories]
        for name in frame
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    return json.dumps(levels) + frame.to_csv()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
