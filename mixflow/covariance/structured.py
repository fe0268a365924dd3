"""A random effect at each of k positions, correlated by a structure: glmmTMB's ar1, ou, cs and homcs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.base import Covariance
from mixflow.covariance.correlation import Correlation


@dataclass(frozen=True)
class Structured(Covariance):
    """Lambda = diag(sd) root(C(theta)): one relative sd for all k positions, or (``hetero``) one for each.

    theta holds the standard deviations, then the correlation's parameters; ``where``: the k positions. The
    one sd is a number that may be zero; sds of their own are logarithms, since the sign of one among several
    would change the covariance.
    """

    correlation: Correlation
    where: tuple[float, ...]
    hetero: bool = False

    @property
    def n_sds(self) -> int:
        """Standard deviations in theta."""
        return self.size if self.hetero else 1

    @property
    def n_params(self) -> int:
        return self.n_sds + self.correlation.n_params

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        sds = tuple(f"log sd {term}" for term in terms) if self.hetero else ("sd",)
        return (*sds, *self.correlation.names(tuple(terms)))

    def start(self) -> np.ndarray:
        sds = np.zeros(self.n_sds) if self.hetero else np.ones(1)
        return np.concatenate([sds, self.correlation.start()])

    def factor(self, theta: jax.Array) -> jax.Array:
        root = self.correlation.root(theta[self.n_sds :], jnp.asarray(self.where))
        sd = jnp.exp(theta[: self.n_sds]) if self.hetero else jnp.broadcast_to(theta[0], (self.size,))
        return sd[:, None] * root

    @property
    def boundary(self) -> np.ndarray:
        return np.concatenate([np.full(self.n_sds, not self.hetero), self.correlation.boundary])

    @property
    def even(self) -> np.ndarray:
        return np.concatenate([np.full(self.n_sds, not self.hetero), self.correlation.even])

    @property
    def hangs_on(self) -> np.ndarray:
        silenced = np.full(self.correlation.n_params, -1 if self.hetero else 0)
        return np.concatenate([np.full(self.n_sds, -1), silenced])

    @property
    def tied(self) -> bool:
        return True

    def scales(self, rms: np.ndarray) -> np.ndarray:
        return np.ones(self.size)  # columns mark positions: they are of one scale as they are

    def scaling(self, columns: np.ndarray) -> np.ndarray:
        return np.ones(self.n_params)

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """Even parameters non-negative; the correlation at its start where an sd of zero hides it."""
        out = np.where(self.even, np.abs(theta), theta)
        return np.where((out[:, :1] == 0) & (self.hangs_on == 0), self.start(), out)

    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        return np.asarray(jax.vmap(self.factor)(jnp.asarray(theta)))
