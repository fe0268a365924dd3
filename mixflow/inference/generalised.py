"""A fit of a generalised model beside all that made it: what predictions, simulations and refits stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mixflow.design import Design
from mixflow.family import Family
from mixflow.model import Fit
from mixflow.model.some import take
from mixflow.optimise.generalised import fit_generalised


@dataclass(frozen=True, eq=False)
class FittedFamily:
    """A fit, the designs of its predictors by name (mu first), its family, and what was fitted.

    ``y`` (N, n, c): the family's columns, NaN where missing; ``weights`` (n,) or (N, n) or None; ``options``:
    further arguments of `fit_generalised`, so that a refit is the same fit.
    """

    fit: Fit
    designs: Mapping[str, Design]
    family: Family
    y: np.ndarray
    weights: np.ndarray | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def design(self) -> Design:
        """The design of mu."""
        return self.designs["mu"]

    @property
    def observed(self) -> np.ndarray:
        """Which rows count: finite ones of positive weight. Bool (N, n)."""
        seen = ~np.asarray(np.isnan(self.y).any(axis=2))  # an open limit is infinite
        return seen if self.weights is None else seen & (self.weights > 0)

    def take(self, rows: np.ndarray) -> FittedFamily:
        """Some of the features."""
        return replace(self, fit=take(self.fit, rows), y=self.y[rows], weights=self._weights(rows))

    def refit(self, designs: Mapping[str, Design], nodes: np.ndarray | None = None) -> FittedFamily:
        """The same outcomes by other designs of the same rows; ``nodes`` (N,): points of each feature's quadrature.

        By as many points as the fit has, where the designs have one grouping factor; else by Laplace.
        """
        groups = {term.group for design in designs.values() for term in design.random}
        wanted = self.fit.nodes_of_feature if nodes is None else nodes
        options = {**self.options, "nodes": wanted if len(groups) == 1 else 1}
        found = fit_generalised(
            designs, self.family, self.y, self.fit.feature_ids, weights=self.weights, **options
        )
        return replace(self, fit=found, designs=designs)

    def fit_values(self, y: np.ndarray, rows: np.ndarray) -> Fit:
        """The same model fitted to other outcomes (M, n, c); ``rows`` (M,): the feature of each."""
        ids = self.fit.feature_ids[rows]
        options = {"modes": False, **self.options, "nodes": self.fit.nodes_of_feature[rows]}
        return fit_generalised(self.designs, self.family, y, ids, weights=self._weights(rows), **options)

    def _weights(self, rows: np.ndarray) -> np.ndarray | None:
        if self.weights is None or self.weights.ndim == 1:
            return self.weights
        return self.weights[rows]
