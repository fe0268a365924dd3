"""Structures with one variance for all columns: theta times a fixed factor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.base import Covariance


@dataclass(frozen=True)
class Pooled(Covariance):
    """Lambda = theta L with a fixed L (k, k): one parameter, shown as one variance component."""

    @property
    @abstractmethod
    def fixed(self) -> np.ndarray:
        """L, lower triangular. (k, k)."""

    @property
    @abstractmethod
    def diagonal(self) -> np.ndarray:
        """Diagonal of L L': the columns' variances over theta^2. (k,)."""

    @property
    def n_params(self) -> int:
        return 1

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        return (terms[0],)

    def start(self) -> np.ndarray:
        return np.ones(1)

    def factor(self, theta: jax.Array) -> jax.Array:
        return theta[0] * jnp.asarray(self.fixed)

    @property
    def boundary(self) -> np.ndarray:
        return np.ones(1, dtype=bool)

    @property
    def even(self) -> np.ndarray:
        return np.ones(1, dtype=bool)

    @property
    def tied(self) -> bool:
        return True

    def scales(self, rms: np.ndarray) -> np.ndarray:
        """One divisor for all columns, after which a row's mean variance is theta^2. (k,)."""
        whole = float(np.sqrt((rms**2 * self.diagonal).sum()))
        return np.full(self.size, whole if whole > 0 else 1.0)

    def scaling(self, columns: np.ndarray) -> np.ndarray:
        return columns[:1]

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        return np.abs(theta)

    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        return theta[:, :, None] * self.fixed
