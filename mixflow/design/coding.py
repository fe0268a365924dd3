"""The terms of the fixed part by their factors and numbers, and its columns in another coding."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.design import Design
from mixflow.design.frame import is_factor, series
from mixflow.design.grid import grid
from mixflow.design.terms import encode
from mixflow.formula.fixed import factor_columns, factor_text, formulaic_terms

LARGEST_GRID = 20_000
"""Rows of a grid of all cells above which the sample's own rows stand for it."""
_CODED = re.compile(r"^C\(\s*(`[^`]*`|[^,()]+?)\s*(,.*)?\)$")


@dataclass(frozen=True)
class TermFactors:
    """A term: what it is made of (as the formula writes it), which of these are numbers, its columns of X."""

    name: str
    factors: frozenset[str]
    numbers: frozenset[str]
    columns: tuple[int, ...]

    def within(self, other: TermFactors) -> bool:
        """Marginal to the other term: all its factors and some more, and the same numbers (as lmerTest)."""
        return self.factors < other.factors and self.numbers == other.numbers


def term_factors(design: Design) -> list[TermFactors]:
    """Terms of the fixed part in their order; the intercept has no factors. Smooths stand for themselves."""
    terms = formulaic_terms(design.terms.fixed)
    found = []
    for number, name in enumerate(design.term_names):
        columns = tuple(int(j) for j in np.flatnonzero(design.term_of_coef == number))
        if number < len(terms):
            parts = [f for f in terms[number].factors if f.expr != "1"]
            numbers = frozenset(f.expr for f in parts if not _categorical(f, design.frame))
            found.append(TermFactors(name, frozenset(f.expr for f in parts), numbers, columns))
        else:
            found.append(TermFactors(name, frozenset({name}), frozenset({name}), columns))
    return found


def recoded(design: Design, coding: str) -> np.ndarray:
    """A (p, p): beta with every factor in this ``coding`` = A beta.

    Worked out on a grid of all combinations of levels, so that empty cells of the sample do not matter. An
    intercept whose place thresholds take is there while codings are compared, and is left out of A: no other
    coefficient hangs on it.
    """
    left = design.encoding.left_out
    mine = replace(design.encoding, more=(), left_out=None)
    other = encode(_text(design, coding), design.frame, {})
    table = _cells(design, 4 * len(other.names) + 8)
    found = np.linalg.lstsq(other.rows(table), mine.rows(table), rcond=None)[0]
    if left is not None:
        found = np.delete(np.delete(found, other.names.index("(Intercept)"), axis=0), left, axis=1)
    turn = np.eye(len(design.coef_names))
    turn[: len(found), : len(found)] = found
    return turn


def _text(design: Design, coding: str) -> str:
    """The fixed part with every factor in this coding."""
    texts = []
    for term in formulaic_terms(design.terms.fixed):
        parts = [_factor(f, design.frame, coding) for f in term.factors if f.expr != "1"]
        texts.append(":".join(parts) or "1")
    return " + ".join(["0", *texts] if "1" not in texts else texts)


def _factor(factor: Any, frame: pd.DataFrame, coding: str) -> str:
    if not _categorical(factor, frame):
        return factor_text(factor)
    known = _CODED.match(factor.expr)
    return f"C({known.group(1) if known else factor_text(factor)}, contr.{coding})"


def _categorical(factor: Any, frame: pd.DataFrame) -> bool:
    """Whether a formula's factor is one of levels: a column of labels, or ``C( )``."""
    if factor.expr.startswith("C("):
        return True
    return factor.eval_method.value == "lookup" and all(
        is_factor(series(frame, c)) for c in factor_columns(factor)
    )


def _cells(design: Design, least: int) -> pd.DataFrame:
    """All combinations of the factors' levels, at values of the numbers that the sample has."""
    size = int(np.prod([float(len(v.levels)) for v in design.variables if v.kind == "factor"]))
    if size > LARGEST_GRID:
        return design.frame
    cells = grid(design.variables)
    table = pd.concat([cells] * (1 + least // len(cells)), ignore_index=True)
    rng = np.random.default_rng(0)
    for v in design.variables:
        if v.kind == "number":
            table[v.name] = rng.choice(series(design.frame, v.name).to_numpy(), len(table))
    return table
