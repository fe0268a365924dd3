"""What all count families share: their support and how their negative binomial density is computed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, first_outside
from mixflow.family.special import (
    factorial_excess,
    gamma_excess,
    log1p_ratio,
    log_add,
    log_softplus,
    softplus,
)

_HUGE = 150.0
"""log size beyond which a negative binomial is a Poisson, whatever the count."""


@dataclass(frozen=True)
class CountFamily(Family):
    """Whole numbers from 0 upwards."""

    discrete = True

    @abstractmethod
    def upper(self, y: jax.Array, eta: jax.Array) -> jax.Array:
        """P(Y > y), with its own relative precision."""

    def problems(self, y: np.ndarray) -> str | None:
        return counts_only(y[:, 0], self.name)


def poisson_log_density(y: jax.Array, log_mu: jax.Array) -> jax.Array:
    """Saturated density minus half the deviance (Loader, 2000): no digits are lost at counts of 1e9."""
    positive = y > 0
    safe = jnp.where(positive, y, 1.0)
    d = jnp.where(positive, jnp.log(safe) - log_mu, 0.0)
    half_deviance = safe * (d + jnp.expm1(-d))
    at_zero = -jnp.exp(jnp.where(positive, 0.0, log_mu))
    return jnp.where(positive, -half_deviance, at_zero) - factorial_excess(y)


def negative_binomial_log_density(y: jax.Array, log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """Mean mu, variance mu + mu^2 / size. Goes over into the Poisson as size grows, without a seam.

    log f = log f at mu = y, minus half the deviance, y log(y / mu) - (y + size) log((y + size) / (mu + size)).
    """
    positive = y > 0
    safe = jnp.where(positive, y, 1.0)
    log_y = jnp.log(safe)
    mu = jnp.where(positive, log_mu, 0.0)
    size = jnp.where(positive, log_size, 0.0)
    d = log_y - mu
    deviance = safe * d + _logs_of_sums(safe, log_y, d, mu, size)
    value = rise(safe, size) - factorial_excess(safe) - deviance
    return jnp.where(positive, value, log_none(log_mu, log_size))


def log_none(log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """log P(Y = 0) of a negative binomial: -size log(1 + mu / size)."""
    x = log_mu - log_size
    above = x > 0
    dispersed = jnp.exp(jnp.where(above, log_size, 0.0)) * softplus(jnp.where(above, x, 0.0))
    poisson_like = jnp.exp(jnp.where(above, 0.0, log_mu)) * log1p_ratio(jnp.exp(jnp.where(above, 0.0, x)))
    return -jnp.where(above, dispersed, poisson_like)


def log_minus_log_none(log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """log(-log P(Y = 0)): the log hazard of a count above zero."""
    return log_size + log_softplus(log_mu - log_size)


def rise(y: jax.Array, log_size: jax.Array) -> jax.Array:
    """gamma_excess(size + y) - gamma_excess(size), y >= 1; zero where the size is huge."""
    huge = log_size > _HUGE
    low = jnp.where(huge, 0.0, log_size)
    size = jnp.exp(low)
    total = size + y
    return jnp.where(huge, 0.0, gamma_excess(total, jnp.log(total)) - gamma_excess(size, low))


def _logs_of_sums(y: jax.Array, log_y: jax.Array, d: jax.Array, mu: jax.Array, size: jax.Array) -> jax.Array:
    """(y + size) log((mu + size) / (y + size)), all of log arguments but y; d = log(y / mu)."""
    share = jax.lax.logistic(log_y - size)
    log_ratio = log_add(size, mu) - log_add(size, log_y)
    near = jnp.abs(log_ratio) < 0.5
    gap = jnp.expm1(-jnp.where(near, d, 0.0))
    close = y * gap * log1p_ratio(jnp.where(near, share * gap, 0.0))
    bounded = jnp.where(near, 0.0, size)
    far = (y + jnp.exp(bounded)) * jnp.where(near, 0.0, log_ratio)
    return jnp.where(near, close, far)


def counts_only(y: np.ndarray, family: str, least: int = 0) -> str | None:
    """A sentence where a value is no whole number from ``least`` upwards."""
    with np.errstate(invalid="ignore"):
        outside = (y < least) | (y != np.floor(y)) | np.isinf(y)
    found = first_outside(y, outside & ~np.isnan(y))
    if found is None:
        return None
    kind = "whole numbers from 0 upwards" if least == 0 else f"whole numbers from {least} upwards"
    if least:
        way = "zeros belong to a hurdle: ask for `zi`, or leave rows without a count out"
    else:
        way = "give raw counts, not normalised or transformed ones; offsets take care of exposure"
    return f"{family} needs {kind}; {found} is none: {way}"
