"""Small functions whose values and derivatives stay finite and right at the extremes.

Derivatives are given in closed form, one function for each order: those that autodiff would make of series and
continued fractions lose digits, and take the compiler tens of seconds at the third order. Where a formula has two
regimes, both sides of ``where`` get arguments of their own regime: a NaN of the side not taken leaks otherwise.
Log-gamma primitives are not used: differences of them lose all digits for large arguments, and their derivatives
(zeta series) are slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mixflow.backend import jax, jnp

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def _derivative(function: object, factor: object) -> None:
    """Gives a custom_jvp function of one argument its derivative."""

    def rule(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
        return function(primals[0]), factor(primals[0]) * tangents[0]  # type: ignore[operator]

    function.defjvp(rule)  # type: ignore[attr-defined]


def with_rule(*constants: int) -> Callable[[Callable[..., jax.Array]], jax.custom_jvp[jax.Array]]:
    """`jax.custom_jvp` of a function some of whose arguments, by place, are plain numbers."""
    return lambda function: jax.custom_jvp(function, nondiff_argnums=constants)


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + e^x) for any x; its derivative is the logistic function."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@jax.custom_jvp
def log_softplus(x: jax.Array) -> jax.Array:
    """log log(1 + e^x) for any x; nearly x where x is far below zero."""
    low, w = _tiny_power(x)
    small = x + w * (-0.5 + w * (5 / 24 - w / 8))
    return jnp.where(low, small, jnp.log(softplus(jnp.where(low, 0.0, x))))


@jax.custom_jvp
def _slope_of_log_softplus(x: jax.Array) -> jax.Array:
    low, w = _tiny_power(x)
    z = jnp.where(low, 0.0, x)
    return jnp.where(low, 1.0 + w * (-0.5 + w * 5 / 12), jax.lax.logistic(z) / softplus(z))


def _tiny_power(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    low = x < -15.0
    return low, jnp.exp(jnp.where(low, x, -15.0))


_derivative(softplus, jax.lax.logistic)
_derivative(log_softplus, _slope_of_log_softplus)
_derivative(
    _slope_of_log_softplus,
    lambda x: _slope_of_log_softplus(x) * (jax.lax.logistic(-x) - _slope_of_log_softplus(x)),
)


@jax.custom_jvp
def log_one_minus_exp(log_t: jax.Array) -> jax.Array:
    """log(1 - e^-t), t = exp(log_t), for any log_t: the log probability of an event with log hazard ``log_t``."""
    low, high = log_t < -3.0, log_t > 4.0
    t = jnp.exp(jnp.where(low, log_t, -3.0))
    series = log_t - t / 2 + t**2 * (1 / 24 + t**2 * (-1 / 2880 + t**2 * (1 / 181440 - t**2 / 9676800)))
    direct = jnp.log(-jnp.expm1(-jnp.exp(jnp.where(low | high, 0.0, log_t))))
    # Beyond e^4 the value is -e^-t, at most 2e-24.
    return jnp.where(low, series, jnp.where(high, 0.0, direct))


@jax.custom_jvp
def _bernoulli(log_t: jax.Array) -> jax.Array:
    """t / (e^t - 1)."""
    high = log_t > 6.5  # e^t overflows beyond 709
    return jnp.where(high, 0.0, 1.0 / expm1_ratio(jnp.exp(jnp.where(high, 0.0, log_t))))


_derivative(log_one_minus_exp, _bernoulli)
_derivative(_bernoulli, lambda log_t: _bernoulli(log_t) * (1.0 - jnp.exp(log_t) - _bernoulli(log_t)))


def log_expm1(log_t: jax.Array) -> jax.Array:
    """log(e^t - 1), t = exp(log_t)."""
    return jnp.exp(log_t) + log_one_minus_exp(log_t)


def log_add(a: jax.Array, b: jax.Array) -> jax.Array:
    """log(e^a + e^b) of finite a and b."""
    above = b > a
    return jnp.where(above, b, a) + softplus(jnp.where(above, a - b, b - a))


# -- ratios with a removable zero --------------------------------------------------------------------------------


@with_rule(1)
def expm1_ratio(x: jax.Array, order: int = 0) -> jax.Array:
    """(e^x - 1) / x, one at zero, or its derivative of this order: the integral of s^order e^(s x) over 0..1."""
    small = jnp.abs(x) < 0.3
    s, z = jnp.where(small, x, 0.0), jnp.where(small, 1.0, x)
    series = jnp.zeros_like(s)
    for k in range(14, -1, -1):
        series = 1.0 / (math.factorial(k) * (order + k + 1)) + s * series
    direct = jnp.expm1(z) / z
    for n in range(1, order + 1):
        direct = (jnp.exp(z) - n * direct) / z
    return jnp.where(small, series, direct)


@with_rule(1, 2)
def log1p_ratio(x: jax.Array, power: int = 0, order: int = 0) -> jax.Array:
    """log(1 + x) / x for x > -1, one at zero: the integral of s^power / (1 + s x) over 0..1, or its derivative.

    Power 1 is (1 - log(1 + x) / x) / x, a half at zero.
    """
    small = jnp.abs(x) < 0.1
    s, z = jnp.where(small, x, 0.0), jnp.where(small, 1.0, x)
    series = jnp.zeros_like(s)
    for k in range(18, -1, -1):
        series = (-1.0) ** (k + order) * math.perm(k + order, order) / (power + order + k + 1) + s * series
    return jnp.where(small, series, _log1p_ratio_direct(z, power, order)[-1])


def _log1p_ratio_direct(z: jax.Array, power: int, order: int) -> list[jax.Array]:
    """All orders up to this one, by x I_m = 1 / m - I_(m - 1) and Leibniz' rule."""
    found: list[jax.Array] = []
    lower = _log1p_ratio_direct(z, power - 1, order) if power else []
    for n in range(order + 1):
        if power:
            top = (1.0 / power if n == 0 else 0.0) - lower[n]
        else:
            top = (
                jnp.log1p(z) if n == 0 else (-1.0) ** (n - 1) * math.factorial(n - 1) * (1.0 + z) ** float(-n)
            )
        found.append((top - (n * found[-1] if n else 0.0)) / z)
    return found


@expm1_ratio.defjvp
def _expm1_ratio_jvp(order: int, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return expm1_ratio(primals[0], order), expm1_ratio(primals[0], order + 1) * tangents[0]


@log1p_ratio.defjvp
def _log1p_ratio_jvp(power: int, order: int, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    return log1p_ratio(primals[0], power, order), log1p_ratio(primals[0], power, order + 1) * tangents[0]


@jax.custom_jvp
def poisson_gap(d: jax.Array) -> jax.Array:
    """d + e^-d - 1, half d squared near zero: y times it is the half deviance of a Poisson, d = log(y / mu)."""
    small = jnp.abs(d) < 0.05
    s = jnp.where(small, d, 0.0)
    series = jnp.ones_like(s)
    for k in range(10, 2, -1):
        series = 1.0 - s * series / k
    return jnp.where(small, 0.5 * s * s * series, d + jnp.expm1(-d))


_derivative(poisson_gap, lambda d: -jnp.expm1(-d))
