"""Step gather: all shards of a model -> its fits and tests, with false discovery rates over all features."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mixflow.design import Design
from mixflow.inference import contrasts as contrasts_module
from mixflow.inference import tests as tests_module
from mixflow.inference.contrasts import Contrast
from mixflow.model.fit import Fit
from mixflow.pipeline import facts, fitted, record, rows, shards
from mixflow.pipeline.fit import Task, load_task
from mixflow.slices import blocks
from mixflow.store import fits, provenance, zarr_io
from mixflow.study.config import Study
from mixflow.study.plan import ModelPlan
from mixflow.study.structure import design_of

LOGGER = logging.getLogger(__name__)
SATTERTHWAITE = "satterthwaite"
DF_METHODS = {
    SATTERTHWAITE: "Satterthwaite",
    "kenward-roger": "Kenward-Roger",
    "residual": "residual",
    "containment": "containment",
    "z": "z",
}
"""Methods of denominator degrees of freedom as the report names them."""


def run(
    study: Study, model: str, parts: Sequence[Path], data: Path, out: Path, batch: Path | None = None
) -> str:
    """Check that the shards ``parts`` are complete, test the contrasts of ``model``, write ``out``."""
    clock = provenance.Clock()
    task = load_task(study, model, data, batch, read=False)
    group, trees = shards.join(model, parts, task.feature_ids, fitted.settings(study, task))
    group = group.assign_attrs(**facts.attributes(study, task))
    values = partial(_values, study, model, data, batch)
    tests = tested(study, task, group, values)
    before = [step for tree in trees for step in provenance.steps(tree)]
    steps = record.group(study, f"gather {model}", clock, parts, before)
    groups = {f"fits/{model}": group, f"tests/{model}": tests, "provenance": steps}
    zarr_io.write(xr.DataTree.from_dict(groups), out)
    return f"{model}: {_calls(tests, study.report.alpha)}"


def _values(study: Study, model: str, data: Path, batch: Path | None, part: slice) -> Task:
    """The task of a model with the values of the features ``part``."""
    return load_task(study, model, data, batch, part=part)


def tested(
    study: Study, task: Task, group: xr.Dataset, values: Callable[[slice], Task] | None = None
) -> xr.Dataset:
    """The group `tests/<model>`: the configured contrasts on the fits ``group``, block by block.

    ``values``: the task with the values of some features, where the contrasts ask how many there are.
    """
    design = design_of(study, task.plan, task.frame)
    asked = contrasts_module.build(task.plan.contrasts, design, task.sheet.raw_levels)
    counted = values if task.plan.min_values else None
    parts = [
        tests_module.test(
            fits.from_dataset(group.isel(feature=part)),
            asked,
            adjust=task.plan.adjust,
            observed=observed_values(counted(part), design)[
                part if task.feature_of_row is not None else slice(None)
            ]
            if counted
            else None,
            min_values=task.plan.min_values,
            df=df_method(task.plan, design),
            design=design,
        )
        for part in blocks(group.sizes["feature"], _width(group))
    ]
    found, none = (
        tests_module.joined(parts, task.plan.adjust),
        fits.from_dataset(group.isel(feature=slice(0))),
    )
    fit = replace(none, feature_ids=np.asarray(group["feature"].values, dtype=object))
    return to_dataset(found, asked, fit).assign_attrs(attributes(study, task, asked, design))


def _width(group: xr.Dataset) -> int:
    """Numbers that the store holds of each feature."""
    own = [array.shape[1:] for array in group.data_vars.values() if array.dims[:1] == ("feature",)]
    return int(sum(np.prod(shape) for shape in own))


def observed_values(task: Task, design: Design) -> Any:
    """Which rows of the design have a value of which feature. Bool (N, n), or as sparse counts."""
    if task.feature_of_row is not None:
        return rows.observed(task, design)
    return ~np.isnan(task.values[:, design.rows])


def to_dataset(found: dict[str, np.ndarray], asked: Sequence[Contrast], fit: Fit) -> xr.Dataset:
    """Arrays of `mixflow.inference.tests` with their labels; dims as declared in the schema."""
    dims = {"matrix": ("contrast", "coef")}
    variables = {
        name: (dims.get(name, ("feature", "omnibus" if name.startswith("f_") else "contrast")), array)
        for name, array in found.items()
    }
    joint = [c.name for c in asked if c.kind == "F"]
    coords = {
        "feature": fit.feature_ids,
        "coef": fit.coef_names,
        "contrast": [c.name for c in asked if c.kind == "t"],
        **({"omnibus": joint} if joint else {}),
    }
    return xr.Dataset(
        variables,
        coords={
            dim: (dim, np.array([str(label) for label in labels], dtype=object))
            for dim, labels in coords.items()
        },
    )


def attributes(study: Study, task: Task, asked: Sequence[Contrast], design: Design) -> dict[str, Any]:
    """Attributes of the group `tests/<model>` (docs/ARCHITECTURE.md)."""
    references = {v.name: v.levels[0] for v in design.variables if v.kind == "factor"}
    method = df_method(task.plan, design)
    residual = method == SATTERTHWAITE and _one_variance(task.plan, design)

    def told(kind: str) -> str:
        return json.dumps([_told(contrast, references) for contrast in asked if contrast.kind == kind])

    return {
        "contrasts": told("t"),
        "omnibus": told("F"),
        "adjust": task.plan.adjust,
        "alpha": study.report.alpha,
        "df_method": DF_METHODS["residual" if residual else method],
    }


def df_method(plan: ModelPlan, design: Design) -> str:
    """The method of denominator df: as configured; where there is one variance, all but z are the residual df.

    Where that one is known there is nothing to estimate: z. Tests of a generalised model are z tests.
    """
    if plan.generalised:
        return "z"
    if not _one_variance(plan, design):
        return plan.df
    return "z" if plan.df == "z" or plan.variances else SATTERTHWAITE


def _one_variance(plan: ModelPlan, design: Design) -> bool:
    return not (plan.generalised or design.random or plan.residual or plan.dispersion)


def _told(contrast: Contrast, references: dict[str, str]) -> dict[str, Any]:
    return {
        "name": contrast.name,
        "text": contrast.text,
        "factor": contrast.factor or "",
        "levels": list(contrast.levels),
        "reference": references.get(contrast.factor or "", ""),
    }


def _calls(tests: xr.Dataset, alpha: float) -> str:
    q_value = tests["q_value"].values
    counts = [
        f"{int((q_value[:, i] < alpha).sum())} with q < {alpha:g} in {name}"
        for i, name in enumerate(tests["contrast"].values)
    ]
    return "; ".join(counts) or "no contrasts"
