"""Tables summed to a level of their annotation: raw values, before any transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.scales import Values

COLUMN = "preprocess.level"
ADDS = frozenset({"count", "proportion", "intensity"})
"""Scales whose values can be added: parts of a whole, not logarithms."""


def check(config: Mapping[str, Any], scale: str) -> None:
    """Refuse a `preprocess.level` whose values cannot be added, or that stands beside `summarise`."""
    level = config.get("level")
    if not level:
        return
    if scale not in ADDS:
        message = f"Features are summed to a level, but values on the scale '{scale}' cannot be added."
        remedy = "Give raw counts, proportions or intensities, or remove preprocess.level."
        raise MixflowError(Problem(message, column=COLUMN, value=level, remedy=remedy))
    if config.get("summarise"):
        message = "Features are either summed to a level or summarised to proteins."
        remedy = "Remove preprocess.level or preprocess.summarise."
        raise MixflowError(Problem(message, column=COLUMN, value=level, remedy=remedy))


def summed(values: Values, of: Sequence[int], n: int) -> Values:
    """Sums (n, sample) of the rows of ``values`` (feature, sample) by their place ``of`` (feature,).

    Missing values add nothing; a sum is missing where all its values are. Totals by sample stay.
    """
    place = np.asarray(of, dtype=np.int64)
    seen = ~np.isnan(values)
    total, some = np.zeros((n, values.shape[1])), np.zeros((n, values.shape[1]), dtype=bool)
    np.add.at(total, place, np.where(seen, values, 0.0))
    np.logical_or.at(some, place, seen)
    return np.where(some, total, np.nan)
