"""Proportions strictly between 0 and 1: beta; with exact zeros and ones: ordered beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family, first_outside, weighted_moments
from mixflow.family.gammas import gamma_excess
from mixflow.family.links import LOGIT, Link, ProbabilityLink
from mixflow.family.special import log_one_minus_exp, softplus

_LARGEST = 1.0 - 2.0**-53


@dataclass(frozen=True)
class Beta(Family):
    """Mean mu, variance mu (1 - mu) / (1 + phi), phi = exp(dispersion predictor) (Ferrari and Cribari-Neto, 2004)."""

    name = "beta"
    words = "beta"
    spread = "variance μ (1 − μ) / (1 + φ)"
    links = ("logit", "probit", "cloglog")
    filler = (0.5,)
    without_zero = True
    mu: Link = LOGIT

    predictors = MEAN_AND_DISPERSION

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        link = cast(ProbabilityLink, self.mu)
        return beta_log_density(y[0], link.log_inverse(eta[0]), link.log_complement(eta[0]), eta[1])

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        link = cast(ProbabilityLink, self.mu)
        return link.inverse(eta[0]) * link.complement(eta[0]) * jax.lax.logistic(-eta[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        link, phi = cast(ProbabilityLink, self.mu), jnp.exp(eta[1])
        within = jnp.clip(y[0], 0.0, 1.0)
        return jax.scipy.special.betainc(link.inverse(eta[0]) * phi, link.complement(eta[0]) * phi, within)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        link, phi = cast(ProbabilityLink, self.mu), jnp.exp(eta[1])
        return draw_beta(key, link.inverse(eta[0]) * phi, link.complement(eta[0]) * phi)[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, variance = weighted_moments(y[:, 0], weight)
        return start_of_share(self.mu, mean, variance), jnp.zeros(0)

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            found = first_outside(y[:, 0], (y[:, 0] <= 0) | (y[:, 0] >= 1))
        if found is None:
            return None
        return (
            f"beta needs proportions between 0 and 1, both left out; {found} is none: `ordbeta` takes exact zeros "
            "and ones, and shares of counted trials are binomial or betabinomial"
        )


@dataclass(frozen=True)
class OrderedBeta(Family):
    """Proportions with exact 0 and 1 (Kubinec, 2022): one predictor drives the mean and both ends.

    P(0) = 1 - F(eta - c0), P(1) = F(eta - c1), F the logistic function, and a beta of mean F(eta) between them.
    ``own`` is (c0, log(c1 - c0)); the cutpoints are reported on the logit scale (glmmTMB reports F of them).
    """

    name = "ordbeta"
    words = "ordered beta"
    spread = "variance μ (1 − μ) / (1 + φ) between the ends"
    links = ("logit",)
    filler = (0.5,)
    mu: Link = LOGIT

    predictors = MEAN_AND_DISPERSION

    @property
    def own(self) -> tuple[str, ...]:
        return ("lower cutoff", "upper cutoff")

    def natural(self, own: jax.Array) -> jax.Array:
        return jnp.stack([own[0], own[0] + jnp.exp(own[1])])

    def _log_parts(self, eta: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """log of P(0), P(between), P(1)."""
        low, high = self.natural(own)
        between = -softplus(low - eta[0]) - softplus(eta[0] - high) + log_one_minus_exp(own[1])
        return -softplus(eta[0] - low), between, -softplus(high - eta[0])

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        at_zero, between, at_one = self._log_parts(eta, own)
        inner = jnp.where((y[0] > 0) & (y[0] < 1), y[0], 0.5)
        within = between + Beta().log_density(inner[None], eta, own)
        return jnp.where(y[0] <= 0, at_zero, jnp.where(y[0] >= 1, at_one, within))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        _, between, at_one = self._log_parts(eta, own)
        return jnp.exp(at_one) + jnp.exp(between) * jax.lax.logistic(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        _, between, at_one = self._log_parts(eta, own)
        mu = jax.lax.logistic(eta[0])
        square = jnp.exp(at_one) + jnp.exp(between) * (mu * mu + Beta().variance(y, eta, own))
        return square - self.mean(eta, own) ** 2

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        at_zero, between, _ = self._log_parts(eta, own)
        below = jnp.exp(at_zero) + jnp.exp(between) * Beta().cdf(y, eta, own)
        return jnp.where(y[0] < 0, 0.0, jnp.where(y[0] >= 1, 1.0, below))

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        _, _, at_one = self._log_parts(eta, own)
        inside = self.cdf(y, eta, own)
        return jnp.where(y[0] <= 0, 0.0, jnp.where(y[0] >= 1, -jnp.expm1(at_one), inside))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        of_part, of_beta = jax.random.split(key)
        at_zero, _, at_one = self._log_parts(eta, own)
        u = jax.random.uniform(of_part, dtype=eta.dtype)
        within = Beta().simulate(of_beta, y, eta, own)
        return jnp.where(u < jnp.exp(at_zero), 0.0, jnp.where(u >= -jnp.expm1(at_one), 1.0, within))

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        inner = jnp.where((y[:, 0] > 0) & (y[:, 0] < 1), weight, 0.0)
        eta = start_of_share(self.mu, *weighted_moments(y[:, 0], inner))
        at_zero = jnp.sum(jnp.where(y[:, 0] <= 0, weight, 0.0))
        at_one = jnp.sum(jnp.where(y[:, 0] >= 1, weight, 0.0))
        total = jnp.sum(weight) + 1.5
        low = eta[0] + LOGIT.link((at_zero + 0.5) / total)
        high = eta[0] - LOGIT.link((at_one + 0.5) / total)
        return eta, jnp.stack([low, jnp.log(jnp.maximum(high - low, 0.1))])

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            found = first_outside(y[:, 0], (y[:, 0] < 0) | (y[:, 0] > 1))
        if found is None:
            return None
        return f"ordbeta needs proportions from 0 to 1; {found} is none: divide by the scale's length first"


def beta_log_density(y: jax.Array, log_mu: jax.Array, log_rest: jax.Array, log_phi: jax.Array) -> jax.Array:
    """Of mean mu (``log_rest`` = log(1 - mu)) and phi: what a Stirling excess leaves, and phi times a divergence."""
    log_y, log_not = jnp.log(y), jnp.log1p(-y)
    log_a, log_b = log_mu + log_phi, log_rest + log_phi
    a, b = jnp.exp(log_a), jnp.exp(log_b)
    excess = gamma_excess(log_phi) - gamma_excess(log_a) - gamma_excess(log_b)
    return excess - log_y - log_not + a * (log_y - log_mu) + b * (log_not - log_rest)


def draw_beta(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """A beta draw, never rounded to 0 or 1."""
    of_a, of_b = jax.random.split(key)
    log_odds = jax.random.loggamma(of_a, a) - jax.random.loggamma(of_b, b)
    return jnp.clip(jax.lax.logistic(log_odds), 1e-300, _LARGEST)


def start_of_share(link: Link, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """(link(mean), log phi) by moments of a share."""
    mean = jnp.clip(mean, 1e-6, 1.0 - 1e-6)
    phi = mean * (1.0 - mean) / jnp.maximum(variance, 1e-12) - 1.0
    return jnp.stack([link.link(mean), jnp.log(jnp.clip(phi, 0.1, 1e6))])
