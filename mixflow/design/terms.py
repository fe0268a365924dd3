"""One right-hand side met with data: its columns, their names, and the same columns for new data.

formulaic codes the factors (Wilkinson and Rogers 1973, with R's rule for intercepts); only functions of the
allow-list can be called (`mixflow.formula.allowed`), and each factor was checked before it is evaluated.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.frame import is_factor, series
from mixflow.errors import MixflowError, Problem, Problems
from mixflow.formula.allowed import CONTRASTS, python, variables
from mixflow.formula.fixed import factor_columns, factor_text, formulaic_terms

_CODING_MARK = re.compile(r"\[[TSHD]\.")
_WHOLE_NUMBER = re.compile(r"\[(\d+)\.0\]")


@dataclass(frozen=True, eq=False)
class Encoding:
    """Coded terms: ``matrix`` (n, p), ``names`` of its columns, ``term_names``, ``term_of`` column (p,).

    ``term_variables``: the columns of data each term reads; ``coded``: numbers taken as factors by ``C()``.
    ``more``: functions of a frame that give the columns after those of ``spec`` (of smooths).
    ``left_out``: the column of ``spec`` that is none of the model's.
    """

    spec: Any
    matrix: np.ndarray
    names: tuple[str, ...]
    term_names: tuple[str, ...]
    term_of: np.ndarray
    term_variables: tuple[frozenset[str], ...]
    coded: frozenset[str]
    more: tuple[Callable[[pd.DataFrame], np.ndarray], ...] = ()
    left_out: int | None = None

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """The same columns (m, p) for ``frame``, whose columns are as `frame.clean` makes them."""
        matrix = _matrix(_evaluate(self.spec, frame, str(self.spec.formula)), len(frame))
        if self.left_out is not None:
            matrix = np.delete(matrix, self.left_out, axis=1)
        matrix = np.hstack([matrix, *(columns(frame) for columns in self.more)])
        _check_finite(matrix, list(self.names), frame)
        return matrix


@functools.cache
def functions() -> Mapping[str, Any]:
    """What a formula's names mean; the allow-list's functions and nothing else of ours."""
    from formulaic.transforms import TRANSFORMS

    ours = {"log1p": np.log1p, "sqrt": np.sqrt, "abs": np.abs, "log2": np.log2}
    return {
        **{name: TRANSFORMS[name] for name in ("I", "C", "contr", "poly", "center", "scale", "bs", "cr")},
        **ours,
    }


def encode(right: str, frame: pd.DataFrame, codings: Mapping[str, str]) -> Encoding:
    """Columns of the right-hand side for a clean ``frame``; ``codings``: {factor: treatment|sum|...}."""
    import formulaic

    reader: Any = formulaic  # its own types leave out what it accepts
    terms = formulaic_terms(right)
    _check_factors(terms, frame)
    recoded = [_recode(term, frame, codings) for term in terms]
    formula = reader.formula.SimpleFormula(recoded, _ordering="none")
    spec = reader.ModelSpec(formula=formula, na_action="ignore", output="pandas")
    columns = _evaluate(spec, frame, right)
    matrix = _matrix(columns, len(frame))
    structure = columns.model_spec.structure
    names = [_name(column, entry.term, codings) for entry in structure for column in entry.columns]
    _check_finite(matrix, names, frame)
    term_of = np.array([number for number, entry in enumerate(structure) for _ in entry.columns], int)
    reads = tuple(frozenset().union(*map(factor_columns, term.factors)) for term in terms)
    return Encoding(
        columns.model_spec, matrix, tuple(names), _term_names(terms), term_of, reads, _coded(terms)
    )


def without_intercept(coded: Encoding) -> Encoding:
    """The same coding without the intercept's column; raises where the formula has none to leave out."""
    if "(Intercept)" not in coded.names:
        remedy = "Leave `0 +` or `- 1` out of the formula: nothing else changes."
        raise MixflowError(
            Problem(
                "Thresholds take the place of the intercept", value=str(coded.spec.formula), remedy=remedy
            )
        )
    at = coded.names.index("(Intercept)")
    names = (*coded.names[:at], *coded.names[at + 1 :])
    matrix, term_of = np.delete(coded.matrix, at, axis=1), np.delete(coded.term_of, at)
    return replace(coded, matrix=matrix, names=names, term_of=term_of, left_out=at)


def _term_names(terms: list[Any]) -> tuple[str, ...]:
    return tuple(":".join(f.expr for f in term.factors if f.expr != "1") or "(Intercept)" for term in terms)


def _matrix(columns: Any, rows: int) -> np.ndarray:
    return np.asarray(columns, dtype="float64").reshape(rows, -1)


