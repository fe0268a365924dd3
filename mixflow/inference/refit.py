"""A fit beside all that made it, so that it can be made again: on other values, or as another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.covariance import Known
from mixflow.design import Design, build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.model.some import take
from mixflow.optimise.fitting import fit_features


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the values were fitted, beside what fit and design say.

    ``weights``: prior weights (n,) or (N, n), or None; ``options``: further arguments of `fit_features`.
    """

    weights: np.ndarray | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit, its design, the values fitted (N, n) with NaN where missing, and the recipe."""

    fit: Fit
    design: Design
    values: np.ndarray
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def observed(self) -> np.ndarray:
        """Which values count: finite ones of positive weight. Bool (N, n)."""
        seen = np.isfinite(self.values)
        return seen if self.recipe.weights is None else seen & (self.recipe.weights > 0)

    def take(self, rows: np.ndarray) -> Fitted:
        """Some of the features."""
        weights = self.recipe.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[rows]
        return Fitted(
            take(self.fit, rows), self.design, self.values[rows], replace(self.recipe, weights=weights)
        )

    def refit(self, design: Design | None = None, *, reml: bool | None = None) -> Fitted:
        """The same values fitted again: by ML or REML, or with another design of the same rows."""
        design = design or self.design
        reml = self.fit.reml if reml is None else reml
        return Fitted(self.fit_values(design, self.values, reml=reml), design, self.values, self.recipe)

    def fit_values(
        self, design: Design, values: np.ndarray, *, reml: bool, rows: np.ndarray | None = None
    ) -> Fit:
        """Fit ``values`` (M, n) as the recipe says; ``rows`` (M,): each one's feature."""
        weights = self.recipe.weights
        ids = self.fit.feature_ids if rows is None else self.fit.feature_ids[rows]
        if rows is not None and weights is not None and weights.ndim == 2:
            weights = weights[rows]
        options = dict(self.recipe.options)
        return fit_features(design, values, ids, reml=reml, weights=weights, modes=False, **options)


def same_rows(formula: str, design: Design) -> Design:
    """The design of another formula on the rows of ``design``; it may name columns of that design only.

    Residual structure and known relationships of levels stay as they are.
    """
    terms = parse(formula)
    keys = design.keys[[name for name in design.keys if name not in design.frame]]
    frame = pd.concat([design.frame, keys], axis=1)
    unknown = sorted(terms.variables - {str(name) for name in frame})
    if unknown:
        known = f"Columns of the model: {', '.join(map(str, frame))}."
        message = "The simpler formula names columns that the model does not have"
        raise MixflowError(Problem(message, column="formula", value=", ".join(unknown), remedy=known))
    relationship = {t.group: t for t in design.random if isinstance(t.within, Known)}
    found = build(terms, frame)
    random = tuple(
        replace(t, covariance=relationship[t.group].covariance, within=relationship[t.group].within)
        if t.group in relationship
        else t
        for t in found.random
    )
    return replace(found, random=random, residual=design.residual)
