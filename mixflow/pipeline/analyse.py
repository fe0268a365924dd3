"""Step analyse: the fits and tests of a model -> a table for each analysis that the config asks for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mixflow.derived import Subject
from mixflow.errors import MixflowError
from mixflow.inference import contrasts
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.refit import Recipe
from mixflow.pipeline import record
from mixflow.pipeline.fit import Task, load_task
from mixflow.store import analyses, fits, manifest, provenance, zarr_io
from mixflow.study import families, precision
from mixflow.study.analyses import Asked, asked, placed
from mixflow.study.config import Study
from mixflow.study.others import others
from mixflow.study.plan import ModelPlan, load_plan
from mixflow.study.structure import design_of

LOGGER = logging.getLogger(__name__)
SOURCE = "made_from"
"""Attr of the group `analyses/<model>`: digest of the store of fits and tests behind its tables."""


def run(
    study: Study,
    model: str,
    gathered: Path,
    data: Path,
    out: Path,
    batch: Path | None = None,
    beside: Sequence[Path] = (),
) -> str:
    """Run each analysis of ``model`` on its store ``gathered``, and write their tables as ``out``.

    ``beside``: the stores of the models that the analyses name, in the order of `study.others.others`.
    Raises MixflowError, at the analysis's place in the config, where one cannot mean what was asked.
    """
    clock = provenance.Clock()
    plan, tree = load_plan(study).model(model), zarr_io.load(gathered)
    subject = load_subject(study, plan, tree, data, batch)
    tests = {name: load_tests(path, name) for name, path in zip(others(plan), beside, strict=True)}
    subject = replace(subject, others=tests)
    wanted = asked(study, plan)
    groups: dict[str, xr.Dataset] = {}
    for i, each in enumerate(wanted):
        LOGGER.info("%s: analysis %s, %d of %d", model, each.name, i + 1, len(wanted))
        groups[f"analyses/{model}/{each.name}"] = group(each, table(study, plan, each, subject))
    attrs = {"names": json.dumps([each.name for each in wanted]), SOURCE: source(gathered, *beside)}
    groups[f"analyses/{model}"] = xr.Dataset(attrs=attrs)
    groups["provenance"] = record.group(
        study, f"analyse {model}", clock, [gathered, *beside], provenance.steps(tree)
    )
    zarr_io.write(xr.DataTree.from_dict(groups), out)
    return f"{model}: {', '.join(each.name for each in wanted)}"


def load_tests(gathered: Path, model: str) -> pd.DataFrame:
    """The tests of another model, as `Subject.others` has them."""
    found = zarr_io.group(zarr_io.load(gathered), f"tests/{model}")[["estimate", "p_value"]]
    columns = ["feature", "contrast", "estimate", "p_value"]
    return found.to_dataframe(dim_order=["contrast", "feature"]).reset_index()[columns]


def load_subject(study: Study, plan: ModelPlan, tree: xr.DataTree, data: Path, batch: Path | None) -> Subject:
    """What the analyses of a model see: its fit from the store ``tree``, its design, the values fitted."""
    task = load_task(study, plan.name, data, batch)
    if plan.generalised:
        return generalised_subject(study, task, tree)
    design = design_of(study, plan, task.frame)
    fit = fits.from_dataset(zarr_io.group(tree, f"fits/{plan.name}"))
    compared = tuple(contrasts.build(plan.contrasts, design, task.sheet.raw_levels))
    own = None if task.feature_of_row is None else task.feature_of_row[design.rows]
    values = task.values[..., design.rows]
    alpha = study.report.alpha
    recipe = precision.recipe(plan, task.frame, design)
    return Subject(fit, design, values, compared, plan.df, alpha, recipe, own)


def generalised_subject(study: Study, task: Task, tree: xr.DataTree) -> Subject:
    """The same of a generalised model: its fit beside its family, designs and outcomes."""
    plan, alpha = task.plan, study.report.alpha
    designs = families.designs_of(study, plan, task.frame)
    values = task.values[:, designs["mu"].rows]
    family, y, weights = families.outcome(study, plan, task.frame, designs["mu"], values, task.categories)
    fit = fits.from_dataset(zarr_io.group(tree, f"fits/{plan.name}"))
    found = FittedFamily(fit, designs, family, y, weights, families.fit_arguments(plan))
    compared = tuple(contrasts.build(plan.contrasts, designs["mu"], task.sheet.raw_levels))
    recipe = Recipe(weights)
    return Subject(fit, designs["mu"], values, compared, plan.df, alpha, recipe, generalised=found)


def table(study: Study, plan: ModelPlan, each: Asked, subject: Subject) -> pd.DataFrame:
    """The table of one analysis; its problems are placed in the config, and how long it took is logged."""
    began = time.perf_counter()
    try:
        found = each.run(subject)
    except MixflowError as error:
        raise MixflowError(placed(study, plan, each.name, error)) from error
    LOGGER.info("%s: %d rows in %.1f s", each.name, len(found), time.perf_counter() - began)
    return found


def group(each: Asked, found: pd.DataFrame) -> xr.Dataset:
    """The table with the words that the report shows beside it."""
    attrs: dict[str, Any] = {
        "analysis": each.analysis.name,
        "title": each.analysis.title,
        "purpose": each.analysis.purpose,
        "help": each.analysis.help,
        "options": json.dumps(each.options),
    }
    return analyses.to_dataset(found, each.analysis.columns, **attrs)


def source(*gathered: Path) -> str:
    """What tells the stores of models from others: the digests of their manifests."""
    manifests = [manifest.read(path) for path in gathered]
    return " ".join(manifest.digest({name: list(entry) for name, entry in m.items()}) for m in manifests)


def is_current(made: Path, *gathered: Path) -> bool:
    """Whether the analyses ``made`` stand on the fits and tests ``gathered`` as they are now."""
    if not made.exists():
        return False
    (told,) = [node.attrs[SOURCE] for node in zarr_io.open(made)["analyses"].children.values()]
    return told == source(*gathered)
