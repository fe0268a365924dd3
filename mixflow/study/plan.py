"""What a study will run: its models (with automatic companions) and its shards. From config and sheet alone.

Companions (the few-levels rule): where a random intercept ``(1 | g)`` of the headline model has fewer than 5
levels among the samples it fits, the variance of g is hardly known, and the model with g as a fixed effect is
fitted beside it. Not where g cannot be a fixed effect: a column of the formula, or another group, is constant
within each of its levels.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mixflow.study.columns import fixed_columns, kept_columns, terms_of
from mixflow.study.config import ModelConfig, Study

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from mixflow.formula import RandomTerm, Terms
    from mixflow.study.sheet import Sheet

__all__ = [
    "ModelPlan",
    "Plan",
    "fitted_frame",
    "kept_columns",
    "load_plan",
    "n_shards",
    "plan",
    "shard_slice",
]

FEW_LEVELS = 5
CHUNK = 512
"""Features in a chunk of the store, and in a block of the engine: shards are whole chunks."""
BYTES_PER_SHARD = 64_000_000
"""At about 0.05 ms a feature a file of this size is seconds of work, so one shard is usual on one machine."""


@dataclass(frozen=True)
class ModelPlan(ModelConfig):
    """A model to fit, as the config has it or made beside it.

    ``origin`` is config or few-levels; a companion says of what (``compare_to``) and which random intercept
    it ``replaces`` by a fixed effect.
    """

    origin: str = "config"
    replaces: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Models in the order of the report (the headline first) and the number of shards of each."""

    models: tuple[ModelPlan, ...]
    n_shards: int

    @property
    def headline(self) -> ModelPlan:
        """The first model."""
        return self.models[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(model.name for model in self.models)

    def model(self, name: str) -> ModelPlan:
        """The model of that name; KeyError if there is none."""
        return {model.name: model for model in self.models}[name]


def plan(study: Study, sheet: Sheet | None = None) -> Plan:
    """The plan of a study. Without a sheet (it comes with the data) levels are those the config declares."""
    headline = study.headline
    first = _planned(headline, None)
    models = [first]
    if study.few_levels == "beside":
        models += companions(study, first, sheet)
    models += [_planned(model, headline.name) for model in study.models[1:]]
    return Plan(tuple(models), n_shards(study))


def load_plan(study: Study) -> Plan:
    """The plan at parse time: reads the sheet where the config names one, never the data."""
    from mixflow.study import sheet

    return plan(study, sheet.read(study) if study.samples.file else None)


def _planned(model: ModelConfig, headline: str | None) -> ModelPlan:
    own = {field.name: getattr(model, field.name) for field in fields(ModelConfig)}
    compared = model.compare_to or headline
    return ModelPlan(**own | {"title": model.title or model.name, "compare_to": compared})


def companions(study: Study, model: ModelPlan, sheet: Sheet | None) -> list[ModelPlan]:
    """For each random intercept with few levels, the model with that factor as a fixed effect."""
    from mixflow.formula.known import quoted

    terms = terms_of(study, model)
    found = []
    for term in terms.random:
        levels = _n_levels(study, model, terms, term, sheet)
        if levels is None or not 2 <= levels < FEW_LEVELS:
            continue
        (group,) = term.group
        column = study.samples.columns.get(group)
        shown = (column.label if column else None) or group
        formula = model.formula.replace(term.text, quoted(group))
        found.append(
            replace(
                model,
                name=f"{model.name}.{re.sub(r'[^A-Za-z0-9_-]', '_', group)}-fixed",
                formula=formula,
                title=f"{shown} as a fixed effect",
                compare_to=model.name,
                analyses={},  # their options speak of the headline's random effects
                origin="few-levels",
                replaces=group,
                note=f"{group} has {levels} levels among the samples fitted, fewer than {FEW_LEVELS}: its "
                f"variance is hardly known, so the model with {group} as a fixed effect stands beside it.",
            )
        )
    return found


def _n_levels(
    study: Study, model: ModelPlan, terms: Terms, term: RandomTerm, sheet: Sheet | None
) -> int | None:
    """Levels of a simple random intercept that could be fixed instead; None for any other term."""
    alone = sum(other.text == term.text for other in terms.random) == 1
    if term.columns != "1" or len(term.group) != 1 or not alone:
        return None
    group = term.group[0]
    others = terms.variables - {group}
    if group in fixed_columns(terms):
        return None
    if sheet is None:
        declared = study.samples.columns.get(group)
        return len(declared.levels) if declared and declared.levels else None
    if group not in sheet.frame:
        return None
    frame = fitted_frame(sheet, model, terms)
    if not len(frame) or any(_constant_within(frame, group, name) for name in others if name in frame):
        return None
    return int(frame[group].nunique())


def _constant_within(frame: pd.DataFrame, group: str, column: str) -> bool:
    """Whether `column` varies, but never within a level of `group`, which as a fixed effect would hide it."""
    within = frame.groupby(group, observed=True)[column].nunique()
    return bool((within <= 1).all() and frame[column].nunique() > 1)


def fitted_frame(sheet: Sheet, model: ModelConfig, terms: Terms | None = None) -> pd.DataFrame:
    """Rows that a model fits: role sample, `include` and `exclude`, and (given terms) no missing covariate.

    Factors lose the levels that no row is left with.
    """
    keep = sheet.role == "sample"
    for chosen, wanted in ((model.include, True), (model.exclude, False)):
        for name, levels in chosen.items():
            keep &= _is_in(sheet, name, levels) == wanted
    frame = sheet.frame[keep.to_numpy()]
    if terms is not None:
        frame = frame.dropna(subset=[name for name in frame.columns if name in terms.variables])
    for name in frame.columns:
        if frame[name].dtype == "category":
            frame = frame.assign(**{name: frame[name].cat.remove_unused_categories()})
    return frame


def _is_in(sheet: Sheet, name: str, levels: tuple[str, ...]) -> pd.Series:
    column = sheet.columns[name]
    if column.kind == "number":
        return sheet.frame[name].isin([float(level) for level in levels])
    return sheet.frame[name].isin([column.level(level) for level in levels])


def n_shards(study: Study) -> int:
    """The configured number; `auto`: one for each 64 MB of data files. Never from the cores at hand."""
    if study.shards is not None:
        return study.shards
    size = sum(_size(path) for path in study.data.files)
    return max(1, math.ceil(size / BYTES_PER_SHARD))


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a store."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def shard_slice(n: int, i: int, of: int) -> slice:
    """Features of shard ``i`` (1-based) of ``of``, out of ``n``: whole chunks of 512, possibly none.

    Raises ValueError where ``i`` is not in 1..``of``.
    """
    if not 1 <= i <= of:
        raise ValueError(f"shard {i} of {of}")
    chunks = math.ceil(n / CHUNK)
    start, stop = (i - 1) * chunks // of, i * chunks // of
    return slice(min(start * CHUNK, n), min(stop * CHUNK, n))
