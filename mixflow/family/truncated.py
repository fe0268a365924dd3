"""Counts without zeros: the second part of a hurdle, as glmmTMB's truncated families."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, Predictor, weighted_moments
from mixflow.family.counts import CountFamily, counts_only, log_minus_log_none, rate_ratio
from mixflow.family.links import LOG, Link
from mixflow.family.nbinom import NegativeBinomial, NegativeBinomial1, NegativeBinomial2
from mixflow.family.poisson import Poisson
from mixflow.family.special import log_one_minus_exp


@dataclass(frozen=True)
class Truncated(Family):
    """A count family given that the count is not zero; mu and phi are those of the whole distribution."""

    links = ("log",)
    discrete = True
    without_zero = True
    mu: Link = LOG

    @property
    def ratio(self) -> str:
        return rate_ratio(self)

    @property
    @abstractmethod
    def whole(self) -> CountFamily:
        """The distribution with its zeros."""

    @abstractmethod
    def log_hazard(self, eta: jax.Array) -> jax.Array:
        """log(-log P(0)) of the whole distribution."""

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return self.whole.predictors

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.log_kernel(y, eta, own) + self.constant(y)

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        return self.whole.log_kernel(y, eta, own) - log_one_minus_exp(self.log_hazard(eta))

    def constant(self, y: jax.Array) -> jax.Array:
        return self.whole.constant(y)

    def _some(self, eta: jax.Array) -> jax.Array:
        """P(Y > 0) of the whole distribution."""
        return jnp.exp(log_one_minus_exp(self.log_hazard(eta)))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.whole.mean(eta, own) / self._some(eta)

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        mu, mean = self.whole.mean(eta, own), self.mean(eta, own)
        return (self.whole.variance(y, eta, own) + mu * mu) / self._some(eta) - mean * mean

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return 1.0 - self.whole.upper(y, eta) / self._some(eta)

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """That of the whole distribution, its mean m from the observed by m = observed (1 - exp(-m)) once."""
        mean, _ = weighted_moments(y[:, 0], weight)
        eta, own = self.whole.start(y, weight)
        above = jnp.maximum(mean - 1.0, 0.05)
        return eta.at[0].set(jnp.log(above + above / (1.0 + above))), own

    def problems(self, y: np.ndarray) -> str | None:
        return counts_only(y[:, 0], self.name, least=1)


@dataclass(frozen=True)
class TruncatedPoisson(Truncated):
    """Poisson counts above zero."""

    name = "truncated_poisson"
    words = "zero-truncated Poisson"

    @property
    def whole(self) -> Poisson:
        return Poisson(self.mu)

    def log_hazard(self, eta: jax.Array) -> jax.Array:
        return eta[0]

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        of_first, of_rest = jax.random.split(key)
        first = first_arrival(of_first, jnp.exp(eta[0]))
        rest = jax.random.poisson(of_rest, jnp.maximum(jnp.exp(eta[0]) - first, 0.0))
        return (1.0 + rest.astype(eta.dtype))[None]


@dataclass(frozen=True)
class TruncatedNegativeBinomial(Truncated):
    """Negative binomial counts above zero."""

    @property
    @abstractmethod
    def whole(self) -> NegativeBinomial: ...

    def log_hazard(self, eta: jax.Array) -> jax.Array:
        return log_minus_log_none(eta[0], self.whole.log_size(eta[0], eta[1]))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """A negative binomial is a Poisson number of clusters of logarithmic size (Quenouille, 1949)."""
        of_first, of_cluster, of_rest = jax.random.split(key, 3)
        log_size = self.whole.log_size(eta[0], eta[1])
        hazard = jnp.exp(self.log_hazard(eta))
        left = jnp.maximum(1.0 - first_arrival(of_first, hazard) / hazard, 1e-300)
        cluster = logarithmic(of_cluster, eta[0] - log_size)
        rest_size = NegativeBinomial2().simulate(
            of_rest, y, jnp.stack([eta[0] + jnp.log(left), log_size + jnp.log(left)]), own
        )
        return cluster + rest_size


@dataclass(frozen=True)
class TruncatedNegativeBinomial1(TruncatedNegativeBinomial):
    """Those with variance linear in the mean."""

    name = "truncated_nbinom1"
    words = "zero-truncated negative binomial (variance linear in the mean)"
    simpler = "zero-truncated Poisson"
    spread = "variance μ (1 + φ) before truncation"

    @property
    def whole(self) -> NegativeBinomial1:
        return NegativeBinomial1(self.mu)


@dataclass(frozen=True)
class TruncatedNegativeBinomial2(TruncatedNegativeBinomial):
    """Those with variance quadratic in the mean."""

    name = "truncated_nbinom2"
    words = "zero-truncated negative binomial"
    simpler = "zero-truncated Poisson"
    spread = "variance μ + μ² / φ before truncation"

    @property
    def whole(self) -> NegativeBinomial2:
        return NegativeBinomial2(self.mu)


def first_arrival(key: jax.Array, rate: jax.Array) -> jax.Array:
    """When the first event of a Poisson process came, of `rate` time units, given that there was one."""
    u = jax.random.uniform(key, dtype=rate.dtype)
    return -jnp.log1p(u * jnp.expm1(-rate))


def logarithmic(key: jax.Array, log_odds: jax.Array) -> jax.Array:
    """A draw of the logarithmic distribution, of which q / (1 - q) is given by its logarithm (Kemp, 1981)."""
    u, v = jax.random.uniform(key, (2,), dtype=log_odds.dtype)
    log_rest = -jnp.logaddexp(0.0, log_odds)
    log_q_of_u = jnp.log(-jnp.expm1(u * log_rest))
    draw = jnp.floor(1.0 + jnp.log(v) / log_q_of_u)
    return jnp.where(jnp.isfinite(draw), draw, 1.0)
