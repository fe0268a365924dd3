"""log Phi and log(Phi(b) - Phi(a)) for any arguments."""

from __future__ import annotations

import math

from mixflow.backend import jax, jnp
from mixflow.family.special import HALF_LOG_2PI, log_one_minus_exp

_TAIL = -10.0


def _fraction(z: jax.Array, first: int) -> jax.Array:
    """z + first / (z + (first + 1) / (z + ...)), Laplace's continued fraction; first = 1: phi(z) / Phi(-z)."""
    fraction = z
    for k in range(first + 15, first - 1, -1):
        fraction = z + k / fraction
    return fraction


@jax.custom_jvp
def log_normal_cdf(x: jax.Array) -> jax.Array:
    """log Phi(x)."""
    tail = jnp.minimum(x, _TAIL)
    half = jnp.log(0.5 * jax.lax.erfc(-jnp.clip(x, _TAIL, 0.0) * math.sqrt(0.5)))
    above = jnp.log1p(-0.5 * jax.lax.erfc(jnp.maximum(x, 0.0) * math.sqrt(0.5)))
    low = -0.5 * tail * tail + log_normal_tail(tail)
    return jnp.where(x < _TAIL, low, jnp.where(x < 0, half, above))


@jax.custom_jvp
def mills(x: jax.Array) -> jax.Array:
    """phi(x) / Phi(x)."""
    within = jnp.maximum(x, _TAIL)
    direct = jnp.exp(-0.5 * within * within - HALF_LOG_2PI - log_normal_cdf(within))
    return jnp.where(x < _TAIL, _fraction(-jnp.minimum(x, _TAIL), 1), direct)


@jax.custom_jvp
def _beyond(x: jax.Array) -> jax.Array:
    """x + phi(x) / Phi(x), about -1 / x far below zero."""
    return jnp.where(x < _TAIL, 1.0 / _fraction(-jnp.minimum(x, _TAIL), 2), x + mills(jnp.maximum(x, _TAIL)))


@log_normal_cdf.defjvp
def _log_normal_cdf_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return log_normal_cdf(primals[0]), mills(primals[0]) * tangents[0]


@mills.defjvp
def _mills_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    value = mills(primals[0])
    return value, -value * _beyond(primals[0]) * tangents[0]


@_beyond.defjvp
def _beyond_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    value = _beyond(primals[0])
    return value, (1.0 - mills(primals[0]) * value) * tangents[0]


@jax.custom_jvp
def log_normal_tail(x: jax.Array) -> jax.Array:
    """log Phi(x) + x^2 / 2 for x <= -10."""
    return -HALF_LOG_2PI - jnp.log(_fraction(-x, 1))


@log_normal_tail.defjvp
def _log_normal_tail_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return log_normal_tail(primals[0]), _beyond(primals[0]) * tangents[0]


def log_normal_between(lower: jax.Array, log_length: jax.Array) -> jax.Array:
    """log(Phi(lower + length) - Phi(lower)), length = exp(log_length), with no digit lost in either tail.

    A short interval by its middle, a long one by its ends, mirrored so that it lies below zero as far as it can.
    """
    length = jnp.exp(log_length)
    middle = lower + 0.5 * length
    top = jnp.where(middle <= 0, lower + length, -lower)
    short = length * (1.0 + jnp.abs(middle)) < 0.02
    near = _short(jnp.where(short, middle, 0.0), jnp.where(short, log_length, -10.0))
    far = _long(jnp.where(short, 0.0, top), jnp.where(short, 1.0, length))
    return jnp.where(short, near, far)


def _short(middle: jax.Array, log_length: jax.Array) -> jax.Array:
    """Cumulants of the density's exponent over the interval (error of sixth order)."""
    h2 = 0.25 * jnp.exp(2.0 * log_length)
    m2 = middle * middle
    curve = h2 * (m2 - 1.0) / 6.0 + h2 * h2 * (1 / 90 - m2 / 45 - m2 * m2 / 180)
    return log_length - 0.5 * m2 - HALF_LOG_2PI + curve


def _long(top: jax.Array, length: jax.Array) -> jax.Array:
    """log Phi(top) + log(1 - Phi(top - length) / Phi(top)); in the tail the ratio by Mills' ratios."""
    in_tail = top < _TAIL
    high, some = jnp.where(in_tail, top, _TAIL - 1.0), jnp.where(in_tail, length, 1.0)
    tail = some * (0.5 * some - high) + log_normal_tail(high) - log_normal_tail(high - some)
    u = jnp.where(in_tail, 0.0, top)
    middle = log_normal_cdf(u) - log_normal_cdf(u - jnp.where(in_tail, 1.0, length))
    return log_normal_cdf(top) + log_one_minus_exp(jnp.log(jnp.where(in_tail, tail, middle)))
