"""The residual side: covariance of a unit's rows given the random effects, relative to sigma^2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.combination import Combination
from mixflow.covariance.correlation import Correlation
from mixflow.linalg.ldl import ldl


@dataclass(frozen=True)
class Residual:
    """R = D C D: C the correlation of the unit's positions, D = diag(exp(x' delta)) (nlme's varIdent, varExp).

    theta holds the correlation's parameters, then delta (``n_dispersion``). Rows lie in ``levels`` x
    ``units`` x ``rows`` (padded): units of correlated rows within the levels of the leading group.
    ``combination``: R^-1 as a sum of fixed forms, where it is one of few.
    """

    correlation: Correlation | None
    n_dispersion: int
    levels: int
    units: int
    rows: int
    combination: Combination | None = None

    @property
    def n_correlation(self) -> int:
        """Parameters of the correlation."""
        return self.correlation.n_params if self.correlation else 0

    @property
    def n_params(self) -> int:
        return self.n_correlation + self.n_dispersion

    @property
    def start(self) -> np.ndarray:
        own = self.correlation.start() if self.correlation else np.zeros(0)
        return np.concatenate([own, np.zeros(self.n_dispersion)])

    @property
    def even(self) -> np.ndarray:
        own = self.correlation.even if self.correlation else np.zeros(0, dtype=bool)
        return np.concatenate([own, np.zeros(self.n_dispersion, dtype=bool)])

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """The representative of each theta. (N, n_params) -> the same."""
        return np.where(self.even, np.abs(theta), theta)

    def log_sd(self, theta: jax.Array, dispersion: jax.Array) -> jax.Array:
        """log of each row's sd relative to sigma. dispersion (..., d) -> (...)."""
        return dispersion @ theta[self.n_correlation :]

    def factor(
        self, theta: jax.Array, where: jax.Array, log_sd: jax.Array, seen: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """L and D of one unit's covariance (T, T), rows not observed cut out of the covariance itself."""
        assert self.correlation is not None
        sd = jnp.exp(log_sd) * seen
        matrix = self.correlation.matrix(theta[: self.n_correlation], where)
        return ldl(sd[:, None] * matrix * sd[None, :] + jnp.diag(1.0 - seen))

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """Correlation's natural parameters, and ratios of standard deviations exp(delta). (N, n_params)."""
        c = self.n_correlation
        own = self.correlation.natural(theta[:, :c]) if self.correlation else theta[:, :0]
        return np.concatenate([own, np.exp(theta[:, c:])], axis=1)
