"""The beta-binomial distribution: successes whose probability differs between rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family
from mixflow.family.binomial import Binomial, below_of_trials, pooled_share, trials_only
from mixflow.family.gammas import gamma_excess
from mixflow.family.links import LOGIT, Link, ProbabilityLink
from mixflow.family.proportions import draw_beta
from mixflow.family.special import log1p_ratio, log_add, softplus


@dataclass(frozen=True)
class BetaBinomial(Family):
    """Probabilities of success are beta with mean mu and phi = exp(dispersion predictor), as in glmmTMB.

    The variance of a count of n trials is n mu (1 - mu) (1 + (n - 1) / (1 + phi)).
    """

    name = "betabinomial"
    words = "beta-binomial"
    simpler = "binomial"
    spread = "a count of n trials has variance n μ (1 − μ) (1 + (n − 1) / (1 + φ))"
    links = ("logit", "probit", "cloglog")
    columns = ("success", "failure")
    filler = (0.0, 1.0)
    discrete = True
    mu: Link = LOGIT

    predictors = MEAN_AND_DISPERSION

    @property
    def _binomial(self) -> Binomial:
        return Binomial(self.mu)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """The binomial density and what overdispersion adds to it, which goes to zero as phi grows."""
        link = cast(ProbabilityLink, self.mu)
        return self._binomial.log_density(y, eta, own) + _overdispersion(
            y[0], y[1], link.log_inverse(eta[0]), link.log_complement(eta[0]), eta[1]
        )

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


@jax.custom_jvp
def _overdispersion(
    y: jax.Array, rest: jax.Array, log_mu: jax.Array, log_rest: jax.Array, log_phi: jax.Array
) -> jax.Array:
    """Log density of the beta-binomial less that of the binomial."""
    n = y + rest
    extra = _extra(y, n, log_mu, log_phi) + _extra(rest, n, log_rest, log_phi)
    return extra + _rise(y, log_mu + log_phi) + _rise(rest, log_rest + log_phi) - _rise(n, log_phi)


@_overdispersion.defjvp
def _overdispersion_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """By log mu (and log(1 - mu) alike): a (psi(a + y) - psi(a)) - y, a = mu phi. y is data."""
    y, rest, log_mu, log_rest, log_phi = primals
    of_y, of_rest = _by_log_a(y, log_mu + log_phi), _by_log_a(rest, log_rest + log_phi)
    of_phi = of_y + of_rest - _by_log_a(y + rest, log_phi)
    slope = (of_y - y) * tangents[2] + (of_rest - rest) * tangents[3] + of_phi * tangents[4]
    return _overdispersion(*primals), slope


def _by_log_a(y: jax.Array, log_a: jax.Array) -> jax.Array:
    """a (psi(a + y) - psi(a)), about y where a is large."""
    log_y = _log(y)
    log_sum = log_add(log_a, log_y)
    left = gamma_excess(log_sum, 1) * jnp.exp(log_a - log_sum) - gamma_excess(log_a, 1)
    large = log_a > log_y
    ratio = jnp.exp(jnp.where(large, log_y - log_a, 0.0))
    dispersed = jnp.exp(jnp.where(large, 0.0, log_a)) * softplus(jnp.where(large, 0.0, log_y - log_a))
    return left + jnp.where(large, y * log1p_ratio(ratio), dispersed)


def _log(y: jax.Array) -> jax.Array:
    """log y, of zero a number so low that its exponential is nothing beside any other."""
    return jnp.where(y > 0, jnp.log(jnp.where(y > 0, y, 1.0)), -2000.0)


def _rise(y: jax.Array, log_size: jax.Array) -> jax.Array:
    return gamma_excess(log_add(log_size, _log(y))) - gamma_excess(log_size)


def _extra(y: jax.Array, n: jax.Array, log_mu: jax.Array, log_phi: jax.Array) -> jax.Array:
    """(a + y) log((a + y) / ((phi + n) mu)), a = mu phi: of a large phi y - n mu, of a small one y log(y / (n mu))."""
    log_y, log_n = _log(y), _log(n)
    log_all = log_add(log_phi, log_n)
    log_sum = log_add(log_mu + log_phi, log_y)
    log_ratio = log_sum - log_all - log_mu
    near = jnp.abs(log_ratio) < 0.5
    x = jnp.exp(jnp.where(near, log_y - log_all - log_mu, 0.0)) - jnp.exp(
        jnp.where(near, log_n - log_all, 0.0)
    )
    close = (y - n * jnp.exp(log_mu)) * (1.0 + x) * log1p_ratio(x)
    return jnp.where(near, close, jnp.exp(log_sum) * jnp.where(near, 0.0, log_ratio))
