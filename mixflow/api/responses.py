"""The left side of a generalised model's formula: one column, ``cbind``, limits, or ordered categories."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.api.opened import Opened, outcomes
from mixflow.design import Design
from mixflow.design.frame import is_factor, series
from mixflow.design.several import coded_response
from mixflow.design.terms import evaluate
from mixflow.errors import MixflowError, Problem
from mixflow.family import Cumulative, Family
from mixflow.family.outcome import LIMITS, below, outcome_columns, whole_numbers
from mixflow.formula import Terms, parse

_CALL = re.compile(r"^\s*(?P<name>cbind|cens|below)\s*\((?P<inside>.*)\)\s*$", re.DOTALL)
_MEANS = {
    "cbind": "cbind(success, failure) ~ ...",
    "cens": "cens(lower, upper) ~ ...",
    "below": "below(value, limit) ~ ..., or below(limit) ~ ... for a store",
}


@dataclass(frozen=True)
class Left:
    """What stands left of ``~``: ``kind`` cbind, cens, below or nothing of these, and its ``parts``."""

    text: str
    kind: str
    parts: tuple[str, ...]

    @property
    def limits(self) -> bool:
        """Whether the response is given by limits."""
        return self.kind in ("cens", "below")


def read(formula: str) -> tuple[Left, Terms]:
    """The left side, and the terms of the formula with its first part alone (with none where limits stand there)."""
    left, tilde, right = formula.partition("~")
    found = _CALL.match(left)
    if not tilde or not found:
        return Left(left.strip(), "", (left,)), parse(formula)
    parts = _arguments(found["inside"])
    if len(parts) != 2 and not (found["name"] == "below" and len(parts) == 1):
        raise MixflowError(
            Problem(
                f"{found['name']}() takes two columns",
                column="formula",
                value=left,
                remedy=f"Write {_MEANS[found['name']]}",
            )
        )
    own = Left(left.strip(), found["name"], tuple(parts))
    if own.limits:
        return own, replace(parse(f"~ {right}"), text=formula.strip())
    return own, parse(f"{parts[0]} ~ {right}")


def _arguments(inside: str) -> list[str]:
    """What stands between commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(inside):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(inside[start:i])
            start = i + 1
    return [*parts, inside[start:]]


def check_sides(left: Left, formula: str, data: pd.DataFrame | Opened) -> None:
    """Raise unless a table has a response and a store has none but a limit."""
    none = not left.text or (left.kind == "below" and len(left.parts) == 1)
    if none != isinstance(data, Opened):
        message = "A store's features are the responses; a table needs one in the formula"
        remedy = "Write `outcome ~ ...` for a table, and nothing left of `~` for a store."
        raise MixflowError(Problem(message, column="formula", value=formula, remedy=remedy))


def check_limits(left: Left, family: Family) -> None:
    """Raise for limits beside a family that has none."""
    if left.limits and family.columns != LIMITS:
        remedy = "Ask for family='censored'."
        raise MixflowError(
            Problem(f"{family.name} has no {left.kind}() response", column="formula", remedy=remedy)
        )


def categories(
    data: pd.DataFrame | Opened, table: pd.DataFrame, terms: Terms
) -> tuple[dict[str, Any], pd.DataFrame, int]:
    """Options of a cumulative family, the table with the response as positions, and the position of the first.

    An ordered column has its categories in their order; whole numbers are categories from the lowest to the
    highest, in a store of all features together. Raises MixflowError for text, which has no order.
    """
    if isinstance(data, Opened):
        low, high = whole_numbers(data.values)
        return _options([str(k) for k in range(low, high + 1)]), table, low
    name = (terms.response or "").strip().strip("`")
    if name in table and is_factor(series(table, name)):
        column = series(table, name)
        if not isinstance(column.dtype, pd.CategoricalDtype):
            remedy = f"Make it one: pandas.Categorical({name}, categories=[...], ordered=True)."
            message = "Text has no order: an ordered outcome is a Categorical or whole numbers"
            raise MixflowError(Problem(message, column=name, value=str(column.iloc[0]), remedy=remedy))
        codes = column.cat.codes.to_numpy().astype(float)
        coded = table.assign(**{name: np.where(codes < 0, np.nan, codes)})
        return _options([str(level) for level in column.cat.categories]), coded, 0
    low, high = whole_numbers(
        evaluate(str(terms.response), table.dropna(subset=[name] if name in table else []))
    )
    return _options([str(k) for k in range(low, high + 1)]), table, low


def _options(labels: list[str]) -> dict[str, Any]:
    return {"levels": len(labels), "labels": tuple(labels)}


def coded(table: pd.DataFrame, terms: Terms, family: Family) -> pd.DataFrame:
    """The table with a yes/no response as 0 and 1; ordered categories are positions already."""
    return table if isinstance(family, Cumulative) else coded_response(table, terms, family)


def columns(
    left: Left,
    data: pd.DataFrame | Opened,
    frame: pd.DataFrame,
    design: Design,
    rows: np.ndarray,
    family: Family,
    second: np.ndarray | None,
    weights: np.ndarray | None,
    first: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Values (N, n), names (N,), the family's columns (N, n, c) and the weights that are left."""
    if not left.limits:
        values, ids = outcomes(data, design, rows)
        y, weights = outcome_columns(family, values - first, second, weights)
        return values, ids, y, weights
    parts = [evaluate(part, frame.iloc[rows], finite=False) for part in left.parts]
    if isinstance(data, Opened):
        values, ids = outcomes(data, design, rows)
        return values, ids, below(values, parts[0]), weights
    ids = np.array([left.text], dtype=object)
    if left.kind == "below":
        return parts[0][None, :], ids, below(parts[0][None, :], parts[1]), weights
    y = np.stack(parts, axis=-1)[None]
    ends = np.where(np.isinf(y), np.nan, y)
    middle = np.where(np.isfinite(ends[..., 0]), ends[..., 0], ends[..., 1])
    return middle, ids, y, weights
