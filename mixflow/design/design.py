"""Terms met with a sample sheet: `Design`, the same for all features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mixflow.covariance import Covariance, Homogeneous
from mixflow.design import orthogonal
from mixflow.design.frame import Clean, as_column, check_columns, clean, is_factor, series
from mixflow.design.grid import Variable, level_number, variables
from mixflow.design.positional import POSITIONAL, positional
from mixflow.design.positions import Positions
from mixflow.design.relationship import check_relationship, known
from mixflow.design.residual import ResidualColumns, residual_columns
from mixflow.design.smooth import SmoothBasis, smooth_basis, with_smooths
from mixflow.design.terms import Encoding, check_codings, encode, evaluate, without_intercept
from mixflow.errors import MixflowError, Problem
from mixflow.formula import RandomTerm, Terms
from mixflow.formula.allowed import variables as expression_columns
from mixflow.formula.fixed import columns
from mixflow.formula.residual import ResidualTerm


@dataclass(frozen=True, eq=False)
class RandomColumns:
    """A random term met with data: n rows, k columns, q levels.

    ``group`` as shown (``site:transect``), ``factors`` it is made of, ``terms`` names of the columns,
    ``levels`` (q), ``index`` (n,) int32 level of each row, ``Z`` (n, k), ``covariance`` its name, ``within``
    the structure itself where it needs more than k.
    """

    group: str
    factors: tuple[str, ...]
    terms: tuple[str, ...]
    levels: tuple[str, ...]
    index: np.ndarray
    Z: np.ndarray
    covariance: str
    encoding: Encoding | Positions | SmoothBasis
    within: Covariance | None = None


@dataclass(frozen=True, eq=False)
class Design:
    """Everything about the samples that a model needs; n rows, p coefficients.

    ``X`` (n, p) in the formula's coordinates, X = Q R with orthonormal Q (n, p), zero where a column depends
    on earlier ones, and invertible R (p, p). ``term_of_coef`` (p,): number of each coefficient's term.
    ``rows``: positions of the frame's rows that are used; ``labels`` their labels, ``dropped`` the others'.
    ``variables``: facts of the fixed part's variables for a reference grid; ``keys``: the grouping factors.
    """

    terms: Terms
    coef_names: tuple[str, ...]
    X: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    term_names: tuple[str, ...]
    term_of_coef: np.ndarray
    random: tuple[RandomColumns, ...]
    offset: np.ndarray
    response: np.ndarray | None
    rows: np.ndarray
    labels: tuple[str, ...]
    dropped: tuple[str, ...]
    variables: tuple[Variable, ...]
    frame: pd.DataFrame
    encoding: Encoding
    residual: ResidualColumns | None = None
    keys: pd.DataFrame = field(default_factory=pd.DataFrame)
    smooths: tuple[SmoothBasis, ...] = ()

    @property
    def rank(self) -> int:
        """Number of independent columns of X."""
        return int((self.Q != 0).any(axis=0).sum())

    @property
    def dependent(self) -> tuple[str, ...]:
        """Coefficients whose column is a combination of earlier ones."""
        return tuple(name for name, q in zip(self.coef_names, self.Q.T, strict=True) if not q.any())

    def variable(self, name: str) -> Variable:
        """Facts of a variable of the fixed part; raises with the known ones."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        known = f"Variables of the fixed part: {', '.join(v.name for v in self.variables) or 'none'}."
        raise MixflowError(
            Problem("The fixed part of the formula has no such variable", column=name, remedy=known)
        )

    def matrix(self, new: pd.DataFrame) -> np.ndarray:
        """Rows of X (m, p) for new data, which must have the fixed part's columns without gaps."""
        return self.encoding.rows(self._like(new, [v.name for v in self.variables]))

    def offsets(self, new: pd.DataFrame) -> np.ndarray:
        """Offset (m,) of new data."""
        needed = sorted(frozenset().union(*map(expression_columns, self.terms.offset)))
        return _offset(self.terms, self._like(new, needed))

    def _like(self, new: pd.DataFrame, names: list[str]) -> pd.DataFrame:
        check_columns(new, names)
        columns = {name: _like(series(new, name), series(self.frame, name)) for name in names}
        return pd.DataFrame(columns, index=new.index)


def build(
    terms: Terms,
    frame: pd.DataFrame,
    contrasts: Mapping[str, str] | None = None,
    *,
    residual: ResidualTerm | None = None,
    dispersion: Terms | None = None,
    relationship: Mapping[str, pd.DataFrame] | None = None,
) -> Design:
    """Meet ``terms`` with the columns of ``frame`` (one row a sample).

    Rows with a missing value in any column of the formula are left out, then levels that no row uses.
    Factors: Categorical (first category is the reference), text (sorted), yes/no; all else are numbers.
    ``contrasts``: {factor: treatment|sum|helmert|diff|poly}, treatment by default. ``residual``: correlation
    of the rows of a unit; ``dispersion``: columns that the residual standard deviation hangs on.
    Raises MixflowError for unknown columns, factors with one level, an empty table, values not finite.
    """
    codings = dict(contrasts or {})
    keys = {f for term in terms.random for f in term.group} | {*(residual.group if residual else ())}
    table = clean(frame, _values(terms) | _residual_values(residual, dispersion), keys)
    check_codings(codings, table.columns)
    fixed = encode(terms.fixed, table.columns, codings)
    if not fixed.names:
        remedy = "Keep the intercept or add a column."
        raise MixflowError(Problem("The formula has no fixed effect", value=terms.text, remedy=remedy))
    if terms.thresholds:
        fixed = without_intercept(fixed)
    bases = tuple(smooth_basis(term, table.columns) for term in terms.smooths)
    fixed = with_smooths(fixed, bases, table.columns)
    read = dict.fromkeys((*columns(terms.fixed), *(name for basis in bases for name in sorted(basis.reads))))
    related = dict(relationship or {})
    check_relationship(related, terms.random)
    q, r = orthogonal.factor(fixed.matrix)
    return Design(
        terms=terms,
        coef_names=fixed.names,
        X=fixed.matrix,
        Q=q,
        R=r,
        term_names=fixed.term_names,
        term_of_coef=fixed.term_of,
        random=(
            *(_related(_random(term, table, codings), related) for term in terms.random),
            *(_smooth(basis, table.columns) for basis in bases),
        ),
        offset=_offset(terms, table.columns),
        response=None if terms.response is None else evaluate(terms.response, table.columns),
        rows=table.rows,
        labels=tuple(map(str, table.columns.index.tolist())),
        dropped=table.dropped,
        variables=variables(table.columns, tuple(read), fixed.coded),
        frame=table.columns,
        encoding=fixed,
        smooths=bases,
        residual=residual_columns(residual, dispersion, table.columns, table.keys, codings),
        keys=table.keys,
    )


