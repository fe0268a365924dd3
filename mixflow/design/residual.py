"""The residual side met with data: units of correlated rows, positions, and what the spread hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.covariance import (
    AR1,
    CompoundSymmetry,
    Correlation,
    OrnsteinUhlenbeck,
    UnstructuredByVisit,
)
from mixflow.design.frame import series
from mixflow.design.positions import positions
from mixflow.design.terms import encode
from mixflow.errors import MixflowError, Problem
from mixflow.formula import Terms
from mixflow.formula.residual import ResidualTerm


@dataclass(frozen=True, eq=False)
class ResidualColumns:
    """``unit`` (n,) int number of each row's unit, ``where`` (n,) its position, ``correlation`` of positions.

    ``dispersion`` (n, d): columns on which log sd hangs, with their names; no intercept, since sigma is it.
    ``names``: of the natural parameters, correlation first.
    """

    correlation: Correlation | None
    unit: np.ndarray
    where: np.ndarray
    dispersion: np.ndarray
    names: tuple[str, ...]


def residual_columns(
    term: ResidualTerm | None,
    spread: Terms | None,
    frame: pd.DataFrame,
    keys: pd.DataFrame,
    codings: Mapping[str, str],
) -> ResidualColumns | None:
    """The residual side of a design; None where residuals are independent and of one variance.

    ``frame``, ``keys``: clean columns and grouping factors. Raises where two rows of a unit share a position.
    """
    if term is None and spread is None:
        return None
    n = len(frame)
    unit, where = np.arange(n), np.zeros(n)
    correlation: Correlation | None = None
    names: tuple[str, ...] = ()
    if term is not None:
        unit = _units(term, keys)
        correlation, where, names = _correlation(term, unit, frame)
        names = tuple(f"Residual.{name}" for name in names)
    dispersion, columns = _dispersion(spread, frame, codings) if spread else (np.zeros((n, 0)), ())
    return ResidualColumns(
        correlation, unit, where, dispersion, (*names, *(f"Residual.sd ratio {name}" for name in columns))
    )


def _units(term: ResidualTerm, keys: pd.DataFrame) -> np.ndarray:
    codes = np.column_stack([series(keys, name).cat.codes.to_numpy() for name in term.group])
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def _correlation(
    term: ResidualTerm, unit: np.ndarray, frame: pd.DataFrame
) -> tuple[Correlation, np.ndarray, tuple[str, ...]]:
    """The structure, the position of each row, and names of the natural parameters."""
    largest = int(np.bincount(unit).max())
    if largest < 2:
        remedy = "Name the unit that was measured repeatedly."
        raise MixflowError(Problem("Every unit has one row only", value=term.text, remedy=remedy))
    if term.position is None:
        where, labels = _by_order(unit), tuple(str(i + 1) for i in range(largest))
        times = np.arange(largest, dtype=float)
    else:
        known = positions(series(frame, term.position))
        where, labels, times = known.index(series(frame, term.position)), known.labels, known.times
        if term.structure != "cs":
            _require_distinct(term, unit, where, labels)
    if term.structure == "ou":
        gap = _smallest_gap(unit, times[where])
        ou = OrnsteinUhlenbeck(len(labels), gap)
        return ou, times[where] / gap, ou.names(labels)
    if term.structure == "cs":
        cs = CompoundSymmetry(largest)
        return cs, where.astype(float), cs.names(labels)
    found = {"ar1": AR1, "us": UnstructuredByVisit}[term.structure](len(labels))
    return found, where.astype(float), found.names(labels)


def _by_order(unit: np.ndarray) -> np.ndarray:
    seen: dict[int, int] = {}
    where = np.zeros(len(unit), dtype=int)
    for i, u in enumerate(unit.tolist()):
        where[i] = seen.get(u, 0)
        seen[u] = where[i] + 1
    return where


def _require_distinct(
    term: ResidualTerm, unit: np.ndarray, where: np.ndarray, labels: tuple[str, ...]
) -> None:
    pairs, counts = np.unique(np.column_stack([unit, where]), axis=0, return_counts=True)
    if (counts > 1).any():
        label = labels[pairs[counts > 1][0][1]]
        remedy = "Name a finer unit (such as subject:side), or average such rows."
        raise MixflowError(
            Problem(
                f"Two rows of one unit stand at the same position of {term.text}",
                column=term.position,
                value=label,
                remedy=remedy,
            )
        )


def _smallest_gap(unit: np.ndarray, time: np.ndarray) -> float:
    order = np.lexsort((time, unit))
    gaps = np.diff(time[order])[np.diff(unit[order]) == 0]
    return float(gaps.min())


def _dispersion(
    spread: Terms, frame: pd.DataFrame, codings: Mapping[str, str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    coded = encode(spread.fixed, frame, {k: v for k, v in codings.items() if k in frame})
    if "(Intercept)" not in coded.names or spread.random or spread.offset or spread.response:
        remedy = (
            "Write dispersion='~ site': an intercept (sigma itself) and columns that its spread hangs on."
        )
        message = "The dispersion takes fixed terms beside its intercept"
        raise MixflowError(Problem(message, value=spread.text, remedy=remedy))
    keep = [i for i, name in enumerate(coded.names) if name != "(Intercept)"]
    if not keep:
        remedy = "Leave dispersion out, or name a column."
        raise MixflowError(Problem("The dispersion names no column", value=spread.text, remedy=remedy))
    return _centred(coded.matrix[:, keep]), tuple(coded.names[i] for i in keep)


def _centred(columns: np.ndarray) -> np.ndarray:
    """Numbers less their mean, so that sigma belongs to a row at the mean; a factor's columns as they are.

    A year of 2000 would otherwise make sigma that of the year 0, and the likelihood a ridge.
    """
    coded = np.isin(columns, (-1.0, 0.0, 1.0)).all(axis=0)
    return columns - np.where(coded, 0.0, columns.mean(axis=0))
