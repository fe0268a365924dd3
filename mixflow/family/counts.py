"""What all count families share: their support and how their negative binomial density is computed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.custom_derivatives import SymbolicZero

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, first_outside
from mixflow.family.gammas import gamma_excess, log_factorial_excess
from mixflow.family.special import log1p_ratio, log_add, log_softplus, poisson_gap, softplus

_NONE = -2000.0
"""log of a count of zero: e^-2000 is zero beside anything."""


@dataclass(frozen=True)
class CountFamily(Family):
    """Whole numbers from 0 upwards."""

    discrete = True

    @property
    def ratio(self) -> str:
        """A ratio of means of counts is one of rates, per what an offset says."""
        return rate_ratio(self)

    @abstractmethod
    def log_none(self, eta: Any, own: jax.Array) -> jax.Array:
        """log P(Y = 0)."""

    def constant(self, y: jax.Array) -> jax.Array:
        """Minus the log Poisson density at mean y, which these densities have in common."""
        return -log_factorial_excess(y[0])

    @abstractmethod
    def upper(self, y: jax.Array, eta: jax.Array) -> jax.Array:
        """P(Y > y), with its own relative precision."""

    def problems(self, y: np.ndarray) -> str | None:
        return counts_only(y[:, 0], self.name)


def poisson_log_kernel(y: jax.Array, log_mu: jax.Array) -> jax.Array:
    """Minus half the deviance (Loader, 2000): no digits are lost at counts of 1e9."""
    some = y > 0
    safe = jnp.where(some, y, 1.0)
    half_deviance = safe * poisson_gap(jnp.where(some, jnp.log(safe) - log_mu, 0.0))
    at_zero = -jnp.exp(jnp.where(some, 0.0, log_mu))
    return jnp.where(some, -half_deviance, at_zero)


@jax.custom_jvp
def negative_binomial_log_kernel(y: jax.Array, log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """Mean mu, variance mu + mu^2 / size. Goes over into the Poisson as size grows, without a seam.

    log f = log f at mu = y, minus half the deviance, y log(y / mu) - (y + size) log((y + size) / (mu + size)); here
    without what hangs on y alone.
    """
    some = y > 0
    safe = jnp.where(some, y, 1.0)
    log_y = jnp.log(safe)
    deviance, log_sum = _half_deviance(safe, log_y, jnp.where(some, log_mu, 0.0), log_size)
    saturated = gamma_excess(log_sum) - gamma_excess(log_size)
    return jnp.where(some, saturated - deviance, log_none(log_mu, log_size))


def _negative_binomial_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """By log mu: (y - mu) size / (size + mu). y is data: no derivative is taken by it.

    A direction that is zero for certain costs nothing: the slope by log size is the dear one.
    """
    y, log_mu, log_size = primals
    slope = jnp.zeros_like(log_mu)
    if not isinstance(tangents[1], SymbolicZero):
        slope = slope + _by_log_mu(y, log_mu, log_size) * tangents[1]
    if not isinstance(tangents[2], SymbolicZero):
        slope = slope + _by_log_size(y, log_mu, log_size) * tangents[2]
    return negative_binomial_log_kernel(y, log_mu, log_size), slope


negative_binomial_log_kernel.defjvp(_negative_binomial_jvp, symbolic_zeros=True)


def _by_log_mu(y: jax.Array, log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    return (y - jnp.exp(log_mu)) * jax.lax.logistic(log_size - log_mu)


def _by_log_size(y: jax.Array, log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """size (psi(size + y) - psi(size) + log(size / (size + mu)) + (mu - y) / (size + mu)).

    As what the gamma functions leave, and size (log(1 - z) + z), z = (mu - y) / (size + mu).
    """
    log_y = jnp.where(y > 0, jnp.log(jnp.where(y > 0, y, 1.0)), _NONE)
    log_all, log_sum = log_add(log_size, log_mu), log_add(log_size, log_y)
    left = gamma_excess(log_sum, 1) * jnp.exp(log_size - log_sum) - gamma_excess(log_size, 1)
    return left + _rest_by_log_size(y, log_mu, log_size, log_y - log_all, log_sum - log_all)


def _rest_by_log_size(
    y: jax.Array, log_mu: jax.Array, log_size: jax.Array, log_share: jax.Array, log_ratio: jax.Array
) -> jax.Array:
    """size (log(1 - z) + z); ``log_share`` of y and ``log_ratio`` of y + size, both over size + mu."""
    near = jnp.abs(log_ratio) < 0.3
    z = jax.lax.logistic(log_mu - log_size) - jnp.exp(jnp.where(near, log_share, 0.0))
    size_z = -_by_log_mu(y, log_mu, log_size)
    close = -size_z * z * log1p_ratio(jnp.where(near, -z, 0.0), 1)
    far = jnp.exp(jnp.where(near, 0.0, log_size)) * log_ratio + size_z
    return jnp.where(near, close, far)


@jax.custom_jvp
def log_none(log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """log P(Y = 0) of a negative binomial: -size log(1 + mu / size)."""
    x = log_mu - log_size
    above = x > 0
    dispersed = jnp.exp(jnp.where(above, log_size, 0.0)) * softplus(jnp.where(above, x, 0.0))
    poisson_like = jnp.exp(jnp.where(above, 0.0, log_mu)) * log1p_ratio(jnp.exp(jnp.where(above, 0.0, x)))
    return -jnp.where(above, dispersed, poisson_like)


def _log_none_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    log_mu, log_size = primals
    slope = jnp.zeros_like(log_mu)
    if not isinstance(tangents[0], SymbolicZero):
        slope = slope - jnp.exp(log_mu) * jax.lax.logistic(log_size - log_mu) * tangents[0]
    if not isinstance(tangents[1], SymbolicZero):
        log_ratio = -softplus(log_mu - log_size)
        none = jnp.zeros_like(log_mu)
        by_size = _rest_by_log_size(none, log_mu, log_size, none + _NONE, log_ratio)
        slope = slope + by_size * tangents[1]
    return log_none(log_mu, log_size), slope


log_none.defjvp(_log_none_jvp, symbolic_zeros=True)


def log_minus_log_none(log_mu: jax.Array, log_size: jax.Array) -> jax.Array:
    """log(-log P(Y = 0)): the log hazard of a count above zero."""
    return log_size + log_softplus(log_mu - log_size)


def _half_deviance(
    y: jax.Array, log_y: jax.Array, log_mu: jax.Array, log_size: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """y log(y / mu) + (y + size) log((mu + size) / (y + size)), and log(y + size); all log arguments but y."""
    d, over_mu, over_y = log_y - log_mu, softplus(log_size - log_mu), softplus(log_size - log_y)
    log_sum = log_y + over_y
    log_ratio = over_mu - over_y - d
    near = jnp.abs(log_ratio) < 0.5
    gap = jnp.expm1(-jnp.where(near, d, 0.0))
    close = y * (d + gap * log1p_ratio(jnp.where(near, jnp.exp(log_y - log_sum) * gap, 0.0)))
    far = y * (over_mu - over_y) + jnp.exp(jnp.where(near, 0.0, log_size)) * log_ratio
    return jnp.where(near, close, far), log_sum


def counts_only(y: np.ndarray, family: str, least: int = 0) -> str | None:
    """A sentence where a value is no whole number from ``least`` upwards."""
    with np.errstate(invalid="ignore"):
        outside = (y < least) | (y != np.floor(y)) | np.isinf(y)
    found = first_outside(y, outside)
    if found is None:
        return None
    kind = "whole numbers from 0 upwards" if least == 0 else f"whole numbers from {least} upwards"
    if least:
        way = "zeros belong to a hurdle: ask for `zi`, or leave rows without a count out"
    else:
        way = "give raw counts, not normalised or transformed ones; offsets take care of exposure"
    return f"{family} needs {kind}; {found} is none: {way}"


def rate_ratio(family: Family) -> str:
    """What exp of a difference of two predictors of a count is."""
    return "rate ratio" if family.predictors[0].link.ratio else ""
