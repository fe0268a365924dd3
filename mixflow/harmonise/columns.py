"""Columns of the sample sheet as numbers: codes of factors, matrices of covariates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem

Values = NDArray[np.float64]
Codes = NDArray[np.int64]


def rows_of(frame: pd.DataFrame, chosen: Any) -> pd.DataFrame:
    """The rows ``chosen`` (sample,) bool of a frame."""
    return pd.DataFrame(frame.loc[np.asarray(chosen)])


def column_of(frame: pd.DataFrame, name: Hashable, chosen: Any = slice(None)) -> pd.Series:
    """One column of a frame, all of its rows or those ``chosen`` (sample,) bool."""
    return pd.Series(frame[name][chosen], name=name)


def is_number(column: pd.Series) -> bool:
    """Whether a column is numeric (truth values count as a factor)."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def levels_of(column: pd.Series) -> tuple[Codes, list[str]]:
    """Codes (sample,), -1 where missing, and the levels seen: in the order of a Categorical, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return np.asarray(column.cat.codes, dtype=np.int64), [str(level) for level in column.cat.categories]
    codes, levels = pd.factorize(column, sort=True)
    return codes.astype(np.int64), [str(level) for level in levels]


def refuse_missing(frame: pd.DataFrame, key: str, samples: Sequence[Hashable] | None = None) -> None:
    """Raise where a column has missing values, naming the column, the samples, and config key ``key``."""
    names = list(frame.index) if samples is None else list(samples)
    problems = []
    for column in frame.columns:
        gone = [str(names[i]) for i in np.flatnonzero(frame[column].isna().to_numpy())]
        if gone:
            shown = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
            problems.append(
                Problem(
                    f"Missing in samples {shown}; {key} needs a value for every sample.",
                    column=str(column),
                    value=gone[0],
                    remedy=f"Fill the sample sheet, drop these samples, or take the column out of {key}.",
                )
            )
    if problems:
        raise MixflowError(problems)


def column_matrix(column: pd.Series) -> Values:
    """Design columns of a sheet column (sample, k): a number centred and scaled, a factor as dummies.

    Rows with a missing value are NaN. A column that does not vary has k = 0.
    """
    if is_number(column):
        x = column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
        spread = np.nanstd(x) if np.isfinite(x).any() else 0.0
        return np.asarray(
            (x - np.nanmean(x)) / spread if spread > 0 else np.empty((len(x), 0)), dtype=np.float64
        )
    codes, levels = levels_of(column)
    dummies = (codes[:, None] == np.arange(1, max(len(levels), 1))).astype(np.float64)
    dummies[codes < 0] = np.nan
    return dummies


def covariate_matrix(frame: pd.DataFrame) -> tuple[Values, list[str]]:
    """Design columns of all sheet columns of ``frame`` (sample, p), and the sheet column each came from."""
    parts = [(str(name), column_matrix(column_of(frame, name))) for name in frame.columns]
    names = [name for name, part in parts for _ in range(part.shape[1])]
    return np.concatenate([np.empty((len(frame), 0)), *(part for _, part in parts)], axis=1), names
