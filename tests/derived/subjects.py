"""Subjects of analyses, made from a formula, a frame and values or from a fit at hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.derived import Subject
from mixflow.design import build
from mixflow.formula import parse
from mixflow.inference.refit import Fitted, Recipe
from mixflow.optimise.fitting import fit_features


def subject_of(fitted: Fitted) -> Subject:
    """What an analysis sees of a fit."""
    return Subject(fitted.fit, fitted.design, fitted.values, recipe=fitted.recipe)


def of_frame(
    formula: str,
    frame: pd.DataFrame,
    values: np.ndarray,
    weights: np.ndarray | None = None,
    reml: bool = True,
    ids: list[str] | None = None,
) -> Subject:
    """The values (N, n) fitted; features are called 0, 1, ... where they have no names."""
    design = build(parse(formula), frame)
    names = np.array(ids or [str(i) for i in range(len(values))], dtype=object)
    fit = fit_features(design, values[:, design.rows], names, reml=reml, weights=weights)
    return Subject(fit, design, values[:, design.rows], recipe=Recipe(weights))
