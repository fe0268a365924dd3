"""Designs of the predictors of a family (mu, dispersion, zi), all on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.design import Design, build
from mixflow.design.frame import as_factor, is_factor, series
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family
from mixflow.formula import Terms, parse


def predictor_terms(family: Family, mu: Terms, dispersion: str | None, zi: str | None) -> dict[str, Terms]:
    """The formula of each predictor of the family, mu first; an intercept where none is given.

    Raises MixflowError, its column ``dispersion`` or ``zi``, for a predictor that the family has not, and for
    a formula with a response.
    """
    asked = {"dispersion": dispersion, "zi": zi}
    found = {"mu": replace(mu, thresholds=not family.intercept)}
    names = [p.name for p in family.predictors]
    for name, text in asked.items():
        if text is not None and name not in names:
            remedy = f"Predictors of {family.name}: {', '.join(names)}."
            raise MixflowError(
                Problem("The family has no such predictor", column=name, value=text, remedy=remedy)
            )
    for name in names[1:]:
        terms = parse(asked.get(name) or "~ 1")
        if terms.response is not None:
            remedy = "Leave out what stands left of `~`."
            raise MixflowError(
                Problem("A predictor has no response", column=name, value=terms.text, remedy=remedy)
            )
        found[name] = terms
    return found


def several(
    wanted: Mapping[str, Terms],
    frame: pd.DataFrame,
    contrasts: Mapping[str, str] | None = None,
    second: Terms | None = None,
    **options: Any,
) -> tuple[dict[str, Design], Design | None, np.ndarray]:
    """Designs of all predictors on the rows that are complete for all, and these rows' positions in ``frame``.

    ``second``: a formula whose response is another column of the outcome (failures of ``cbind``); its design is
    the second answer. ``contrasts``: coding by factor; ``options``: of `mixflow.design.build`, for the predictors.
    """

    def of(table: pd.DataFrame) -> list[Design]:
        built = [build(t, table, _codings(contrasts, t), **options) for t in wanted.values()]
        return built + ([build(second, table)] if second else [])

    first = of(frame)
    rows = first[0].rows
    for design in first[1:]:
        rows = np.intersect1d(rows, design.rows)
    if any(len(design.rows) != len(rows) for design in first):
        first = of(frame.iloc[rows])
    other = first.pop() if second else None
    return dict(zip(wanted, first, strict=True)), other, rows


def _codings(contrasts: Mapping[str, str] | None, terms: Terms) -> dict[str, str]:
    return {k: v for k, v in (contrasts or {}).items() if k in terms.variables}


def coded_response(frame: pd.DataFrame, terms: Terms, family: Family) -> pd.DataFrame:
    """A yes/no column as 0 and 1: 1 is the second level, as in R."""
    name = (terms.response or "").strip().strip("`")
    if name not in frame or family.columns != ("success", "failure") or not is_factor(series(frame, name)):
        return frame
    column = as_factor(series(frame, name))
    if len(column.cat.categories) != 2:
        remedy = "Give a column of 0 and 1, or cbind(success, failure)."
        levels = ", ".join(map(str, column.cat.categories))
        raise MixflowError(
            Problem("A yes/no outcome needs two levels", column=name, value=levels, remedy=remedy)
        )
    codes = column.cat.codes.to_numpy().astype(float)
    return frame.assign(**{name: np.where(codes < 0, np.nan, codes)})
