"""Structures that a model's keys add to its formula: residual, dispersion, relationship."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixflow.errors import MixflowError, Problem
from mixflow.study import families
from mixflow.study.columns import key_columns, terms_of
from mixflow.study.relationship import read
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.design import Design
    from mixflow.formula import Terms


def design_of(study: Study, model: ModelConfig, frame: pd.DataFrame) -> Design:
    """The design of a model on the rows ``frame`` (of a generalised one that of mu).

    Problems of a structure name its key in the config.
    """
    from mixflow.design import build

    if model.generalised:
        return families.designs_of(study, model, frame)["mu"]
    terms, added = terms_of(study, model), residual_side(study, model)
    if model.relationship:
        added["relationship"] = {group: read(path) for group, path in model.relationship.items()}
    try:
        return build(terms, frame, **added)
    except MixflowError as error:
        raise MixflowError(_placed(study, model, terms, problem) for problem in error.problems) from error


def residual_side(study: Study, model: ModelConfig) -> dict[str, Any]:
    """Residual structure and dispersion of a model, parsed; problems are told at their key."""
    from mixflow.formula import parse
    from mixflow.formula.residual import parse_residual

    if model.generalised:
        return {}  # its dispersion is a predictor of the family
    read = {"residual": parse_residual, "dispersion": parse}
    given = {key: str(getattr(model, key)) for key in read if getattr(model, key)}
    return {key: _at(study, model, key, lambda k=key, t=text: read[k](t)) for key, text in given.items()}


def _at(study: Study, model: ModelConfig, key: str, step: Callable[[], Any]) -> Any:
    """What ``step`` returns; its problems are told at the key."""
    try:
        return step()
    except MixflowError as error:
        place = study.place("models", model.name, key)
        raise MixflowError(replace(problem, **place) for problem in error.problems) from error


def _placed(study: Study, model: ModelConfig, terms: Terms, problem: Problem) -> Problem:
    """A problem of the keys residual, dispersion and relationship at its key; any other as it is.

    A column belongs to a key where only the key names it, and its name then goes into the message.
    """
    for key in ("residual", "dispersion"):
        text, named = str(getattr(model, key) or ""), problem.column or ""
        alone = named in key_columns(model, key) and named not in terms.variables
        if text and (alone or text in problem.message):
            message = f"{problem.message} (column {named})" if alone else problem.message
            place, value = study.place("models", model.name, key), problem.value
            return replace(problem, message=message, value=named if value is None else value, **place)
    if problem.column in ("residual", "dispersion"):
        return replace(problem, **study.place("models", model.name, problem.column))
    if problem.column in model.relationship:
        value = problem.value if problem.value is not None else problem.column
        return replace(
            problem, **study.place("models", model.name, "relationship", problem.column), value=value
        )
    return problem


def fit_options(model: ModelConfig) -> dict[str, Any]:
    """Keyword arguments of the fit beyond the design and REML: only what is asked for."""
    return {"kr": True} if needs_kenward_roger(model) else {}


def needs_kenward_roger(model: ModelConfig) -> bool:
    """Whether the fit must leave behind what Kenward and Roger's tests need."""
    asked = {model.df, *(options.get("df") for options in model.analyses.values())}
    return "kenward-roger" in asked
