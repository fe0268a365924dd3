"""Which columns of the sheet a config uses, and how."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixflow.errors import MixflowError
from mixflow.study.config import ModelConfig, Study

if TYPE_CHECKING:
    from mixflow.formula import Terms


def terms_of(study: Study, model: ModelConfig) -> Terms:
    """The parsed formula; a problem names config file, line and key."""
    from mixflow.formula import parse

    try:
        return parse(model.formula)
    except MixflowError as error:
        place = study.place("models", model.name, "formula")
        raise MixflowError(replace(problem, **place) for problem in error.problems) from error


def fixed_columns(terms: Terms) -> frozenset[str]:
    """Columns of the fixed part."""
    from mixflow.formula.fixed import columns

    return frozenset(columns(terms.fixed))


def used_columns(study: Study) -> frozenset[str]:
    """Columns of the sheet that the config uses in any way; formulas that cannot be read name none."""
    names: set[Any] = {*study.batch.factors, *(study.batch.keep or ()), study.samples.unit}
    if study.preprocess.filters.min_observed_by:
        names.add(study.preprocess.filters.min_observed_by.factor)
    names.add(study.preprocess.reference_within)
    for model in study.models:
        names |= {*model.include, *model.exclude, *model.relationship, *structure_columns(model)}
        names |= {
            name for spec in model.contrasts.values() for name in (*spec, *spec.get("at", {})) if name != "at"
        }
        try:
            names |= terms_of(study, model).variables
        except MixflowError:
            continue  # validate and the fit say what is wrong with it
    return frozenset(name for name in names if name)


def structure_columns(model: ModelConfig) -> frozenset[str]:
    """Columns that a model names beside its formula: in residual, dispersion, zi, weights, variances, trials, limit."""
    named = frozenset(name for name in (model.weights, model.variances, model.trials, model.limit) if name)
    return named.union(*(key_columns(model, key) for key in ("residual", "dispersion", "zi")))


def key_columns(model: ModelConfig, key: str) -> frozenset[str]:
    """Columns that `residual`, `dispersion` or `zi` names; a text that cannot be read names none."""
    from mixflow.formula import parse

    text = str(getattr(model, key) or "")
    if key == "residual":
        inside = re.search(r"\((.*)\)", text, flags=re.DOTALL)
        text = f"~ ({inside[1]})" if inside else ""
    try:
        return parse(text).variables if text else frozenset()
    except MixflowError:
        return frozenset()  # the check of the model says what is wrong with it


def kept_columns(study: Study) -> tuple[str, ...]:
    """Columns whose effect harmonisation keeps: `batch.keep`, else those of the headline's fixed effects."""
    if study.batch.keep is not None:
        return study.batch.keep
    return tuple(sorted(fixed_columns(terms_of(study, study.headline)) - set(study.batch.factors)))
