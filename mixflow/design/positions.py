"""Positions within a unit or group: visits or times, as numbers of their order or as times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.design.frame import as_factor, level_text
from mixflow.errors import MixflowError, Problem

MOST = 200
"""Distinct positions beyond which a column is no set of visits."""


@dataclass(frozen=True, eq=False)
class Positions:
    """The distinct values of a column in order: ``labels`` (k), ``times`` (k), numbers of the order if text."""

    column: str
    labels: tuple[str, ...]
    times: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the indicator columns."""
        return tuple(f"{self.column}[{label}]" for label in self.labels)

    def index(self, column: pd.Series) -> np.ndarray:
        """Position number of each row, -1 for values that were not there. (n,)."""
        place = {label: i for i, label in enumerate(self.labels)}
        return np.array([place.get(level_text(value), -1) for value in column])

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """Indicator columns (n, k) for rows of a table; all zero at a position that was not there."""
        return np.equal.outer(self.index(frame[self.column]), np.arange(len(self.labels))).astype(float)


def positions(column: pd.Series) -> Positions:
    """The positions of a column, numbers by size and factors by their levels."""
    factor = as_factor(column)
    labels = tuple(str(level) for level in factor.cat.categories)
    if len(labels) > MOST:
        remedy = "Use a random slope or a spline of it, or round it to visits."
        raise MixflowError(
            Problem(f"More than {MOST} distinct positions", column=str(column.name), remedy=remedy)
        )
    return Positions(str(column.name), labels, _times(column, labels))


def _times(column: pd.Series, labels: tuple[str, ...]) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return np.sort(np.unique(column.to_numpy(dtype=float)))
    return np.arange(len(labels), dtype=float)
