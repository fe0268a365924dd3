"""Step combine: the light steps of some combinations of a sweep: tests, analyses and the table of each.

What two of them share (the same tests of the same fits) is computed once and copied.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mixflow.pipeline import analyse, gather
from mixflow.pipeline.setup import Workflow
from mixflow.pipeline.sweeps import Sweeps, of_config
from mixflow.report.view import View
from mixflow.status import MEANING, Status
from mixflow.store import atomic, zarr_io

LOGGER = logging.getLogger(__name__)
TESTS = "tests.tsv"
"""Of each combination: a row for each test of each feature."""
NUMBERS = ("estimate", "std_error", "df", "statistic", "p_value", "q_value", "conf_low", "conf_high")


def run(config: Path | str, base: str, names: Sequence[str]) -> str:
    """Make the stores of models and analyses, the table and the config of the combinations ``names``."""
    sweeps = of_config(config, base, names)
    done: dict[str, Path] = {}
    for i, name in enumerate(names, start=1):
        one(sweeps, name, done)
        LOGGER.info("%s, %d of %d", name, i, len(names))
    return f"{len(names)} combinations, {len(done)} distinct steps"


def one(sweeps: Sweeps, name: str, done: dict[str, Path]) -> None:
    """One combination; ``done`` says which stores stand already, by what they follow from."""
    workflow, read, keys = sweeps.workflows[name], sweeps.fit_inputs(name), sweeps.keys[name]
    data, batch = Path(read["data"]), Path(read["batch"]) if "batch" in read else None
    for model in workflow.plan.names:
        shards, out = [Path(path) for path in sweeps.shards(name, model)], workflow.paths.model(model)
        key = f"{keys['preprocess']} {keys[f'fit {model}']} {workflow.gather_settings(model)}"
        if not _copied(done, key, out):
            LOGGER.info("%s", gather.run(workflow.study, model, shards, data, out, batch))
    for plan in workflow.plan.models:
        if plan.analyses:
            _analysed(sweeps, name, plan.name, data, batch, done)
    tests_table(workflow, data).to_csv(
        _made(workflow.paths.results / TESTS), sep="\t", index=False, lineterminator="\n", na_rep="NA"
    )
    text = yaml.safe_dump(_standing(workflow), sort_keys=False, allow_unicode=True)
    atomic.write_text(workflow.paths.results / "config.yaml", text)


def _analysed(
    sweeps: Sweeps, name: str, model: str, data: Path, batch: Path | None, done: dict[str, Path]
) -> None:
    workflow = sweeps.workflows[name]
    others = [Path(path) for path in workflow.others(model)]
    behind = [sweeps.keys[name][f"fit {other.stem}"] for other in (workflow.paths.model(model), *others)]
    settings = [workflow.gather_settings(other.stem) for other in others]
    key = f"analyse {behind} {settings} {workflow.analyse_settings(model)}"
    if not _copied(done, key, workflow.paths.analyses(model)):
        gathered, out = workflow.paths.model(model), workflow.paths.analyses(model)
        LOGGER.info("%s", analyse.run(workflow.study, model, gathered, data, out, batch, others))


def _copied(done: dict[str, Path], key: str, out: Path) -> bool:
    """Copy the store that was made from the same; False, and noted, where this is the first."""
    first = done.setdefault(key, out)
    if first == out:
        return False
    with atomic.replaced(out) as temporary:
        shutil.copytree(first, temporary, dirs_exist_ok=True)
    return True


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _standing(workflow: Workflow) -> dict[str, Any]:
    """The config of a combination that runs alone, wherever it lies."""
    raw: dict[str, Any] = {**workflow.study.raw, "data": {**workflow.study.raw["data"]}}
    data, samples = workflow.study.data, workflow.study.samples
    raw["data"] |= {"data_root": ".", "files": [str(path.resolve()) for path in data.files]}
    if data.features is not None:
        raw["data"]["features"] = str(data.features.resolve())
    if samples.file is not None:
        raw["samples"] = {**raw["samples"], "file": str(samples.file.resolve())}
    for model in workflow.study.models:
        known = {group: str(path.resolve()) for group, path in model.relationship.items()}
        own = {**raw["models"][model.name], **({"relationship": known} if known else {})}
        raw["models"] = {**raw["models"], model.name: own}
    return raw


def tests_table(workflow: Workflow, data: Path) -> pd.DataFrame:
    """All tests of a combination: a row for each model, contrast and feature; statuses as words."""
    names = View(zarr_io.open(data)).features[["name"]]
    parts = [_of_model(workflow, model, names) for model in workflow.plan.names]
    return pd.concat(parts, ignore_index=True)


def _of_model(workflow: Workflow, model: str, names: pd.DataFrame) -> pd.DataFrame:
    tree = zarr_io.open(workflow.paths.model(model))
    fit, tests = zarr_io.group(tree, f"fits/{model}"), zarr_io.group(tree, f"tests/{model}")
    features, contrasts = fit["feature"].values.astype(str), tests["contrast"].values.astype(str)
    words = np.array([_word(code) for code in range(256)], dtype=object)
    table = pd.DataFrame(
        {
            "model": model,
            "contrast": np.repeat(contrasts, len(features)),
            "feature": np.tile(features, len(contrasts)),
            "name": np.tile(names.loc[features, "name"].to_numpy(dtype=object), len(contrasts)),
        }
    )
    for number in NUMBERS:
        table[number] = tests[number].values.T.ravel()
    table["fit_status"] = np.tile(words[fit["status"].values.astype(int)], len(contrasts))
    table["test_status"] = words[tests["status"].values.T.ravel().astype(int)]
    return table


def _word(code: int) -> str:
    return MEANING[Status(code)].label if code in Status._value2member_map_ else ""
