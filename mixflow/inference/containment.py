"""Denominator df by the level at which a column of X varies: nlme's rule, for nested and crossed groups.

Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.2: a column that is constant
within the levels of a grouping factor is estimated between them, and has m_i - (m_(i-1) + p_i) df: levels of
the coarsest such factor, less those of the factor it is nested in, less the columns estimated there. Groups
need not be nested: each has the levels left after the one it is nested in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.design import Design
from mixflow.model import Fit

TOLERANCE = 1e-8
"""A column varies within a level if its values differ by more than this share of the largest."""


@dataclass(frozen=True)
class Strata:
    """``parent`` (groups): the finest group each is nested in, -1 for none. ``of_coef`` (p,): the group
    between whose levels a coefficient is estimated, -1 for within all. ``constant`` (p,): intercepts.
    """

    parent: tuple[int, ...]
    of_coef: np.ndarray
    constant: np.ndarray
    counted: np.ndarray  # (p,) columns that do not depend on earlier ones


def coefficient_df(fit: Fit, design: Design) -> np.ndarray:
    """df of each coefficient, from each feature's own number of rows and levels. (N, p).

    NaN where none are left. A column is judged on all rows of the design. As in nlme an intercept has the
    largest df of any stratum, and without one the first stratum has one df more than the others lose.
    """
    found = strata(design, fit.groups)
    levels = fit.n_levels.astype(float)
    own = np.column_stack(
        [levels[:, g] - (levels[:, up] if up >= 0 else 0.0) for g, up in enumerate(found.parent)]
        + [fit.n_obs - _rank(levels, found.parent)]
    )
    roots = np.array([up < 0 for up in found.parent] + [not found.parent])
    own = own - roots if found.constant.any() else own + ~roots
    last = len(found.parent)
    place = np.where(found.of_coef < 0, last, found.of_coef)
    varying = found.counted & ~found.constant
    own = own - np.bincount(place[varying], minlength=last + 1)
    df = np.where(found.constant, own.max(axis=1, keepdims=True), own[:, place])
    return np.where(df > 0, df, np.nan)


def _rank(levels: np.ndarray, parent: tuple[int, ...]) -> np.ndarray:
    """Rank of all groups' indicators together, where crossed groups are connected. (N,)."""
    extra = [levels[:, g] - (levels[:, up] if up >= 0 else 1.0) for g, up in enumerate(parent)]
    return 1.0 + np.sum(extra, axis=0) if extra else np.zeros(len(levels))


def strata(design: Design, groups: tuple[str, ...]) -> Strata:
    """Where each coefficient is estimated; ``groups`` in the order of the fit."""
    index = [next(term.index for term in design.random if term.group == name) for name in groups]
    size = [int(i.max()) + 1 for i in index]
    order = sorted(range(len(groups)), key=lambda g: size[g])
    parent = tuple(_finest(g, index, size) for g in range(len(groups)))
    of_coef = np.full(len(design.coef_names), -1)
    for j, column in enumerate(design.X.T):
        outer = [g for g in order if _constant(column, index[g], size[g])]
        of_coef[j] = outer[0] if outer else -1
    constant = np.array([_constant(column, np.zeros(len(column), dtype=int), 1) for column in design.X.T])
    return Strata(parent, of_coef, constant, (design.Q != 0).any(axis=0))


def _finest(g: int, index: list[np.ndarray], size: list[int]) -> int:
    """The finest other group that group g is nested in, or -1."""
    above = [
        h
        for h in range(len(index))
        if h != g and size[h] < size[g] and _constant(index[h] + 1.0, index[g], size[g])
    ]
    return max(above, key=lambda h: size[h]) if above else -1


def _constant(column: np.ndarray, index: np.ndarray, n_levels: int) -> bool:
    """Whether a column is constant within every level."""
    low, high = np.full(n_levels, np.inf), np.full(n_levels, -np.inf)
    np.minimum.at(low, index, column)
    np.maximum.at(high, index, column)
    return bool((high - low <= TOLERANCE * np.abs(column).max(initial=0.0)).all())
