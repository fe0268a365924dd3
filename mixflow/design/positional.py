"""Random effects at positions met with data: ``ar1(time + 0 | g)``, ``ou``, ``cs``, ``homcs`` (as glmmTMB)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.covariance import AR1, CompoundSymmetry, OrnsteinUhlenbeck, Structured
from mixflow.design.frame import series
from mixflow.design.positions import Positions, positions
from mixflow.errors import MixflowError, Problem
from mixflow.formula import RandomTerm

POSITIONAL = ("ar1", "ou", "cs", "homcs")
"""Structures whose columns are the positions of one variable."""


def positional(term: RandomTerm, frame: pd.DataFrame) -> tuple[Positions, np.ndarray, Structured]:
    """Positions, their indicator columns (n, k), and the structure of the effects at them."""
    name = term.columns.removeprefix("0 + ").strip().strip("`")
    if not term.columns.startswith("0 + ") or name not in frame:
        remedy = f"Write {term.covariance}(time + 0 | {term.group_name}), where time is one column."
        raise MixflowError(
            Problem(
                "A structure over positions takes one column and no intercept", value=term.text, remedy=remedy
            )
        )
    known = positions(series(frame, name))
    k = len(known.labels)
    if k < 2:
        raise MixflowError(Problem("There is one position only", column=name, value=term.text))
    if term.covariance == "ou":
        gap = float(np.diff(known.times).min())
        structure = Structured(k, OrnsteinUhlenbeck(k, gap), tuple((known.times / gap).tolist()))
    else:
        correlation = AR1(k) if term.covariance == "ar1" else CompoundSymmetry(k)
        structure = Structured(k, correlation, tuple(map(float, range(k))), hetero=term.covariance == "cs")
    return known, known.rows(frame), structure
