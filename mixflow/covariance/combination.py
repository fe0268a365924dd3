"""Residual covariances whose inverse is a sum of fixed forms with coefficients that hang on theta.

R(theta)^-1 = sum_j c_j(theta) B_j and log|R(theta)| = sum_i n_i l_i(theta), where neither the forms B_j nor the
counts n_i know of theta. Cross-products by each B_j are then computed once, as those of independent rows are,
and theta costs a sum of few matrices where it else costs a factorisation of every unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.correlation import AR1, OrnsteinUhlenbeck


@dataclass(frozen=True)
class Combination(ABC):
    """Coefficients of the forms and logarithms of the counts. Frozen and hashable, as `Correlation`."""

    @property
    @abstractmethod
    def n_forms(self) -> int:
        """Number of forms B_j, the identity of the observed rows first."""

    @property
    @abstractmethod
    def n_lead(self) -> int:
        """How many of them, from the first on, the columns of the leading group need: the rest are zero there."""

    @property
    @abstractmethod
    def n_counts(self) -> int:
        """Number of counts n_i."""

    @abstractmethod
    def coefficients(self, theta: jax.Array) -> jax.Array:
        """c(theta). (parameters of the residual side,) -> (n_forms,); traced by JAX."""

    @abstractmethod
    def log_factors(self, theta: jax.Array) -> jax.Array:
        """l(theta). (parameters of the residual side,) -> (n_counts,)."""


@dataclass(frozen=True)
class Neighbours(Combination):
    """AR(1) and OU: Markov in the observed rows of a unit, whose correlation is a^(gap) between neighbours.

    With r_s, r_t two neighbouring observed rows at a gap d and a = corr(r_s, r_t),

        R^-1 = I + sum_d sum_pairs [ a / (2 (1 - a)) (r_t - r_s)(r_t - r_s)' - a / (2 (1 + a)) (r_t + r_s)(r_t + r_s)' ]

    which is the tridiagonal inverse (Rue and Held 2005, Gaussian Markov Random Fields, section 1.1.1) written
    so that no coefficient cancels another as a nears 1 or -1. ``gaps``: distances that occur, ascending.
    Forms: identity, sums of neighbours by gap, differences of neighbours by gap. ``level``: columns of the
    leading group are constant within a unit, as an intercept's, so that their differences are zero.
    """

    correlation: AR1 | OrnsteinUhlenbeck
    gaps: tuple[float, ...]
    level: bool

    @property
    def n_forms(self) -> int:
        return 1 + 2 * len(self.gaps)

    @property
    def n_lead(self) -> int:
        return 1 + len(self.gaps) * (1 if self.level else 2)

    @property
    def n_counts(self) -> int:
        return len(self.gaps)

    def coefficients(self, theta: jax.Array) -> jax.Array:
        a = self._neighbour(theta)
        return jnp.concatenate([jnp.ones(1), -0.5 * a / (1.0 + a), 0.5 * a / (1.0 - a)])

    def log_factors(self, theta: jax.Array) -> jax.Array:
        a = self._neighbour(theta)
        return jnp.log1p(-a * a)

    def _neighbour(self, theta: jax.Array) -> jax.Array:
        """Correlation of two rows at each gap. (D,)."""
        return self.correlation.apart(theta, np.asarray(self.gaps))


@dataclass(frozen=True)
class Spread(Combination):
    """Independent residuals with log sd = x' delta, for few different x: R^-1 = I + sum_j (exp(-2 x_j' delta) - 1) I_j.

    ``kinds``: the different x but zero; I_j marks the rows that have x_j.
    """

    kinds: tuple[tuple[float, ...], ...]

    @property
    def n_forms(self) -> int:
        return 1 + len(self.kinds)

    @property
    def n_lead(self) -> int:
        return self.n_forms

    @property
    def n_counts(self) -> int:
        return len(self.kinds)

    def coefficients(self, theta: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.ones(1), jnp.expm1(-self.log_factors(theta))])

    def log_factors(self, theta: jax.Array) -> jax.Array:
        return 2.0 * (jnp.asarray(np.asarray(self.kinds)) @ theta)