def check_codings(codings: Mapping[str, str], frame: pd.DataFrame) -> None:
    """Raise unless every coding is a known one of a factor that the formula names."""
    problems = Problems()
    factors = [str(name) for name, column in frame.items() if is_factor(column)]
    for name, coding in codings.items():
        if name not in factors:
            known = f"Factors of the formula: {', '.join(factors) or 'none'}."
            problems.add("A coding is for a factor of the formula", column=name, value=coding, remedy=known)
        elif coding not in CONTRASTS:
            known = f"Known codings: {', '.join(sorted(CONTRASTS))}."
            problems.add("This coding of a factor is not known", column=name, value=coding, remedy=known)
    problems.raise_if_any()


def _evaluate(spec: Any, frame: pd.DataFrame, right: str) -> Any:
    try:
        with np.errstate(all="ignore"):
            return spec.get_model_matrix(frame, context=functions())
    except Exception as error:  # functions raise many kinds for one thing: data that do not fit them
        message = str(error).split("\n")[0]
        remedy = "Check the arguments of its functions, and that they are given numbers."
        raise MixflowError(
            Problem(f"This part of the formula does not fit the data: {message}", value=right, remedy=remedy)
        ) from error


def _recode(term: Any, frame: pd.DataFrame, codings: Mapping[str, str]) -> Any:
    from formulaic.parser.types import Factor, Term

    factors = []
    for factor in term.factors:
        if factor.eval_method.value == "lookup" and codings.get(factor.expr, "treatment") != "treatment":
            factor = Factor(f"C(`{factor.expr}`, contr.{codings[factor.expr]})", eval_method="python")
        factors.append(factor)
    return Term(factors)


def _name(column: str, term: Any, codings: Mapping[str, str]) -> str:
    """`AD[AD]` for formulaic's `AD[T.AD]`, whatever the coding of the factor."""
    if not [factor for factor in term.factors if factor.expr != "1"]:
        return "(Intercept)"
    for name, coding in codings.items():
        column = column.replace(f"C(`{name}`, contr.{coding})", name).replace(
            f"C({name}, contr.{coding})", name
        )
    return _WHOLE_NUMBER.sub(r"[\1]", _CODING_MARK.sub("[", column))


def _coded(terms: list[Any]) -> frozenset[str]:
    """Columns of numbers that stand inside ``C( )``: factors by the formula's word."""
    factors = [f for term in terms for f in term.factors if f.expr.startswith("C(")]
    return frozenset().union(*(factor_columns(f) for f in factors))


def _check_factors(terms: list[Any], frame: pd.DataFrame) -> None:
    problems = []
    for factor in dict.fromkeys(f for term in terms for f in term.factors):
        for name in factor_columns(factor):
            column = series(frame, name)
            if not is_factor(column):
                continue
            function = factor.eval_method.value == "python" and not factor.expr.startswith("C(")
            if function and "==" not in factor.expr and "!=" not in factor.expr:
                problems.append(_text_in_function(factor, name, column))
            if column.nunique() < 2:
                problems.append(_one_level(name, column))
    if problems:
        raise MixflowError(dict.fromkeys(problems))


def _text_in_function(factor: Any, name: str, column: pd.Series) -> Problem:
    message = f"{factor_text(factor)} needs numbers, and this column holds text"
    remedy = "Declare it as type: number, or use the column without the function."
    return Problem(message, column=name, value=str(column.iloc[0]), remedy=remedy)


def _one_level(name: str, column: pd.Series) -> Problem:
    message = "A factor of the formula has one level in the samples used"
    remedy = "Drop it from the formula, or use more samples."
    return Problem(message, column=name, value=str(column.iloc[0]), remedy=remedy)


def _check_finite(matrix: np.ndarray, names: list[str], frame: pd.DataFrame) -> None:
    problems = []
    for number in np.flatnonzero(~np.isfinite(matrix).all(axis=0)):
        row = int(np.flatnonzero(~np.isfinite(matrix[:, number]))[0])
        message = f"'{names[number]}' is not a finite number in sample '{frame.index[row]}'"
        remedy = "Check the values that the function is given (the log of 0 or of a negative number?)."
        problems.append(
            Problem(message, column=names[number], value=float(matrix[row, number]), remedy=remedy)
        )
    if problems:
        raise MixflowError(problems)


def evaluate(expression: str, frame: pd.DataFrame, finite: bool = True) -> np.ndarray:
    """Value (n,) of a checked expression such as an offset or a response; raises if it is not ``finite``."""
    variables(expression)  # refuses what is not harmless, also in Terms made by hand
    plain, aliases = python(expression)
    names: dict[str, Any] = {str(name): column for name, column in frame.items()}
    names |= {alias: frame[name] for alias, name in aliases.items()}
    context = {**functions(), "log": np.log, "log10": np.log10, "exp": np.exp, **names, "__builtins__": {}}
    try:
        with np.errstate(all="ignore"):
            value = eval(plain, context)
        column = np.broadcast_to(np.asarray(value, dtype="float64"), (len(frame),)).copy()
    except (TypeError, ValueError, ArithmeticError) as error:
        remedy = "It needs columns of numbers."
        raise MixflowError(
            Problem(f"Cannot compute this: {error}", value=expression, remedy=remedy)
        ) from error
    if finite:
        _check_finite(column[:, None], [expression], frame)
    return column
