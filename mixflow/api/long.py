"""A long table: one row a measurement, each feature with rows of its own (the peptides of a protein)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mixflow.api.opened import Opened
from mixflow.api.result import Result
from mixflow.design import Design, build
from mixflow.design.frame import check_columns, series
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.inference.refit import Fitted, Recipe
from mixflow.inference.weights import prior_weights
from mixflow.optimise.ragged import fit_ragged


@dataclass(frozen=True, eq=False)
class LongFitted(Fitted):
    """A fit of features with their own rows; ``values`` (1, n) and ``feature_of_row`` (n,) by row."""

    feature_of_row: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def refit(self, design: Design | None = None, *, reml: bool | None = None) -> Fitted:
        """The same rows fitted again: by ML or REML, or with another design."""
        design = design or self.design
        fit = fit_ragged(
            design,
            self.values[0],
            self.feature_of_row,
            self.fit.feature_ids,
            reml=self.fit.reml if reml is None else reml,
            weights=self.recipe.weights,
        )
        return replace(self, fit=fit, design=design)


@dataclass(frozen=True, eq=False, repr=False)
class LongResult(Result):
    """Result of a long table: ``values`` (1, n), ``feature_of_row`` (n,) the number of each row's feature.

    Tables, contrasts, means and likelihood-ratio tests are those of `Result`. ``random_effects`` has the
    groups whose levels features share (runs), not those nested in a feature (its peptides).
    """

    feature_of_row: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    @property
    def fitted(self) -> Fitted:
        """The fit as inference needs it."""
        return LongFitted(self.model, self.design, self.values, self.recipe, self.feature_of_row)

    def predict(self, new_data: pd.DataFrame | None = None) -> pd.DataFrame:
        """Not for a long table: the modes of levels nested in a feature are not kept."""
        raise _not_here("Predictions")

    def simulate(self, seed: int, replicates: int = 1, conditional: bool = False) -> pd.DataFrame:
        """Not for a long table."""
        raise _not_here("Simulated values")

    def r2(self) -> pd.DataFrame:
        """Not for a long table."""
        raise _not_here("R2")


def _not_here(what: str) -> MixflowError:
    remedy = "Fit the rows of one feature alone with `mixflow.fit('y ~ ...', data=rows)`."
    return MixflowError(Problem(f"{what} are not made where each feature has its own rows", remedy=remedy))


def not_long(data: pd.DataFrame | Opened, *structures: object) -> None:
    """Raise where ``feature`` is asked for with a store, or with a structure that long tables do not take."""
    if isinstance(data, Opened):
        remedy = "Leave out `feature`: every feature of a store is fitted."
        raise MixflowError(Problem("`feature` is for long tables", column="feature", remedy=remedy))
    if any(structure is not None for structure in structures):
        message = "Features with their own rows take no residual structure, known variances or relationship"
        raise MixflowError(Problem(message, column="feature", remedy="Leave these options out."))


def fit_long(
    formula: str,
    data: pd.DataFrame,
    feature: str,
    response: str | None,
    *,
    reml: bool,
    weights: str | None,
    contrasts: Mapping[str, str] | None,
    df: str,
    kr: bool,
) -> LongResult:
    """`mixflow.fit` for a long table: ``feature`` names the column of features.

    The response stands on the left of the formula, or is the column ``response``; rows without it are left
    out. A feature keeps its place in the tables even where none of its rows can be used.
    """
    terms = parse(formula)
    if (terms.response is None) == (response is None):
        message = "Name the response once: on the left of the formula, or by `response`"
        raise MixflowError(Problem(message, column="response", value=response))
    check_columns(data, [feature, *([response] if response else [])])
    codes, ids = _features(series(data, feature))
    kept = np.ones(len(data), dtype=bool)
    if response is not None:
        kept = _numbers(data, response).notna().to_numpy()
    frame = data[kept]
    design = build(terms, frame, contrasts)
    y = design.response if response is None else _numbers(frame, response).to_numpy()[design.rows]
    feature_of_row = codes[kept][design.rows]
    used = prior_weights(frame, weights, design)
    y = np.asarray(y, dtype=float)
    found = fit_ragged(design, y, feature_of_row, ids, reml=reml, weights=used, kr=kr)
    return LongResult(found, design, y[None, :], Recipe(used), df, feature_of_row)


def _features(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's feature, and the features' names in the order of their first rows."""
    codes, names = pd.factorize(column)
    if (codes < 0).any():
        label = column.index[int(np.flatnonzero(codes < 0)[0])]
        remedy = "Drop the row, or name its feature."
        raise MixflowError(Problem(f"Row {label} names no feature", column=str(column.name), remedy=remedy))
    return codes, np.asarray(names, dtype=object)


def _numbers(data: pd.DataFrame, name: str) -> pd.Series:
    """The response as numbers, missing where empty; raises for text and infinite values."""
    column = series(data, name)
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = (numbers.isna() & column.notna()) | np.isinf(numbers)
    if wrong.any():
        label, value = column.index[wrong][0], column[wrong].iloc[0]
        message = f"The response needs finite numbers (row {label})"
        remedy = "Leave missing values empty; an intensity of 0 has no logarithm."
        raise MixflowError(Problem(message, column=name, value=value, remedy=remedy))
    return numbers
