"""Tests of the fixed part's terms: SAS's hypotheses of type I, II and III, as lmerTest's anova has them.

Type I: each term after those before it. Type II: after all terms that do not contain it. Type III: after all
others, effects taken over equally weighted cells (for numbers: where they are zero), whatever the coding.
Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 3; SAS/STAT, The Four Types of
Estimable Functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mixflow.design import Design, orthogonal
from mixflow.design.coding import TermFactors, recoded, term_factors
from mixflow.errors import MixflowError, Problem
from mixflow.inference.containment import coefficient_df
from mixflow.inference.contrasts import Contrast
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.tails import f_p_value
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.model.some import take
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "term": "term of the fixed part; of a smooth the straight line in it (`s(x).linear`)",
    "df_num": "numerator degrees of freedom: independent comparisons of the term",
    "df": "denominator degrees of freedom",
    "statistic": "F",
    "p_value": "p of F",
    "q_value": "Benjamini-Hochberg over the features, for each term",
    "status": "how the test ended",
}
ZERO = 1e-9
"""Weights below this share of the largest (columns of X scaled to length 1) are rounding."""


def term_tests(
    fit: Fit,
    design: Design,
    type: int = 3,
    df: str = "satterthwaite",
    observed: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row for each feature and term but the intercept; columns as in `COLUMNS`.

    ``type``: 1, 2 or 3; ``df``: a method of `mixflow.inference.df`. What types 1 and 2 compare hangs on which
    rows there are: those of each feature where ``observed`` (N, n) is given (as lmerTest on it alone), else all
    rows of the design. NaN with a status where a feature's own rows cannot estimate the hypothesis.
    Raises MixflowError for another type.
    """
    whole = hypotheses(design, type)
    n, k = len(fit.feature_ids), len(whole)
    arrays = {name: np.full((n, k), np.nan) for name in _FOUND}
    if k:
        for rows, asked in _by_rows(design, type, whole, observed, n):
            some = take(fit, rows)
            found = test(some, asked, df="residual" if df == "containment" else df, design=design)
            if df == "containment":
                found |= _by_own_columns(found, some, design, asked)
            for name, source in _FOUND.items():
                arrays[name][rows] = found[source]
        arrays["q_value"] = np.column_stack([benjamini_hochberg(p) for p in arrays["p_value"].T])
    table = {"feature": np.repeat(fit.feature_ids, k), "term": np.tile([c.name for c in whole], n)}
    table |= {name: arrays[name].ravel() for name in list(COLUMNS)[2:-1]}
    words = [MEANING[Status(int(s))].label for s in arrays["status"].ravel()]
    return pd.DataFrame(table | {"status": words}, columns=list(COLUMNS))


def _by_own_columns(
    found: dict[str, np.ndarray], fit: Fit, design: Design, asked: list[Contrast]
) -> dict[str, np.ndarray]:
    """Containment df of a term are those of its own columns, whatever else has a weight (nlme, SAS)."""
    each = coefficient_df(fit, design)
    of_term = {name: design.term_of_coef == i for i, name in enumerate(design.term_names)}
    df = np.column_stack([each[:, of_term[c.name]].min(axis=1) for c in asked])
    df = np.where(np.isfinite(found["f_df2"]), df, np.nan)
    return {"f_df2": df, "f_p_value": f_p_value(found["f_statistic"], found["f_df1"], df)}


_FOUND = {
    "df_num": "f_df1",
    "df": "f_df2",
    "statistic": "f_statistic",
    "p_value": "f_p_value",
    "q_value": "f_q_value",
    "status": "f_status",
}


def _by_rows(
    design: Design, type: int, whole: list[Contrast], observed: np.ndarray | None, n: int
) -> Iterator[tuple[np.ndarray, list[Contrast]]]:
    """Features with the same rows, and the hypotheses that these rows define.

    Where they define fewer comparisons of a term than all rows do, the whole hypothesis stands: it is then
    told as not estimable, and never replaced by another one.
    """
    if type == 3 or observed is None or observed.all():
        yield np.arange(n), whole
        return
    _, first, group = np.unique(np.packbits(observed, axis=1), axis=0, return_index=True, return_inverse=True)
    for number, i in enumerate(first):
        own = {c.name: c for c in hypotheses(design, type, observed[i])}
        asked = [own[c.name] if c.name in own and len(own[c.name].L) == len(c.L) else c for c in whole]
        yield np.flatnonzero(group.ravel() == number), asked


