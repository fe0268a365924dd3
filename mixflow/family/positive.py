"""Positive continuous responses: Gamma and log-normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import (
    MEAN_AND_DISPERSION,
    Family,
    first_outside,
    log_mean,
    only_inside,
    weighted_moments,
)
from mixflow.family.gammas import gamma_excess
from mixflow.family.links import LOG, Link
from mixflow.family.special import HALF_LOG_2PI, log_softplus, softplus


@dataclass(frozen=True)
class Gamma(Family):
    """Mean mu and variance mu^2 / phi: phi = exp(dispersion predictor) is the shape, as in glmmTMB.

    Its default link is the log. R's is the inverse, which asks for positive predictors; normal random effects do
    not keep to that.
    """

    name = "Gamma"
    words = "gamma"
    spread = "variance μ² / φ"
    links = ("log", "inverse", "identity")
    without_zero = True
    mu: Link = LOG

    predictors = MEAN_AND_DISPERSION

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        log_y, shape = jnp.log(y[0]), jnp.exp(eta[1])
        d = log_y - log_mu
        return only_inside(inside, -shape * (jnp.expm1(d) - d) - gamma_excess(eta[1]) - log_y)

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0]) ** 2 * jnp.exp(-eta[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        shape = jnp.exp(eta[1])
        return jax.scipy.special.gammainc(shape, shape * jnp.maximum(y[0], 0.0) / self.mu.inverse(eta[0]))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, _ = log_mean(self.mu, eta[0])
        return positive(log_mu + jax.random.loggamma(key, jnp.exp(eta[1])) - eta[1])

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, variance = weighted_moments(y[:, 0], weight)
        mean = jnp.where(mean > 0, mean, 1.0)
        squared = variance / mean**2
        return jnp.stack([self.mu.link(mean), -jnp.log(squared + 1e-6)]), jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        return positive_only(y[:, 0], self.name)


@dataclass(frozen=True)
class LogNormal(Family):
    """log y is normal; mu is the mean of y and phi = exp(dispersion predictor) its standard deviation.

    The parametrisation of glmmTMB (1.1.6 and later): log y has variance log(1 + phi^2 / mu^2).
    """

    name = "lognormal"
    words = "log-normal"
    spread = "φ is the standard deviation of the response"
    links = ("log", "inverse", "identity")
    without_zero = True
    mu: Link = LOG

    predictors = MEAN_AND_DISPERSION

    def _standardised(self, y: jax.Array, log_mu: jax.Array, log_sd: jax.Array) -> tuple[jax.Array, ...]:
        """(log y - its mean) / its sd, and the log of its sd."""
        ratio = 2.0 * (log_sd - log_mu)
        half_log_variance = 0.5 * log_softplus(ratio)
        return (jnp.log(y) - log_mu + 0.5 * softplus(ratio)) * jnp.exp(-half_log_variance), half_log_variance

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, inside = log_mean(self.mu, eta[0])
        z, log_sd = self._standardised(y[0], log_mu, eta[1])
        return only_inside(inside, -0.5 * z * z - log_sd - HALF_LOG_2PI - jnp.log(y[0]))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.exp(2 * eta[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, _ = log_mean(self.mu, eta[0])
        some = y[0] > 0
        z, _ = self._standardised(jnp.where(some, y[0], 1.0), log_mu, eta[1])
        return jnp.where(some, jax.scipy.special.ndtr(z), 0.0)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        log_mu, _ = log_mean(self.mu, eta[0])
        variance = softplus(2.0 * (eta[1] - log_mu))
        return positive(log_mu - 0.5 * variance + jnp.sqrt(variance) * jax.random.normal(key))

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, variance = weighted_moments(y[:, 0], weight)
        mean = jnp.where(mean > 0, mean, 1.0)
        return jnp.stack([self.mu.link(mean), 0.5 * jnp.log(variance + 1e-6 * mean**2)]), jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        return positive_only(y[:, 0], self.name)


def positive(log_y: jax.Array) -> jax.Array:
    """exp(log_y) (1,), never rounded to zero."""
    return jnp.exp(jnp.maximum(log_y, -700.0))[None]


def positive_only(y: np.ndarray, family: str) -> str | None:
    """A sentence where a value is not a positive number."""
    with np.errstate(invalid="ignore"):
        found = first_outside(y, (y <= 0) | np.isinf(y))
    if found is None:
        return None
    return (
        f"{family} needs positive numbers; {found} is none: zeros that mean 'nothing there' belong to a hurdle "
        "(ask for `zi`) or a tweedie model, values below a detection limit to a censored one"
    )
