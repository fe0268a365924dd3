"""log(F(upper) - F(lower)) for the distributions that links are named after, with no digit lost in either tail.

The interval is given by one end and the logarithm of its length, since both ends may round to the same number.
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.family.links import Link
from mixflow.family.special import (
    HALF_LOG_2PI,
    log_expm1,
    log_normal_cdf,
    log_normal_tail,
    log_one_minus_exp,
    softplus,
)


def log_between(link: Link, lower: jax.Array, log_length: jax.Array) -> jax.Array:
    """log(F(lower + e^log_length) - F(lower)), F the inverse of a logit, probit or cloglog link."""
    return _BETWEEN[link.name](lower, log_length)


def _logistic(lower: jax.Array, log_length: jax.Array) -> jax.Array:
    """F(b) - F(a) = F(b) (1 - F(a)) (1 - e^-(b - a))."""
    upper = lower + jnp.exp(log_length)
    return -softplus(-upper) - softplus(lower) + log_one_minus_exp(log_length)


def _gompertz(lower: jax.Array, log_length: jax.Array) -> jax.Array:
    """exp(-e^a) (1 - exp(-e^a (e^(b - a) - 1)))."""
    return -jnp.exp(lower) + log_one_minus_exp(lower + log_expm1(log_length))


def _normal(lower: jax.Array, log_length: jax.Array) -> jax.Array:
    """A short interval by its middle, a long one by its ends, mirrored so that it lies below zero as far as it can."""
    length = jnp.exp(log_length)
    middle = lower + 0.5 * length
    below = middle <= 0
    top = jnp.where(below, lower + length, -lower)
    short = length * (1.0 + jnp.abs(middle)) < 0.02
    near = _normal_short(jnp.where(short, middle, 0.0), jnp.where(short, log_length, -10.0))
    far = _normal_long(jnp.where(short, 0.0, top), jnp.where(short, 1.0, length))
    return jnp.where(short, near, far)


def _normal_short(middle: jax.Array, log_length: jax.Array) -> jax.Array:
    """Cumulants of the density's exponent over the interval (error of sixth order)."""
    h2 = 0.25 * jnp.exp(2.0 * log_length)
    m2 = middle * middle
    curve = h2 * (m2 - 1.0) / 6.0 + h2 * h2 * (1 / 90 - m2 / 45 - m2 * m2 / 180)
    return log_length - 0.5 * m2 - HALF_LOG_2PI + curve


def _normal_long(top: jax.Array, length: jax.Array) -> jax.Array:
    """log Phi(top) + log(1 - Phi(top - length) / Phi(top)); in the tail the ratio by Mills' ratios."""
    in_tail = top < -10.0
    high = jnp.where(in_tail, top, -11.0)
    some = jnp.where(in_tail, length, 1.0)
    tail = some * (0.5 * some - high) + log_normal_tail(high) - log_normal_tail(high - some)
    u = jnp.where(in_tail, 0.0, top)
    middle = log_normal_cdf(u) - log_normal_cdf(u - jnp.where(in_tail, 1.0, length))
    return log_normal_cdf(top) + log_one_minus_exp(jnp.log(jnp.where(in_tail, tail, middle)))


_BETWEEN = {"logit": _logistic, "probit": _normal, "cloglog": _gompertz}
