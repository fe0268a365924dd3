"""What the design remembers of each variable, and the reference grid made of it.

The grid is that of emmeans (Searle, Speed and Milliken 1980, Am Stat 34:216): every combination of the
factors' levels with equal weight, numbers at their mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.frame import is_factor, level_text, series
from mixflow.errors import MixflowError, Problem


@dataclass(frozen=True)
class Variable:
    """A variable of the fixed part; ``kind`` is 'factor' or 'number'.

    ``levels`` as text, ``values`` as the data have them;
    ``mean`` is NaN for a factor; the first level is the reference.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    values: tuple[Any, ...]
    mean: float


def variables(frame: pd.DataFrame, names: Sequence[str], coded: frozenset[str]) -> tuple[Variable, ...]:
    """Facts of the columns ``names`` of a clean frame; ``coded``: numbers taken as factors."""
    found = []
    for name in names:
        column = series(frame, name)
        if is_factor(column):
            levels = tuple(column.cat.categories)
            found.append(Variable(name, "factor", levels, levels, float("nan")))
        elif name in coded:
            values = tuple(sorted(column.unique().tolist()))
            found.append(Variable(name, "factor", tuple(map(level_text, values)), values, float("nan")))
        else:
            found.append(Variable(name, "number", (), (), float(column.to_numpy().mean())))
    return tuple(found)


def grid(known: Sequence[Variable], at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The reference grid, last variable fastest; ``at`` fixes variables at a level or a number."""
    at = dict(at or {})
    choices = [[_fixed(v, at[v.name])] if v.name in at else _all(v) for v in known]
    rows = list(itertools.product(*choices))
    table = pd.DataFrame(rows, columns=[v.name for v in known], index=range(len(rows)))
    for v in known:
        if v.kind == "factor" and v.values == v.levels:
            table[v.name] = pd.Categorical(table[v.name], categories=list(v.levels))
        else:
            table[v.name] = table[v.name].astype("float64")
    return table


def _all(variable: Variable) -> list[Any]:
    return list(variable.values) if variable.kind == "factor" else [variable.mean]


def _fixed(variable: Variable, wanted: Any) -> Any:
    if variable.kind == "factor":
        return variable.values[level_number(variable, wanted)]
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float, np.number)) or not np.isfinite(wanted):
        remedy = f"Give a number; its mean is {variable.mean:.4g}."
        raise MixflowError(
            Problem("A number is needed here", column=variable.name, value=wanted, remedy=remedy)
        )
    return float(wanted)


def level_number(variable: Variable, wanted: Any) -> int:
    """Place of a level among those of a factor; raises with the known ones."""
    text = level_text(wanted)
    if text not in variable.levels:
        remedy = f"Known levels: {', '.join(variable.levels)}."
        raise MixflowError(
            Problem(
                "The factor has no such level in the samples used",
                column=variable.name,
                value=wanted,
                remedy=remedy,
            )
        )
    return variable.levels.index(text)
