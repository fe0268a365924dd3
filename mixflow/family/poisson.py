"""The Poisson distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mixflow.backend import jax, jnp
from mixflow.family.base import Predictor, log_mean, only_inside, weighted_moments
from mixflow.family.counts import CountFamily, poisson_log_kernel
from mixflow.family.links import LOG, Link


@dataclass(frozen=True)
class Poisson(CountFamily):
    """Counts with variance mu."""

    name = "poisson"
    words = "Poisson"
    links = ("log", "sqrt", "identity")
    mu: Link = LOG

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("mu", self.mu),)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.log_kernel(y, eta, own) + self.constant(y)

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        return only_inside(inside, poisson_log_kernel(y[0], log_mu))

    def log_none(self, eta: Any, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        return only_inside(inside, -jnp.exp(log_mu))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jax.scipy.special.gammaincc(y[0] + 1.0, self.mu.inverse(eta[0]))

    def upper(self, y: jax.Array, eta: jax.Array) -> jax.Array:
        return jax.scipy.special.gammainc(y[0] + 1.0, self.mu.inverse(eta[0]))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jax.random.poisson(key, self.mu.inverse(eta))[:1].astype(eta.dtype)

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, _ = weighted_moments(y[:, 0], weight)
        return self.mu.link(mean + 0.1)[None], jnp.zeros(0)
