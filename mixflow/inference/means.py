"""Estimated marginal means: weights that turn coefficients into means over the reference grid.

Searle, Speed and Milliken (1980, Am Stat 34:216), as R's emmeans: other factors' levels weigh equally,
numbers stand at their mean. The offset is left out: it cancels in every comparison.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.design import Design
from mixflow.design.grid import Variable, grid, level_number
from mixflow.errors import MixflowError, Problem
from mixflow.formula.allowed import variables as expression_columns

LARGEST_GRID = 5000
"""Rows of the reference grid above which means are taken term by term."""


@dataclass(frozen=True, eq=False)
class Means:
    """Marginal means of m cells: ``names`` (m), ``levels`` (m tuples, one level a factor), ``L`` (m, p)."""

    factors: tuple[str, ...]
    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    L: np.ndarray


def reference_grid(design: Design, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Every combination of the factors' levels, numbers at their mean; ``at`` fixes variables."""
    for name in at or {}:
        design.variable(name)
    return grid(design.variables, at)


def means(design: Design, factors: str | Sequence[str], at: Mapping[str, Any] | None = None) -> Means:
    """Marginal means of a factor, or of the combinations of several, averaged over the rest of the grid.

    No factor at all gives the one mean over the whole grid.
    """
    names = (factors,) if isinstance(factors, str) else tuple(factors)
    known = [a_factor(design, name) for name in names]
    fixed = dict(at or {})
    levels = _cells(design, known, fixed)
    rows = np.zeros((len(levels), len(design.coef_names)))
    for members, columns in _blocks(design):
        table = reference_grid(design, {**_anywhere(design, {*members, *names}), **fixed})
        rows[:, columns] = _average(design.matrix(table)[:, columns], _cell_of(table, known, levels))
    return Means(names, tuple(":".join(cell) for cell in levels), levels, rows)


def _cells(design: Design, known: Sequence[Variable], at: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    for name in at:
        design.variable(name)
        _refuse_smoothed(design, name)
    chosen = [[v.levels[level_number(v, at[v.name])]] if v.name in at else list(v.levels) for v in known]
    return tuple(itertools.product(*chosen))


def _refuse_smoothed(design: Design, name: str) -> None:
    """A smoothed variable has no one difference, and the fixed part holds its straight line only."""
    for basis in design.smooths:
        if name in expression_columns(basis.term.variable):
            message = f"{basis.term.text} smooths this variable, so it cannot be fixed or compared at values"
            remedy = (
                "Means are averages over the samples' values of it; its curve is in the analysis smooths."
            )
            raise MixflowError(Problem(message, column=name, remedy=remedy))


def _blocks(design: Design) -> list[tuple[frozenset[str], np.ndarray]]:
    """Columns of X that are averaged together, with the variables they need.

    A term's mean over the grid depends on its own variables only, so that a grid too large for memory (many
    factors of many levels) is taken term by term.
    """
    every = frozenset(v.name for v in design.variables)
    if math.prod(max(1, len(v.levels)) for v in design.variables) <= LARGEST_GRID:
        return [(every, np.arange(len(design.coef_names)))]
    reads = design.encoding.term_variables
    return [(names, np.flatnonzero(design.term_of_coef == term)) for term, names in enumerate(reads)]


def _anywhere(design: Design, needed: set[str]) -> dict[str, Any]:
    """Any one place for the variables that do not matter."""
    return {v.name: v.levels[0] if v.levels else v.mean for v in design.variables if v.name not in needed}


def _cell_of(table: pd.DataFrame, known: Sequence[Variable], levels: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Number of the cell that each row of the grid belongs to."""
    places = {cell: number for number, cell in enumerate(levels)}
    columns = [table[v.name].tolist() for v in known]
    texts = [dict(zip(v.values, v.levels, strict=True)) for v in known]
    keys = zip(*columns, strict=True) if columns else ((),) * len(table)
    return np.array([places[tuple(t[x] for t, x in zip(texts, key, strict=True))] for key in keys])


def _average(matrix: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Mean of the rows of each cell."""
    weights = np.equal.outer(np.arange(cell.max() + 1), cell).astype(float)
    return weights @ matrix / weights.sum(axis=1, keepdims=True)


def pairs(cells: Means) -> tuple[tuple[str, ...], np.ndarray]:
    """Names ``B vs A`` and weights (r, p) of all differences of two means, later minus earlier."""
    found = [(i, j) for i in range(len(cells.names)) for j in range(i + 1, len(cells.names))]
    names = tuple(f"{cells.names[j]} vs {cells.names[i]}" for i, j in found)
    return names, np.array([cells.L[j] - cells.L[i] for i, j in found]).reshape(len(found), -1)


def a_factor(design: Design, name: str) -> Variable:
    """The factor of this name; raises for a number."""
    variable = design.variable(name)
    if variable.kind != "factor":
        remedy = "Declare it as type: factor, or ask for a difference of the number, such as {age: 10}."
        raise MixflowError(Problem("This column is a number, not a factor", column=name, remedy=remedy))
    return variable
