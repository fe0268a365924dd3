"""The beta-binomial distribution: successes whose probability differs between rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import Family, Predictor
from mixflow.family.binomial import Binomial, below_of_trials, pooled_share, trials_only
from mixflow.family.counts import rise
from mixflow.family.links import LOG, LOGIT, Link, ProbabilityLink
from mixflow.family.proportions import draw_beta
from mixflow.family.special import log1p_ratio, log_add


@dataclass(frozen=True)
class BetaBinomial(Family):
    """Probabilities of success are beta with mean mu and phi = exp(dispersion predictor), as in glmmTMB.

    The variance of a count of n trials is n mu (1 - mu) (1 + (n - 1) / (1 + phi)).
    """

    name = "betabinomial"
    links = ("logit", "probit", "cloglog")
    columns = ("success", "failure")
    filler = (0.0, 1.0)
    discrete = True
    mu: Link = LOGIT

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("mu", self.mu), Predictor("dispersion", LOG))

    @property
    def _binomial(self) -> Binomial:
        return Binomial(self.mu)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """The binomial density and what overdispersion adds to it, which goes to zero as phi grows."""
        link, log_phi = cast(ProbabilityLink, self.mu), eta[1]
        n = y[0] + y[1]
        log_mu, log_rest = link.log_inverse(eta[0]), link.log_complement(eta[0])
        extra = _extra(y[0], n, log_mu, log_phi) + _extra(y[1], n, log_rest, log_phi)
        rises = _rise(y[0], log_mu + log_phi) + _rise(y[1], log_rest + log_phi) - _rise(n, log_phi)
        return self._binomial.log_density(y, eta, own) + extra + rises

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        inflation = 1.0 + (y[0] + y[1] - 1.0) * jax.lax.logistic(-eta[1])
        return self._binomial.variance(y, eta, own) * inflation

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Sum of the shorter tail, min(success, failure) terms."""
        n = y[0] + y[1]
        from_below = y[0] < y[1]
        first = jnp.where(from_below, 0.0, y[0] + 1.0)
        last = jnp.where(from_below, y[0], n)

        def add(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            k, total = state
            return k + 1.0, total + jnp.exp(self.log_density(jnp.stack([k, n - k]), eta, own))

        _, tail = jax.lax.while_loop(lambda state: state[0] <= last, add, (first, jnp.zeros_like(n)))
        return jnp.clip(jnp.where(from_below, tail, 1.0 - tail), 0.0, 1.0)

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return below_of_trials(self, y, eta, own)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        of_p, of_count = jax.random.split(key)
        link, phi = cast(ProbabilityLink, self.mu), jnp.exp(eta[1])
        p = draw_beta(of_p, link.inverse(eta[0]) * phi, link.complement(eta[0]) * phi)
        n = y[0] + y[1]
        success = jax.random.binomial(of_count, n, p, dtype=eta.dtype)
        return jnp.stack([success, n - success])

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """phi by moments: the squared deviations of counts beside those of binomial ones."""
        share = pooled_share(y, weight)
        n = jnp.where(weight > 0, y[:, 0] + y[:, 1], 0.0)
        binomial = n * share * (1.0 - share)
        found = jnp.sum(weight * jnp.where(weight > 0, y[:, 0] - n * share, 0.0) ** 2)
        excess = found - jnp.sum(weight * binomial)
        most = jnp.sum(weight * binomial * jnp.maximum(n - 1.0, 0.0))
        rho = jnp.clip(excess / jnp.maximum(most, 1e-12), 0.01, 0.9)
        return jnp.stack([self.mu.link(share), jnp.log(1.0 / rho - 1.0)]), jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        return trials_only(y, self.name)

    def value(self, y: jax.Array) -> jax.Array:
        return y[0] / (y[0] + y[1])


def _rise(y: jax.Array, log_size: jax.Array) -> jax.Array:
    some = y > 0
    return jnp.where(some, rise(jnp.where(some, y, 1.0), jnp.where(some, log_size, 0.0)), 0.0)


def _extra(y: jax.Array, n: jax.Array, log_mu: jax.Array, log_phi: jax.Array) -> jax.Array:
    """(a + y) log((a + y) / ((phi + n) mu)), a = mu phi: of a large phi y - n mu, of a small one y log(y / (n mu))."""
    some, log_n = y > 0, jnp.log(n)
    log_y = jnp.where(some, jnp.log(jnp.where(some, y, 1.0)), -800.0)
    log_all = log_add(log_phi, log_n)
    log_sum = jnp.where(some, log_add(log_mu + log_phi, log_y), log_mu + log_phi)
    log_ratio = log_sum - log_all - log_mu
    near = jnp.abs(log_ratio) < 0.5
    of_y = jnp.exp(jnp.where(near & some, log_y - log_all - log_mu, 0.0))
    x = jnp.where(near & some, of_y, 0.0) - jnp.where(near, jnp.exp(log_n - log_all), 0.0)
    close = (y - n * jnp.exp(log_mu)) * (1.0 + x) * log1p_ratio(x)
    return jnp.where(near, close, jnp.exp(log_sum) * jnp.where(near, 0.0, log_ratio))
