"""log Gamma less its leading terms, with derivatives of any order by the logarithm of its argument."""

from __future__ import annotations

import math

from mixflow.backend import jax, jnp
from mixflow.family.special import HALF_LOG_2PI, with_rule

_SHIFT = 8
_LOG_SHIFT = math.log(_SHIFT)
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_RISING = (5040.0, 13068.0, 13132.0, 6769.0, 1960.0, 322.0, 28.0, 1.0)
"""Coefficients of (x + 1)(x + 2)...(x + 7)."""
_PARTITIONS = ((1,), (1, 1), (1, 3, 1), (1, 7, 6, 1), (1, 15, 25, 10, 1), (1, 31, 90, 65, 15, 1))
"""Stirling numbers of the second kind: (x d/dx)^n = sum_m S(n, m) x^m d^m / dx^m."""


@with_rule(1)
def gamma_excess(log_x: jax.Array, order: int = 0) -> jax.Array:
    """log Gamma(x) - x log x + x by log x, for any log x, or its derivative by log x of this order (up to 6).

    By Stirling's series from x = 8 upwards (to 1e-15); below it through Gamma(x) = Gamma(x + 8) / (x ... (x + 7)).
    """
    small = log_x < _LOG_SHIFT
    low, high = jnp.where(small, log_x, 0.0), jnp.where(small, _LOG_SHIFT, log_x)
    below = _excess_below(low) if order == 0 else _slope_below(low, order)
    above = _series(jnp.exp(-high), [(-(2.0 * k + 1)) ** order for k in range(len(_STIRLING))])
    if order == 0:
        above = above + HALF_LOG_2PI - 0.5 * high
    return jnp.where(small, below, above - 0.5 if order == 1 else above)


@gamma_excess.defjvp
def _gamma_excess_jvp(order: int, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return gamma_excess(primals[0], order), gamma_excess(primals[0], order + 1) * tangents[0]


def _series(inverse: jax.Array, factors: list[float]) -> jax.Array:
    """sum_k factor_k c_k inverse^(2 k + 1), c the coefficients of Stirling's series."""
    square = inverse * inverse
    total = jnp.zeros_like(square)
    for coefficient, factor in zip(_STIRLING[::-1], factors[::-1], strict=True):
        total = coefficient * factor + square * total
    return inverse * total


def _excess_below(log_x: jax.Array) -> jax.Array:
    x = jnp.exp(log_x)
    shifted = x + _SHIFT
    rising = jnp.zeros_like(x)
    for coefficient in _RISING[::-1]:
        rising = coefficient + x * rising
    at_shifted = (shifted - 0.5) * jnp.log(shifted) + _series(1.0 / shifted, [1.0] * len(_STIRLING))
    return at_shifted + HALF_LOG_2PI - _SHIFT - (x + 1.0) * log_x - jnp.log(rising)


def _slope_below(log_x: jax.Array, order: int) -> jax.Array:
    """sum_m S(order, m) x^m psi^(m - 1)(x), less the same of x log x - x."""
    x = jnp.exp(log_x)
    shifted = x + _SHIFT
    inverse = 1.0 / shifted
    ratio = x * inverse
    shares = [x / (x + k) for k in range(1, _SHIFT)]
    total = -(order - 1.0) * x
    for m, ways in enumerate(_PARTITIONS[order - 1], start=1):
        total = total + ways * (-1.0) ** m * _psi_below(x, inverse, ratio, shares, m)
    # Of m = 1: x log(x + 8) beside x log x.
    return total + x * (jnp.log(shifted) - log_x)


def _psi_below(
    x: jax.Array, inverse: jax.Array, ratio: jax.Array, shares: list[jax.Array], m: int
) -> jax.Array:
    """(-1)^m x^m psi^(m - 1)(x), but for x log(x + 8) where m = 1."""
    rising = [math.prod(range(2 * k + 1, 2 * k + 1 + m)) for k in range(len(_STIRLING))]
    of_series = ratio**m * (0.5 * math.factorial(m - 1) + _series(inverse, [float(r) for r in rising]))
    of_shift = math.factorial(m - 1) * (1.0 + sum(share**m for share in shares))
    leading = math.factorial(m - 2) * x * ratio ** (m - 1) if m > 1 else 0.0
    return of_series + of_shift + leading


def log_factorial_excess(y: jax.Array) -> jax.Array:
    """log y! - y log y + y for y >= 0; zero at zero. Minus it is the log Poisson density at mean y."""
    some = y > 0
    log_y = jnp.log(jnp.where(some, y, 1.0))
    return jnp.where(some, gamma_excess(log_y) + log_y, 0.0)


def times_log_ratio(y: jax.Array, n: jax.Array) -> jax.Array:
    """y log(n / y), zero at y = 0."""
    some = y > 0
    return jnp.where(some, y * jnp.log(jnp.where(some, n / jnp.where(some, y, 1.0), 1.0)), 0.0)
