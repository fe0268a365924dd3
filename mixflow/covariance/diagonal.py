"""Independent effects, each with a variance of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.base import Covariance


@dataclass(frozen=True)
class Diagonal(Covariance):
    """theta holds the k relative standard deviations."""

    @property
    def n_params(self) -> int:
        return self.size

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        return tuple(terms)

    def start(self) -> np.ndarray:
        return np.ones(self.size)

    def factor(self, theta: jax.Array) -> jax.Array:
        return jnp.diag(theta)

    @property
    def boundary(self) -> np.ndarray:
        return np.ones(self.size, dtype=bool)

    @property
    def even(self) -> np.ndarray:
        return np.ones(self.size, dtype=bool)

    def scaling(self, columns: np.ndarray) -> np.ndarray:
        return columns

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        return np.abs(theta)

    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        return theta[:, :, None] * np.eye(self.size)