def hypotheses(design: Design, type: int = 3, rows: np.ndarray | None = None) -> list[Contrast]:
    """L of every term that has columns of its own, in the order of the formula; ``rows`` (n,): those used."""
    if type not in _TYPES:
        remedy = "Use 1, 2 or 3."
        raise MixflowError(Problem("Unknown type of hypotheses", column="type", value=type, remedy=remedy))
    terms = term_factors(design)
    X = design.X if rows is None else design.X[rows]
    of_type = _beside_thresholds if design.terms.thresholds and type != 3 else _by_type
    L = of_type(type, design, X, terms)
    every = np.ones(len(design.X), dtype=bool)
    return [
        Contrast(term.name, L[i], "F", f"{term.name}, type {type}", None, (), every)
        for i, term in enumerate(terms)
        if term.factors and len(L[i])
    ]


def _by_type(type: int, design: Design, X: np.ndarray, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    return _TYPES[type](design, X, terms)


def _beside_thresholds(
    type: int, design: Design, X: np.ndarray, terms: Sequence[TermFactors]
) -> list[np.ndarray]:
    """Hypotheses after the intercept, which the thresholds hold: it stands in front of X, and leaves the rows."""
    moved = [replace(term, columns=tuple(j + 1 for j in term.columns)) for term in terms]
    return [L[:, 1:] for L in _TYPES[type](design, np.column_stack([np.ones(len(X)), X]), moved)]


def _sequential(design: Design, X: np.ndarray, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    return [_after(X, np.arange(X.shape[1]), term) for term in terms]


def _partial(design: Design, X: np.ndarray, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    """After all but the terms that contain it; the coefficients themselves where no term does (as lmerTest)."""
    p = X.shape[1]
    found, independent = [], bool((orthogonal.factor(X)[0] != 0).any(axis=0).all())
    for term in terms:
        inside = [other for other in terms if term.within(other)]
        if independent and not inside:
            found.append(np.eye(p)[list(term.columns)])
            continue
        last = sorted({j for other in inside for j in other.columns})
        first = [j for j in range(p) if j not in {*last, *term.columns}]
        found.append(_after(X, np.array([*first, *term.columns, *last]), term))
    return found


def _after(X: np.ndarray, order: np.ndarray, term: TermFactors) -> np.ndarray:
    """Rows of the term in X = Q R with the columns in this ``order``, each over its diagonal (Doolittle)."""
    q, r = orthogonal.factor(X[:, order])
    place = np.flatnonzero(np.isin(order, term.columns) & (q != 0).any(axis=0))
    rows = np.zeros((len(place), len(order)))
    rows[:, order] = r[place] / r[place, place][:, None]
    return _clean(X, rows)


def _marginal(design: Design, X: np.ndarray, terms: Sequence[TermFactors]) -> list[np.ndarray]:
    """The coefficients of each term where every factor is coded to sum to zero, in the design's own.

    Among all rows that say the same, those that compare with the reference level, as lmerTest's: its df of
    several rows depend on the choice.
    """
    treatment = recoded(design, "treatment")
    by_sum = recoded(design, "sum") @ np.linalg.inv(treatment)
    found = []
    for term in terms:
        own = list(term.columns)
        rows = np.linalg.solve(by_sum[np.ix_(own, own)], by_sum[own]) if own else by_sum[own]
        found.append(_clean(X, rows @ treatment))
    return found


def _clean(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Without rounding, and without rows of zeros."""
    size = np.abs(rows) * np.linalg.norm(X, axis=0)
    rows = np.where(size <= ZERO * size.max(axis=1, initial=0.0)[:, None], 0.0, rows)
    return rows[(rows != 0).any(axis=1)]


_TYPES: dict[int, Callable[[Design, np.ndarray, Sequence[TermFactors]], list[np.ndarray]]] = {
    1: _sequential,
    2: _partial,
    3: _marginal,
}
