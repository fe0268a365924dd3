"""Some of the features of a fit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from mixflow.model.fit import Fit, KenwardRoger


def take(fit: Fit, rows: np.ndarray) -> Fit:
    """The fit of the features ``rows`` (numbers, or a mask), in that order."""
    changed = {f.name: _taken(getattr(fit, f.name), rows) for f in fields(fit)}
    return replace(fit, **{name: value for name, value in changed.items() if value is not None})


def _taken(value: object, rows: np.ndarray) -> object | None:
    """Arrays, and those within a dict or `KenwardRoger`; None for what no feature has of its own."""
    if isinstance(value, np.ndarray):
        return value[rows] if len(value) else value
    if isinstance(value, KenwardRoger):
        return KenwardRoger(value.cov[rows], value.P[rows], value.W[rows])
    if isinstance(value, dict) and all(isinstance(array, np.ndarray) for array in value.values()):
        return {name: array[rows] for name, array in value.items()}
    return None
