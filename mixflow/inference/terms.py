"""Tests of the fixed part's terms: SAS's hypotheses of type I, II and III, as lmerTest's anova has them.

Type I: each term after those before it. Type II: after all terms that do not contain it. Type III: after all
others, effects taken over equally weighted cells (for numbers: where they are zero), whatever the coding.
Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 3; SAS/STAT, The Four Types of
Estimable Functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mixflow.design import Design, orthogonal
from mixflow.design.coding import TermFactors, sum_to_zero, term_factors
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "term": "term of the fixed part",
    "df_num": "numerator degrees of freedom: independent comparisons of the term",
    "df": "denominator degrees of freedom",
    "statistic": "F",
    "p_value": "p of F",
    "q_value": "Benjamini-Hochberg over the features, for each term",
    "status": "how the test ended",
}
ZERO = 1e-9
"""Weights below this share of the largest (columns of X scaled to length 1) are rounding."""


def term_tests(fit: Fit, design: Design, type: int = 3, df: str = "satterthwaite") -> pd.DataFrame:
    """One row for each feature and term but the intercept; columns as in `COLUMNS`.

    ``type``: 1, 2 or 3; ``df``: a method of `mixflow.inference.df`. NaN with a status where a feature's own
    rows cannot estimate the hypothesis. Raises MixflowError for another type.
    """
    asked = hypotheses(design, type)
    found = test(fit, asked, df=df, design=design)
    names = {"f_df1": "df_num", "f_df2": "df", "f_statistic": "statistic", "f_p_value": "p_value"}
    arrays = {new: found[old] for old, new in (names | {"f_q_value": "q_value"}).items()} if asked else {}
    n, k = len(fit.feature_ids), len(asked)
    table = {"feature": np.repeat(fit.feature_ids, k), "term": np.tile([c.name for c in asked], n)}
    table |= {name: arrays[name].ravel() if asked else np.zeros(0) for name in list(COLUMNS)[2:-1]}
    words = [MEANING[Status(s)].label for s in found["f_status"].ravel()] if asked else []
    return pd.DataFrame(table | {"status": words})


def hypotheses(design: Design, type: int = 3) -> list[Contrast]:
    """L of every term that has columns of its own, in the order of the formula."""
    if type not in _TYPES:
        remedy = "Use 1, 2 or 3."
        raise MixflowError(Problem("Unknown type of hypotheses", column="type", value=type, remedy=remedy))
    terms = term_factors(design)
    every = np.ones(len(design.X), dtype=bool)
    rows = _TYPES[type](design, terms)
    return [
        Contrast(term.name, rows[i], "F", f"{term.name}, type {type}", None, (), every)
        for i, term in enumerate(terms)
        if term.factors and len(rows[i])
    ]


def _sequential(design: Design, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    return [_after(design, np.arange(len(design.coef_names)), term) for term in terms]


def _partial(design: Design, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    found = []
    for term in terms:
        later = {*term.columns, *(j for other in terms if term.within(other) for j in other.columns)}
        first = [j for j in range(len(design.coef_names)) if j not in later]
        order = np.array([*first, *term.columns, *sorted(later - {*term.columns})])
        found.append(_after(design, order, term))
    return found


def _after(design: Design, order: np.ndarray, term: TermFactors) -> np.ndarray:
    """Rows of the term in X = Q R with the columns in this ``order``, each over its diagonal (Doolittle)."""
    q, r = orthogonal.factor(design.X[:, order])
    place = np.flatnonzero(np.isin(order, term.columns) & (q != 0).any(axis=0))
    rows = np.zeros((len(place), len(order)))
    rows[:, order] = r[place] / r[place, place][:, None]
    return _clean(design, rows)


def _marginal(design: Design, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    """The coefficients of each term where every factor is coded to sum to zero, in the design's own."""
    turn = sum_to_zero(design)
    return [_clean(design, turn[list(term.columns)]) for term in terms]


def _clean(design: Design, rows: np.ndarray) -> np.ndarray:
    """Without rounding, and without rows of zeros."""
    size = np.abs(rows) * np.linalg.norm(design.X, axis=0)
    rows = np.where(size <= ZERO * size.max(axis=1, initial=0.0)[:, None], 0.0, rows)
    return rows[(rows != 0).any(axis=1)]


_TYPES: dict[int, Callable[[Design, Sequence[TermFactors]], list[np.ndarray]]] = {
    1: _sequential,
    2: _partial,
    3: _marginal,
}
