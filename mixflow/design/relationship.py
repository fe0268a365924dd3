"""A known covariance of a grouping factor's levels: kinship, a genomic relationship, a phylogeny."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mixflow.covariance import Known
from mixflow.design.frame import level_text
from mixflow.errors import MixflowError, Problem, Problems
from mixflow.formula import RandomTerm

SYMMETRIC = 1e-8
"""Largest difference between K and K', relative to the largest entry."""
SEMIDEFINITE = 1e-6
"""An eigenvalue below minus this share of the largest one is negative; rounding of stored matrices is not."""
SHOWN = 5
"""Missing labels that an error names."""


def check_relationship(given: Mapping[str, pd.DataFrame], random: Sequence[RandomTerm]) -> None:
    """Raise unless every matrix is for a group that has a random intercept and nothing else."""
    problems = Problems()
    groups = {term.group_name for term in random}
    for name in given:
        terms = [term for term in random if term.group_name == name]
        if not terms:
            known = f"Groups of the formula: {', '.join(sorted(groups)) or 'none'}."
            problems.add("A relationship matrix is for a group of the formula", column=name, remedy=known)
        elif len(terms) > 1 or terms[0].columns != "1":
            message = "A relationship matrix needs a random intercept; slopes with one are not fitted"
            problems.add(message, column=name, value=terms[-1].text, remedy=f"Write (1 | {name}).")
    problems.raise_if_any()


def known(name: str, matrix: pd.DataFrame, levels: Sequence[str]) -> Known:
    """The matrix at the ``levels`` that the rows use, in their order; other labels are left out.

    Raises MixflowError where it is not square, symmetric, finite and positive semidefinite, or lacks a level.
    """
    if not isinstance(matrix, pd.DataFrame):
        remedy = "Give a pandas table whose index and columns are the labels."
        raise MixflowError(
            Problem("A relationship is a table", column=name, value=type(matrix).__name__, remedy=remedy)
        )
    rows = [level_text(label) for label in matrix.index]
    columns = [level_text(label) for label in matrix.columns]
    _check_labels(name, rows, columns, levels)
    row, column = {v: i for i, v in enumerate(rows)}, {v: i for i, v in enumerate(columns)}
    values = matrix.to_numpy(dtype=float)[np.ix_([row[v] for v in levels], [column[v] for v in levels])]
    _check_values(name, values, levels)
    return Known.of((values + values.T) / 2)


def _check_labels(name: str, rows: list[str], columns: list[str], levels: Sequence[str]) -> None:
    problems = Problems()
    if sorted(rows) != sorted(columns):
        problems.add("Rows and columns of a relationship matrix have the same labels", column=name,
                     value=_few(sorted(set(rows) ^ set(columns))))  # fmt: skip
    twice = sorted({label for label in rows if rows.count(label) > 1}) if len(set(rows)) < len(rows) else []
    if twice:
        problems.add("A label stands twice in the relationship matrix", column=name, value=_few(twice),
                     remedy="Keep one of them.")  # fmt: skip
    missing = sorted(set(levels) - set(rows))
    if missing:
        remedy = "Add them to the matrix, or leave their samples out."
        message = f"{len(missing)} of {len(levels)} levels are not in the relationship matrix"
        problems.add(message, column=name, value=_few(missing), remedy=remedy)
    problems.raise_if_any()


def _check_values(name: str, values: np.ndarray, levels: Sequence[str]) -> None:
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0].tolist()
        message = f"The relationship of '{levels[i]}' and '{levels[j]}' is not a finite number"
        raise MixflowError(Problem(message, column=name, value=float(values[i, j])))
    apart = np.abs(values - values.T)
    if apart.max() > SYMMETRIC * np.abs(values).max():
        i, j = divmod(int(apart.argmax()), len(apart))
        message = f"The relationship matrix is not symmetric at '{levels[i]}' and '{levels[j]}'"
        raise MixflowError(Problem(message, column=name, value=f"{values[i, j]:.6g} and {values[j, i]:.6g}"))
    eigenvalues = np.linalg.eigvalsh((values + values.T) / 2)
    if eigenvalues[-1] <= 0 or eigenvalues[0] < -SEMIDEFINITE * eigenvalues[-1]:
        message = "The relationship matrix is not positive semidefinite: no effects have such covariances"
        remedy = "Compute it from all markers or the whole pedigree, or take the nearest such matrix."
        raise MixflowError(
            Problem(message, column=name, value=f"smallest eigenvalue {eigenvalues[0]:.6g}", remedy=remedy)
        )


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:SHOWN]) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
