"""Structures that a model's keys add to its formula: residual, dispersion, relationship."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixflow.errors import MixflowError, Problem
from mixflow.study.columns import terms_of
from mixflow.study.relationship import read
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.design import Design
    from mixflow.study.plan import ModelPlan

PLACES = ("residual", "dispersion", "relationship")
"""Keys of a model at which a problem of its structures is told; all others at its formula."""


def design_of(study: Study, model: ModelConfig | ModelPlan, frame: pd.DataFrame) -> Design:
    """The design of a model on the rows ``frame``; problems name file, line and key of the config."""
    from mixflow.design import build

    try:
        return build(terms_of(study, model), frame, **_structures(study, model))
    except MixflowError as error:
        raise MixflowError(placed(study, model, error)) from error


def placed(study: Study, model: ModelConfig | ModelPlan, error: MixflowError) -> list[Problem]:
    """The problems of ``error`` that speak of a structure, at its key; the others as they are."""
    return [
        replace(p, **study.place("models", model.name, p.column)) if p.column in PLACES else p
        for p in error.problems
    ]


def _structures(study: Study, model: ModelConfig | ModelPlan) -> dict[str, Any]:
    """Keyword arguments of `mixflow.design.build` beyond the formula: only what the model asks for."""
    from mixflow.formula import parse
    from mixflow.formula.residual import parse_residual

    found: dict[str, Any] = {}
    if model.residual:
        found["residual"] = _at(study, model, "residual", lambda: parse_residual(str(model.residual)))
    if model.dispersion:
        found["dispersion"] = _at(study, model, "dispersion", lambda: parse(str(model.dispersion)))
    return found | relationships(model)


def _at(study: Study, model: ModelConfig | ModelPlan, key: str, step: Callable[[], Any]) -> Any:
    """What ``step`` returns; its problems are told at the key."""
    try:
        return step()
    except MixflowError as error:
        place = study.place("models", model.name, key)
        raise MixflowError(replace(problem, **place) for problem in error.problems) from error


def relationships(model: ModelConfig | ModelPlan) -> dict[str, Any]:
    """Keyword argument `relationship`, the tables by grouping factor, where the model has any."""
    tables = {group: read(path) for group, path in model.relationship.items()}
    return {"relationship": tables} if tables else {}


def fit_options(model: ModelConfig | ModelPlan) -> dict[str, Any]:
    """Keyword arguments of `mixflow.api.fit_values` beyond the formula and REML: only what is asked for."""
    texts = {"residual": model.residual, "dispersion": model.dispersion}
    found = {key: text for key, text in texts.items() if text} | relationships(model)
    return found | ({"kr": True} if needs_kenward_roger(model) else {})


def needs_kenward_roger(model: ModelConfig | ModelPlan) -> bool:
    """Whether the fit must leave behind what Kenward and Roger's tests need."""
    asked = {model.df, *(options.get("df") for options in model.analyses.values())}
    return "kenward-roger" in asked
