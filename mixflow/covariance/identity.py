"""Independent, each with the variance that is factored out: no parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.base import Covariance


@dataclass(frozen=True)
class Identity(Covariance):
    """The identity of any size: residuals of independent rows, levels that know nothing of each other."""

    @property
    def n_params(self) -> int:
        return 0

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        return ()

    def start(self) -> np.ndarray:
        return np.zeros(0)

    def factor(self, theta: jax.Array) -> jax.Array:
        return jnp.eye(self.size)

    @property
    def boundary(self) -> np.ndarray:
        return np.zeros(0, dtype=bool)

    @property
    def even(self) -> np.ndarray:
        return np.zeros(0, dtype=bool)

    def scaling(self, columns: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        return theta

    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.eye(self.size), (len(theta), self.size, self.size))
