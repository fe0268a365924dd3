"""The binomial distribution; yes/no outcomes are binomial with one trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, Predictor, first_outside
from mixflow.family.gammas import log_factorial_excess, times_log_ratio
from mixflow.family.links import LOGIT, Link, ProbabilityLink


@dataclass(frozen=True)
class Binomial(Family):
    """Successes among success + failure trials; the mean is the probability of success."""

    name = "binomial"
    words = "binomial"
    links = ("logit", "probit", "cloglog")
    columns = ("success", "failure")
    filler = (0.0, 1.0)
    discrete = True
    mu: Link = LOGIT

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("mu", self.mu),)

    @property
    def _link(self) -> ProbabilityLink:
        return cast(ProbabilityLink, self.mu)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.constant(y) + self.log_kernel(y, eta, own)

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        return y[0] * self._link.log_inverse(eta[0]) + y[1] * self._link.log_complement(eta[0])

    def constant(self, y: jax.Array) -> jax.Array:
        success, failure = y[0], y[1]
        n = success + failure
        ways = log_factorial_excess(n) - log_factorial_excess(success) - log_factorial_excess(failure)
        return ways + times_log_ratio(success, n) + times_log_ratio(failure, n)

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0]) * self._link.complement(eta[0]) / (y[0] + y[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        sure = y[1] <= 0
        failure = jnp.where(sure, 1.0, y[1])
        below = jax.scipy.special.betainc(failure, y[0] + 1.0, self._link.complement(eta[0]))
        return jnp.where(sure, 1.0, below)

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return below_of_trials(self, y, eta, own)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        n = y[0] + y[1]
        success = jax.random.binomial(key, n, self.mu.inverse(eta[0]), dtype=eta.dtype)
        return jnp.stack([success, n - success])

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.mu.link(pooled_share(y, weight))[None], jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        return trials_only(y, self.name)

    def value(self, y: jax.Array) -> jax.Array:
        return y[0] / (y[0] + y[1])


def pooled_share(y: jax.Array, weight: jax.Array) -> jax.Array:
    """Share of successes of all rows together, half a success and half a failure added."""
    success = jnp.sum(jnp.where(weight > 0, weight * y[:, 0], 0.0))
    failure = jnp.sum(jnp.where(weight > 0, weight * y[:, 1], 0.0))
    return (success + 0.5) / (success + failure + 1.0)


def below_of_trials(family: Family, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
    """P(Y < y) of successes: one success fewer is one failure more."""
    some = y[0] > 0
    fewer = jnp.stack([jnp.where(some, y[0] - 1.0, 0.0), jnp.where(some, y[1] + 1.0, y[1])])
    return jnp.where(some, family.cdf(fewer, eta, own), 0.0)


def trials_only(y: np.ndarray, family: str) -> str | None:
    """A sentence where successes or failures are no whole numbers from 0 upwards, or both are none."""
    with np.errstate(invalid="ignore"):
        for column, what in ((y[:, 0], "successes"), (y[:, 1], "failures")):
            found = first_outside(column, (column < 0) | (column != np.floor(column)) | np.isinf(column))
            if found is not None:
                return (
                    f"{family} needs {what} as whole numbers from 0 upwards; {found} is none: "
                    "give counts (`cbind(success, failure)`), 0 and 1, or a proportion with the trials as weights"
                )
        found = first_outside(y[:, 0], y.sum(axis=1) == 0)
    if found is None:
        return None
    return f"{family} needs at least one trial in each row; {found} has none: leave such rows out"
