"""Fisher's noncentral hypergeometric distribution: a 2 x 2 table given its margins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, Predictor, first_outside
from mixflow.family.links import LOG, Link


@dataclass(frozen=True)
class Hypergeometric(Family):
    """Events of the first arm given the sizes of both arms and all events; the predictor is the log odds ratio.

    What a meta-analysis of odds ratios conditions on, so that no study needs an intercept (Stijnen, Hamza and
    Ozdemir 2010, Statistics in Medicine 29, 3046; metafor's model CM.EL). ``terms``: how many values the
    events can take in the largest table; `terms_of` gives it.
    """

    name = "hypergeometric"
    words = "noncentral hypergeometric (2 x 2 tables given their margins)"
    links = ("log",)
    columns = ("events", "treated", "control", "all_events")
    filler = (1.0, 2.0, 2.0, 2.0)
    discrete = True
    mu: Link = LOG
    terms: int = 1

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("mu", self.mu),)

    @property
    def ratio(self) -> str:
        return "odds ratio"

    def _support(self, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Every value that the events can take, from the lowest on, and log C(n1, j) C(n2, m - j), -inf outside."""
        n1, n2, m = y[1], y[2], y[3]
        values = jnp.maximum(0.0, m - n2) + jnp.arange(float(self.terms))
        inside = values <= jnp.minimum(n1, m)
        j = jnp.where(inside, values, jnp.maximum(0.0, m - n2))
        return values, jnp.where(inside, _log_choose(n1, j) + _log_choose(n2, m - j), -jnp.inf)

    def _log_probabilities(self, y: jax.Array, eta: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, weight = self._support(y)
        told = weight + (values - y[0]) * eta[0]
        return values, told - jax.scipy.special.logsumexp(told)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        values, weight = self._support(y)
        here = _log_choose(y[1], y[0]) + _log_choose(y[2], y[3] - y[0])
        return here - jax.scipy.special.logsumexp(weight + (values - y[0]) * eta[0])

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """The odds ratio: the expected events hang on the margins, which are the datum's."""
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        values, log_p = self._log_probabilities(y, eta)
        p = jnp.exp(log_p)
        return jnp.sum(p * values**2) - jnp.sum(p * values) ** 2

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        values, log_p = self._log_probabilities(y, eta)
        return jnp.sum(jnp.where(values <= y[0], jnp.exp(log_p), 0.0))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        values, log_p = self._log_probabilities(y, eta)
        return y.at[0].set(values[jax.random.categorical(key, log_p)])

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        a, n1, n2, m = (jnp.sum(jnp.where(weight > 0, weight * y[:, i], 0.0)) + 0.5 for i in range(4))
        c = jnp.maximum(m - a, 0.5)
        odds = jnp.log(a) - jnp.log(jnp.maximum(n1 - a, 0.5)) - jnp.log(c) + jnp.log(jnp.maximum(n2 - c, 0.5))
        return odds[None], jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        a, n1, n2, m = y.T
        with np.errstate(invalid="ignore"):
            wrong = (y < 0).any(axis=1) | (y != np.floor(y)).any(axis=1) | (a > n1) | (m - a > n2) | (a > m)
        found = first_outside(a, wrong)
        return (
            found
            and f"a 2 x 2 table needs whole numbers, and no more events than rows; events {found} are wrong"
        )


def terms_of(y: np.ndarray) -> int:
    """How many values the events can take in the largest of the tables y (..., 4)."""
    n1, n2, m = y[..., 1], y[..., 2], y[..., 3]
    return int(np.nanmax(np.minimum(n1, m) - np.maximum(0, m - n2)) + 1)


def _log_choose(n: jax.Array, k: jax.Array) -> jax.Array:
    gamma = jax.scipy.special.gammaln
    return gamma(n + 1.0) - gamma(k + 1.0) - gamma(n - k + 1.0)
