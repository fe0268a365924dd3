"""The negative binomial distributions, as glmmTMB has them: the dispersion predictor is log phi."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, log_mean, only_inside, weighted_moments
from mixflow.family.counts import CountFamily, log_none, negative_binomial_log_kernel
from mixflow.family.links import LOG, Link

_LARGE_SIZE = 1e9
"""Size beyond which the distribution function is the Poisson's (the incomplete beta function gives up there)."""


@dataclass(frozen=True)
class NegativeBinomial(CountFamily):
    """Counts with variance mu + mu^2 / size."""

    links = ("log", "sqrt", "identity")
    mu: Link = LOG

    predictors = MEAN_AND_DISPERSION

    @abstractmethod
    def log_size(self, log_mu: jax.Array, log_phi: jax.Array) -> jax.Array:
        """log of the size."""

    @abstractmethod
    def log_phi_start(self, mean: jax.Array, excess: jax.Array) -> jax.Array:
        """log phi by moments, of the mean and the variance beyond it (positive)."""

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.log_kernel(y, eta, own) + self.constant(y)

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        return only_inside(inside, negative_binomial_log_kernel(y[0], log_mu, self.log_size(log_mu, eta[1])))

    def log_none(self, eta: Any, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        return only_inside(inside, log_none(log_mu, self.log_size(log_mu, eta[1])))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, _ = log_mean(self.mu, eta[0])
        return jnp.exp(log_mu) + jnp.exp(2 * log_mu - self.log_size(log_mu, eta[1]))

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        mu, size, p, _, large = self._tails(eta)
        poisson = jax.scipy.special.gammaincc(y[0] + 1.0, mu)
        return jnp.where(large, poisson, jax.scipy.special.betainc(size, y[0] + 1.0, p))

    def upper(self, y: jax.Array, eta: jax.Array) -> jax.Array:
        mu, size, _, q, large = self._tails(eta)
        poisson = jax.scipy.special.gammainc(y[0] + 1.0, mu)
        return jnp.where(large, poisson, jax.scipy.special.betainc(y[0] + 1.0, size, q))

    def _tails(self, eta: jax.Array) -> tuple[jax.Array, ...]:
        """mu, size (1 where large), size / (size + mu), mu / (size + mu), whether the size is large."""
        log_mu, _ = log_mean(self.mu, eta[0])
        log_size = self.log_size(log_mu, eta[1])
        large = log_size > jnp.log(_LARGE_SIZE)
        x = log_mu - log_size
        size = jnp.exp(jnp.where(large, 0.0, log_size))
        return jnp.exp(log_mu), size, jax.lax.logistic(-x), jax.lax.logistic(x), large

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, _ = log_mean(self.mu, eta[0])
        log_size = self.log_size(log_mu, eta[1])
        of_rate, of_count = jax.random.split(key)
        log_rate = log_mu + jax.random.loggamma(of_rate, jnp.exp(log_size)) - log_size
        return jax.random.poisson(of_count, jnp.exp(log_rate)).astype(eta.dtype)[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, variance = weighted_moments(y[:, 0], weight)
        mean = mean + 0.1
        excess = jnp.maximum(variance - mean, 0.02 * mean)
        return jnp.stack([self.mu.link(mean), self.log_phi_start(mean, excess)]), jnp.zeros(0)


@dataclass(frozen=True)
class NegativeBinomial1(NegativeBinomial):
    """Variance mu (1 + phi): linear in the mean."""

    name = "nbinom1"
    words = "negative binomial (variance linear in the mean)"
    simpler = "Poisson"
    spread = "variance μ (1 + φ)"

    def log_size(self, log_mu: jax.Array, log_phi: jax.Array) -> jax.Array:
        return log_mu - log_phi

    def log_phi_start(self, mean: jax.Array, excess: jax.Array) -> jax.Array:
        return jnp.log(excess / mean)


@dataclass(frozen=True)
class NegativeBinomial2(NegativeBinomial):
    """Variance mu + mu^2 / phi: quadratic in the mean."""

    name = "nbinom2"
    words = "negative binomial"
    simpler = "Poisson"
    spread = "variance μ + μ² / φ"

    def log_size(self, log_mu: jax.Array, log_phi: jax.Array) -> jax.Array:
        return log_phi

    def log_phi_start(self, mean: jax.Array, excess: jax.Array) -> jax.Array:
        return jnp.log(mean**2 / excess)
