"""log(F(upper) - F(lower)) for the distributions that links are named after, with no digit lost in either tail.

The interval is given by one end and the logarithm of its length, since both ends may round to the same number.
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.family.links import Link
from mixflow.family.normal import log_normal_between
from mixflow.family.special import log_expm1, log_one_minus_exp, softplus


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


_BETWEEN = {"logit": _logistic, "probit": log_normal_between, "cloglog": _gompertz}
