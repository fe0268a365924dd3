"""Small functions whose values and first three derivatives stay finite and right at the extremes.

Where a formula has two regimes, both sides of ``where`` get arguments of their own regime, since a NaN of the side
not taken would leak into derivatives. Nothing here calls a log-gamma primitive: its derivatives (zeta series) cost
fifty times the Stirling series below, and differences of it lose all digits for large arguments.
"""

from __future__ import annotations

import math

from mixflow.backend import jax, jnp

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_SHIFT = 8.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_RISING = (5040.0, 13068.0, 13132.0, 6769.0, 1960.0, 322.0, 28.0, 1.0)
"""Coefficients of (x + 1)(x + 2)...(x + 7)."""
_TINY_POWER = -15.0


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + e^x) for any x; its derivative is the logistic function."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (t,) = primals, tangents
    return softplus(x), jax.lax.logistic(x) * t


def log_softplus(x: jax.Array) -> jax.Array:
    """log log(1 + e^x) for any x; nearly x where x is far below zero."""
    low = x < _TINY_POWER
    w = jnp.exp(jnp.where(low, x, _TINY_POWER))
    small = x + w * (-0.5 + w * (5 / 24 - w / 8))
    return jnp.where(low, small, jnp.log(softplus(jnp.where(low, 0.0, x))))


def log_one_minus_exp(log_t: jax.Array) -> jax.Array:
    """log(1 - e^-t), t = exp(log_t), for any log_t: the log probability of an event with log hazard ``log_t``."""
    low, high = log_t < -3.0, log_t > 4.0
    t = jnp.exp(jnp.where(low, log_t, -3.0))
    series = log_t - t / 2 + t**2 * (1 / 24 + t**2 * (-1 / 2880 + t**2 * (1 / 181440 - t**2 / 9676800)))
    middle = jnp.exp(jnp.where(low | high, 0.0, log_t))
    direct = jnp.log(-jnp.expm1(-middle))
    # Beyond e^4 the value is -e^-t, at most 2e-24.
    return jnp.where(low, series, jnp.where(high, 0.0, direct))


def log_expm1(log_t: jax.Array) -> jax.Array:
    """log(e^t - 1), t = exp(log_t)."""
    return jnp.exp(log_t) + log_one_minus_exp(log_t)


def log1p_ratio(x: jax.Array) -> jax.Array:
    """log(1 + x) / x for x > -1, one at zero."""
    small = jnp.abs(x) < 1e-2
    s = jnp.where(small, x, 0.0)
    series = jnp.zeros_like(s)
    for k in range(9, 0, -1):
        series = 1.0 / k - s * series
    z = jnp.where(small, 1.0, x)
    return jnp.where(small, series, jnp.log1p(z) / z)


def expm1_ratio(x: jax.Array) -> jax.Array:
    """(e^x - 1) / x, one at zero."""
    small = jnp.abs(x) < 0.05
    s = jnp.where(small, x, 0.0)
    series = jnp.ones_like(s)
    for k in range(9, 1, -1):
        series = 1.0 + s * series / k
    z = jnp.where(small, 1.0, x)
    return jnp.where(small, series, jnp.expm1(z) / z)


def poisson_gap(d: jax.Array) -> jax.Array:
    """d + e^-d - 1, half d squared near zero: y times it is the half deviance of a Poisson, d = log(y / mu)."""
    small = jnp.abs(d) < 0.05
    s = jnp.where(small, d, 0.0)
    series = jnp.ones_like(s)
    for k in range(10, 2, -1):
        series = 1.0 - s * series / k
    z = jnp.where(small, 1.0, d)
    return jnp.where(small, 0.5 * s * s * series, z + jnp.expm1(-z))


def stirling_error(x: jax.Array) -> jax.Array:
    """log Gamma(x) - ((x - 1/2) log x - x + log(2 pi)/2) for x >= 8, to full precision (Stirling's series)."""
    inverse = 1.0 / x
    square = inverse * inverse
    total = jnp.full_like(square, _STIRLING[-1])
    for coefficient in _STIRLING[-2::-1]:
        total = coefficient + square * total
    return inverse * total


