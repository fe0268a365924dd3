"""Prior weights and known residual variances of a model's samples: columns of the sheet, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mixflow.errors import Problem
from mixflow.study.cells import SHOWN
from mixflow.study.rules import near
from mixflow.study.sheet import Sheet, lines
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.design import Design
    from mixflow.inference.refit import Recipe

KEYS = {"weights": "weight", "variances": "variance", "trials": "number of trials", "limit": "limit"}
"""Key of a model -> what a value of its column is called."""


def recipe(model: ModelConfig, frame: pd.DataFrame, design: Design) -> Recipe:
    """Weights (rows of the design,) and options of the fit as the model's keys ask; ``frame``: its rows.

    Raises MixflowError for values that are no weights; `check` tells them all, with their lines.
    """
    from mixflow.inference.refit import Recipe
    from mixflow.inference.weights import inverse_variances, prior_weights

    if model.variances:
        return Recipe(inverse_variances(frame, model.variances, design), {"known_sigma": True})
    return Recipe(prior_weights(frame, model.weights, design))


def check(study: Study, model: ModelConfig, read: Sheet, frame: pd.DataFrame) -> Iterator[Problem]:
    """Every value of the columns that is missing or not positive; ``frame``: the samples that are fitted."""
    if model.weights and model.variances:
        place = study.place("models", model.name, "variances")
        message = "weights and known variances exclude each other"
        remedy = "keep one of the two: a known variance needs no weight"
        yield Problem(message, **place, value=model.variances, remedy=remedy)
        return
    for key in KEYS:
        name = getattr(model, key)
        if name and name not in read.columns:
            place, remedy = study.place("models", model.name, key), near(name, list(read.columns))
            yield Problem("the sheet has no such column", **place, value=name, remedy=remedy)
        elif name and read.columns[name].kind != "number":
            place = study.place("models", model.name, key)
            remedy = f"declare samples.columns.{name}: {{type: number}}, or name another column"
            yield Problem(f"{key} must be numbers", **place, value=name, remedy=remedy)
        elif name:
            yield from _values(model, key, name, read, frame)


def _values(model: ModelConfig, key: str, name: str, read: Sheet, frame: pd.DataFrame) -> Iterator[Problem]:
    value = frame[name].to_numpy(dtype=float)
    allowed = np.isfinite(value) if key == "limit" else np.isfinite(value) & (value > 0)
    if key == "trials":
        allowed &= value == np.round(value)
    bad = np.flatnonzero(~allowed)
    rows = lines(read, frame.index[bad[:SHOWN]])
    for at, row in zip(bad[:SHOWN], rows, strict=True):
        more = f" (and {len(bad) - SHOWN} more)" if len(bad) > SHOWN and at == bad[0] else ""
        kind = {"trials": "whole number above 0", "limit": "number"}.get(key, "number above 0")
        yield Problem(
            f"a {KEYS[key]} must be a {kind}: sample '{frame.index[at]}' of model {model.name}{more}",
            file=read.file,
            row=row,
            column=name,
            value="" if np.isnan(value[at]) else f"{value[at]:g}",
            remedy=f"give it, or leave the sample out by models.{model.name}.exclude",
        )
