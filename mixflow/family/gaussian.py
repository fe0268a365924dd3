"""The normal distribution, by mean and standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family, first_outside, weighted_moments
from mixflow.family.links import IDENTITY, Link
from mixflow.family.special import HALF_LOG_2PI


@dataclass(frozen=True)
class Gaussian(Family):
    """y ~ N(mu, sigma^2), the dispersion predictor is log sigma. With identity link the marginal is exact."""

    name = "gaussian"
    words = "Gaussian"
    spread = "φ is the residual standard deviation"
    links = ("identity", "log", "inverse")
    location_scale = True
    filler = (0.0,)
    mu: Link = IDENTITY

    predictors = MEAN_AND_DISPERSION

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        z = (y[0] - self.mu.inverse(eta[0])) * jnp.exp(-eta[1])
        return -0.5 * z * z - eta[1] - HALF_LOG_2PI

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.exp(2 * eta[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jax.scipy.special.ndtr((y[0] - self.mu.inverse(eta[0])) * jnp.exp(-eta[1]))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return (self.mu.inverse(eta[0]) + jnp.exp(eta[1]) * jax.random.normal(key))[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        return start_of_real(self.mu, y[:, 0], weight), jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        return finite_only(y[:, 0], self.name)


def start_of_real(link: Link, y: jax.Array, weight: jax.Array) -> jax.Array:
    """(link(mean), log sd); a mean outside the link's range is moved to a tenth of the sd."""
    mean, variance = weighted_moments(y, weight)
    sd = jnp.sqrt(jnp.maximum(variance, 1e-12 * mean**2 + 1e-300))
    if link.name != "identity":
        mean = jnp.maximum(mean, 0.1 * sd)
    return jnp.stack([link.link(mean), jnp.log(sd)])


def finite_only(y: np.ndarray, family: str) -> str | None:
    """A sentence where a value is infinite."""
    found = first_outside(y, np.isinf(y))
    if found is None:
        return None
    return f"{family} needs finite numbers; {found} is none: leave it empty where the value is missing"
