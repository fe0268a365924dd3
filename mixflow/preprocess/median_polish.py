"""Tukey's median polish of many two-way tables at once (Mosteller and Tukey 1977, chapter 9).

The algorithm, its order (rows first), its stopping rule and its treatment of missing cells are those of R's
`stats::medpolish(x, eps, maxiter, na.rm = TRUE)`, which MSstats' summary of a protein repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
EPS, MAX_ITER = 0.01, 10
"""Defaults of R's medpolish (and of MSstats)."""


@dataclass(frozen=True)
class Polish:
    """value[t, i, j] = overall[t] + row[t, i] + column[t, j] + residual[t, i, j].

    ``overall`` (table,), ``row`` (table, row), ``column`` (table, column): NaN for a row or column without
    any value; ``residual`` as the input; ``iterations`` (table,); ``converged`` (table,): the sum of absolute
    residuals changed by less than eps (relative) before the iterations ran out.
    """

    overall: Values
    row: Values
    column: Values
    residual: Values
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]


def median_polish(values: Values, eps: float = EPS, max_iter: int = MAX_ITER) -> Polish:
    """Polish every table of ``values`` (table, row, column), NaN missing, each as if it stood alone.

    Rows and columns that hold nothing but NaN change nothing, so tables of different sizes may be padded.
    """
    n, rows, columns = values.shape
    state = Polish(
        np.zeros(n),
        np.zeros((n, rows)),
        np.zeros((n, columns)),
        np.array(values, dtype=float),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=bool),
    )
    old = np.zeros(n)
    for _ in range(max_iter):
        active = np.flatnonzero(~state.converged)
        if not len(active):
            break
        new = _sweep(state, active)
        change = np.abs(new - old[active])
        state.converged[active] = (new == 0) | (change < eps * new)
        state.iterations[active] += 1
        old[active] = new
    return state


def _sweep(state: Polish, active: NDArray[np.int64]) -> Values:
    """One iteration of the tables ``active``, in place; their sums of absolute residuals."""
    z, row, column = state.residual[active], state.row[active], state.column[active]
    by_row = nan_median(z)
    z -= by_row[:, :, None]
    row += by_row
    shift = np.nan_to_num(nan_median(column))
    column -= shift[:, None]
    by_column = nan_median(z.swapaxes(1, 2))
    z -= by_column[:, None, :]
    column += by_column
    back = np.nan_to_num(nan_median(row))
    row -= back[:, None]
    state.overall[active] += shift + back
    state.residual[active], state.row[active], state.column[active] = z, row, column
    return np.nansum(np.abs(z), axis=(1, 2))


def nan_median(values: Values) -> Values:
    """Median along the last axis without the NaN; NaN where there is no value."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.sum(~np.isnan(values), axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    middle = np.where(count % 2 == 1, high, (low + high) / 2)
    return np.where(count > 0, middle, np.nan)[..., 0]
