"""A table of sample columns made ready for a design: kinds of columns, rows without gaps, levels in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem, Problems
from mixflow.formula.known import nearest


@dataclass(frozen=True, eq=False)
class Clean:
    """The columns a formula needs, in the rows that have all of them.

    ``columns``: factors as Categorical of text, numbers as float64. ``keys``: the grouping factors,
    likewise as Categorical (a number names a group as well as a text does). ``rows``: positions kept,
    ``dropped``: labels of the rows left out because a value is missing.
    """

    columns: pd.DataFrame
    keys: pd.DataFrame
    rows: np.ndarray
    dropped: tuple[str, ...]


def clean(frame: pd.DataFrame, columns: Collection[str], keys: Collection[str]) -> Clean:
    """Take ``columns`` and grouping ``keys`` of ``frame``; drop rows with gaps, then unused levels."""
    check_columns(frame, {*columns, *keys})
    if not len(frame):
        raise MixflowError(Problem("The table has no rows", remedy="Check the filters on samples."))
    values = pd.DataFrame(
        {name: as_column(series(frame, name)) for name in sorted(columns)}, index=frame.index
    )
    groups = pd.DataFrame({name: as_factor(series(frame, name)) for name in sorted(keys)}, index=frame.index)
    complete = ~(values.isna().any(axis=1) | groups.isna().any(axis=1)).to_numpy(dtype=bool)
    if not complete.any():
        raise MixflowError(_no_complete_row(pd.concat([values, groups], axis=1)))
    rows = np.flatnonzero(complete)
    dropped = tuple(str(label) for label in frame.index[~complete])
    return Clean(_in_use(values.iloc[rows]), _in_use(groups.iloc[rows]), rows, dropped)


def check_columns(frame: pd.DataFrame, needed: Iterable[str]) -> None:
    """Raise a problem for each needed column that is absent or stands twice."""
    problems = Problems()
    names = [str(name) for name in frame.columns]
    for name in sorted(needed):
        if names.count(name) == 0:
            problems.add("There is no column of this name", column=name, remedy=nearest(name, names))
        elif names.count(name) > 1:
            problems.add("Two columns have this name", column=name, remedy="Rename one of them.")
    problems.raise_if_any()


def series(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column (pandas leaves open whether a name gives one or several)."""
    return cast(pd.Series, frame[name])


def is_factor(column: pd.Series) -> bool:
    """Whether a column is a factor: categories, text or yes/no; never a number."""
    kind = column.dtype
    text = pd.api.types.is_string_dtype(kind) or pd.api.types.is_object_dtype(kind)
    return isinstance(kind, pd.CategoricalDtype) or text or pd.api.types.is_bool_dtype(kind)


def as_column(column: pd.Series) -> pd.Series:
    """A factor as Categorical of text, a number as float64; raises for infinite values and for dates."""
    if is_factor(column):
        return as_factor(column)
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype):
        remedy = "Turn it into a number (for example days since the start) or into text."
        raise MixflowError(
            Problem(
                "A formula needs numbers or text",
                column=str(column.name),
                value=str(column.dtype),
                remedy=remedy,
            )
        )
    numbers = column.astype("float64")
    infinite = np.isinf(numbers.to_numpy())
    if infinite.any():
        label = column.index[infinite][0]
        message = f"Infinite value in sample '{label}'"
        raise MixflowError(
            Problem(
                message,
                column=str(column.name),
                value=float(numbers.to_numpy()[infinite][0]),
                remedy="Leave it empty.",
            )
        )
    return numbers


def as_factor(column: pd.Series) -> pd.Series:
    """The column as Categorical of text: order of a Categorical kept, else sorted (numbers by size)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, levels = column.cat.codes.to_numpy(), column.cat.categories.tolist()
    else:
        found, known = pd.factorize(column.astype(object))
        levels = _sorted(list(known))
        place = {level: i for i, level in enumerate(levels)}
        codes = np.array([*(place[level] for level in known), -1])[found]
    labels = [level_text(level) for level in levels]
    if len(set(labels)) < len(labels):
        raise MixflowError(
            Problem("Two levels are written alike", column=str(column.name), value=str(labels))
        )
    factor = pd.Categorical.from_codes(codes, categories=labels)
    return pd.Series(factor, index=column.index, name=column.name)


def _sorted(levels: list) -> list:
    try:
        return sorted(levels)
    except TypeError:  # numbers and text mixed
        return sorted(levels, key=str)


def level_text(level: object) -> str:
    """A level as text: 308.0 is ``308``."""
    if isinstance(level, (float, np.floating)) and float(level).is_integer():
        return str(int(level))
    return str(level)


def _in_use(frame: pd.DataFrame) -> pd.DataFrame:
    kept = {
        name: column.cat.remove_unused_categories() if is_factor(column) else column
        for name, column in frame.items()
    }
    return pd.DataFrame(kept, index=frame.index)


def _no_complete_row(frame: pd.DataFrame) -> list[Problem]:
    gaps = {str(name): int(column.isna().sum()) for name, column in frame.items()}
    message = "No row has a value in every column of the formula"
    remedy = "Fill it or leave it out of the formula."
    return [
        Problem(message, column=name, value=f"{count} of {len(frame)} missing", remedy=remedy)
        for name, count in gaps.items()
        if count
    ]