def gamma_excess(x: jax.Array, log_x: jax.Array) -> jax.Array:
    """log Gamma(x) - x log x + x for x > 0, given x and its logarithm.

    Small x is shifted by 8, with log x itself as given, so that nothing divides by a tiny x.
    """
    small = x < _SHIFT
    y = jnp.where(small, x, 1.0)
    log_y = jnp.where(small, log_x, 0.0)
    rising = jnp.full_like(y, _RISING[-1])
    for coefficient in _RISING[-2::-1]:
        rising = coefficient + y * rising
    shifted = jnp.where(small, x + _SHIFT, x)
    log_shifted = jnp.log(shifted)
    low = (shifted - 0.5) * log_shifted - _SHIFT - y * log_y - jnp.log(rising) - log_y
    # `low` takes Gamma(x) = Gamma(x + 8) / (x (x + 1) ... (x + 7)).
    return jnp.where(small, low, -0.5 * log_shifted) + HALF_LOG_2PI + stirling_error(shifted)


def log_gamma(x: jax.Array, log_x: jax.Array) -> jax.Array:
    """log Gamma(x) for x > 0, given x and its logarithm."""
    return gamma_excess(x, log_x) + x * (log_x - 1.0)


def factorial_excess(y: jax.Array) -> jax.Array:
    """log y! - y log y + y for y >= 0; zero at zero. Minus it is the log Poisson density at mean y."""
    positive = jnp.maximum(y, 1e-300)
    log_y = jnp.log(positive)
    return jnp.where(y > 0, gamma_excess(positive, log_y) + log_y, 0.0)


def log_factorial(y: jax.Array) -> jax.Array:
    """log y! for y >= 0."""
    positive = jnp.where(y > 0, y, 1.0)
    return factorial_excess(y) + jnp.where(y > 0, y * (jnp.log(positive) - 1.0), 0.0)


def log_choose(n: jax.Array, y: jax.Array) -> jax.Array:
    """log of n over y, 0 <= y <= n."""
    return factorial_excess(n) - factorial_excess(y) - factorial_excess(n - y) + _entropy(n, y)


def _entropy(n: jax.Array, y: jax.Array) -> jax.Array:
    """n log n - y log y - (n - y) log(n - y)."""
    return times_log_ratio(y, n) + times_log_ratio(n - y, n)


def times_log_ratio(y: jax.Array, n: jax.Array) -> jax.Array:
    """y log(n / y), zero at y = 0."""
    safe = jnp.where(y > 0, y, 1.0)
    return jnp.where(y > 0, y * jnp.log(jnp.where(y > 0, n, 1.0) / safe), 0.0)


@jax.custom_jvp
def _log_normal_middle(x: jax.Array) -> jax.Array:
    below = jnp.log(0.5 * jax.lax.erfc(-jnp.minimum(x, 0.0) * math.sqrt(0.5)))
    above = jnp.log1p(-0.5 * jax.lax.erfc(jnp.maximum(x, 0.0) * math.sqrt(0.5)))
    return jnp.where(x < 0, below, above)


@_log_normal_middle.defjvp
def _log_normal_middle_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (t,) = primals, tangents
    value = _log_normal_middle(x)
    return value, jnp.exp(-0.5 * x * x - HALF_LOG_2PI - value) * t


def log_normal_tail(x: jax.Array) -> jax.Array:
    """log Phi(x) + x^2 / 2 for x <= -10, by Laplace's continued fraction of Mills' ratio."""
    z = fraction = -x
    for k in range(16, 0, -1):
        fraction = z + k / fraction
    return -HALF_LOG_2PI - jnp.log(fraction)


def log_normal_cdf(x: jax.Array) -> jax.Array:
    """log Phi(x) for any x; far below zero in a form whose derivatives keep their digits."""
    low = x < -10.0
    tail = jnp.where(low, x, -10.0)
    return jnp.where(
        low, -0.5 * tail * tail + log_normal_tail(tail), _log_normal_middle(jnp.where(low, 0.0, x))
    )


def log_add(a: jax.Array, b: jax.Array) -> jax.Array:
    """log(e^a + e^b) of finite a and b."""
    above = b > a
    return jnp.where(above, b, a) + softplus(jnp.where(above, a - b, b - a))