def _residual_values(residual: ResidualTerm | None, dispersion: Terms | None) -> set[str]:
    """Columns whose values the residual side needs."""
    found = set(columns(dispersion.fixed)) if dispersion else set()
    return found | ({residual.position} if residual and residual.position else set())


def _values(terms: Terms) -> set[str]:
    """Columns whose values matter (a grouping factor's do not, unless it stands elsewhere too)."""
    found = set(columns(terms.fixed))
    for term in terms.random:
        found |= {*columns(term.columns)}
    for expression in (*terms.offset, *([terms.response] if terms.response else [])):
        found |= expression_columns(expression)
    for smooth in terms.smooths:
        found |= expression_columns(smooth.variable) | ({smooth.by} if smooth.by else set())
    return found


def _offset(terms: Terms, frame: pd.DataFrame) -> np.ndarray:
    total = np.zeros(len(frame))
    for expression in terms.offset:
        total += evaluate(expression, frame)
    return total


def _random(term: RandomTerm, table: Clean, codings: Mapping[str, str]) -> RandomColumns:
    within: Covariance | None = None
    encoding: Encoding | Positions
    if term.covariance in POSITIONAL:
        encoding, matrix, within = positional(term, table.columns)
    else:
        encoding = encode(term.columns, table.columns, codings)
        matrix = encoding.matrix
    levels, index = _levels([series(table.keys, name) for name in term.group])
    if len(levels) < 2:
        remedy = "Drop the term, or use more samples."
        message = "A grouping factor has one level in the samples used"
        raise MixflowError(Problem(message, column=term.group_name, value=", ".join(levels), remedy=remedy))
    return RandomColumns(
        term.group_name, term.group, encoding.names, levels, index, matrix, term.covariance, encoding, within
    )


def _related(columns: RandomColumns, related: Mapping[str, pd.DataFrame]) -> RandomColumns:
    """The term with the known covariance of its levels, where one is given."""
    if columns.group not in related:
        return columns
    within = known(columns.group, related[columns.group], columns.levels)
    return replace(columns, covariance="known", within=within)


def _smooth(basis: SmoothBasis, frame: pd.DataFrame) -> RandomColumns:
    """The random part of a smooth: one level, or those of the factor it is taken by."""
    z = basis.rows(frame)
    names = tuple(f"basis{number + 1}" for number in range(z.shape[1]))
    factors, levels, index = (), ("",), np.zeros(len(frame), dtype=np.int32)
    if basis.levels:
        factors, levels = (str(basis.term.by),), basis.levels
        index = series(frame, factors[0]).cat.codes.to_numpy().astype(np.int32)
    within = Homogeneous(z.shape[1])
    return RandomColumns(basis.name, factors, names, levels, index, z, "smooth", basis, within)


def _levels(keys: Sequence[pd.Series]) -> tuple[tuple[str, ...], np.ndarray]:
    """Observed combinations of the factors' levels, in the order of the levels, and each row's number."""
    names = [key.cat.categories.tolist() for key in keys]
    widths = tuple(len(own) for own in names)
    cell = np.ravel_multi_index([key.cat.codes.to_numpy().astype(np.int64) for key in keys], widths)
    seen, index = np.unique(cell, return_inverse=True)
    codes = (own.tolist() for own in np.unravel_index(seen, widths))
    parts = ([own[code] for code in some] for own, some in zip(names, codes, strict=True))
    return tuple(map(":".join, zip(*parts, strict=True))), index.reshape(-1).astype(np.int32)


def _like(new: pd.Series, old: pd.Series) -> pd.Series:
    """The new column with the kind and levels of the old one."""
    column = as_column(new) if not is_factor(old) or is_factor(new) else new.astype(object)
    if column.isna().any():
        raise MixflowError(
            Problem("New data may not have gaps", column=str(new.name), remedy="Fill or drop them.")
        )
    if not is_factor(old):
        if is_factor(column):
            raise MixflowError(
                Problem("A number is needed here", column=str(new.name), value=str(column.iloc[0]))
            )
        return column
    levels = tuple(old.cat.categories)
    known = Variable(str(old.name), "factor", levels, levels, float("nan"))
    codes = [level_number(known, level) for level in column]
    return pd.Series(
        pd.Categorical.from_codes(codes, categories=list(levels)), index=new.index, name=new.name
    )
