"""The Tweedie distribution between Poisson and Gamma: exact zeros, else positive (1 < power < 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family, first_outside, weighted_moments
from mixflow.family.gammas import gamma_excess
from mixflow.family.links import LOG, Link
from mixflow.family.special import expm1_ratio, poisson_gap

_TERMS = 84
"""Terms of the series. Up to a peak at _FEW they are its first ones, beyond it a window around the peak."""
_FEW = 30.0
_STEP = 0.3
"""Distance of the window's points in standard deviations of the terms, where these are wide."""
_WIDE = 1.6
"""Variance of the terms from which a sum over integers is an integral to 1e-13, so that points may be spread."""


@dataclass(frozen=True)
class Tweedie(Family):
    """Mean mu, variance phi mu^power: a Poisson number of Gamma amounts. phi = exp(dispersion predictor).

    ``own`` is logit(power - 1), as in glmmTMB. The series is that of Dunn and Smyth (2005), taken relative to its
    peak; where terms vary slowly it is a trapezoidal sum over as many points, so that its cost is bounded.
    """

    name = "tweedie"
    words = "Tweedie"
    spread = "variance φ μ^p, p the power"
    links = ("log",)
    filler = (0.0,)
    mu: Link = LOG

    predictors = MEAN_AND_DISPERSION

    @property
    def own(self) -> tuple[str, ...]:
        return ("power",)

    def natural(self, own: jax.Array) -> jax.Array:
        return 1.0 + jax.lax.logistic(own)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        above, under = jax.lax.logistic(own[0]), jax.lax.logistic(-own[0])  # power - 1, 2 - power
        some = y[0] > 0
        log_y = jnp.log(jnp.where(some, y[0], 1.0))
        d = jnp.where(some, log_y - eta[0], 0.0)
        log_peak = under * log_y - eta[1] - jnp.log(under)
        divergence = d * (expm1_ratio(above * d) - expm1_ratio(-under * d))
        positive = _log_series(log_peak, above, under) - log_y - under * jnp.exp(log_peak) * divergence
        none = -jnp.exp(under * jnp.where(some, 0.0, eta[0]) - eta[1]) / under
        return jnp.where(some, positive, none)

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.exp(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.exp(eta[1] + self.natural(own)[0] * eta[0])

    def _as_amounts(self, eta: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Number of amounts (mean), their shape and scale."""
        above, under = jax.lax.logistic(own[0]), jax.lax.logistic(-own[0])
        return (
            jnp.exp(under * eta[0] - eta[1]) / under,
            under / above,
            above * jnp.exp(eta[1] + above * eta[0]),
        )

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        number, shape, scale = self._as_amounts(eta, own)
        j, log_j, log_step = _points(jnp.log(number), number)
        d = log_j - jnp.log(number)
        log_weight = log_step - j * poisson_gap(d) - gamma_excess(log_j) - log_j
        amount = jax.scipy.special.gammainc(shape * j, jnp.maximum(y[0], 0.0) / scale)
        return jnp.where(y[0] < 0, 0.0, jnp.exp(-number) + jnp.sum(jnp.exp(log_weight) * amount))

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.where(y[0] <= 0, 0.0, self.cdf(y, eta, own))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        of_number, of_amount = jax.random.split(key)
        number, shape, scale = self._as_amounts(eta, own)
        n = jax.random.poisson(of_number, number)
        amount = scale * jax.random.gamma(of_amount, shape * jnp.maximum(n, 1), dtype=eta.dtype)
        return jnp.where(n > 0, amount, 0.0)[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Power 1.5, phi by moments."""
        mean, variance = weighted_moments(y[:, 0], weight)
        mean = jnp.maximum(mean, 1e-8)
        return jnp.stack([jnp.log(mean), jnp.log(variance / mean**1.5 + 1e-6)]), jnp.zeros(1)

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            found = first_outside(y[:, 0], (y[:, 0] < 0) | np.isinf(y[:, 0]))
        if found is None:
            return None
        return f"tweedie needs numbers from 0 upwards; {found} is none: give amounts, not their logarithms"


def _points(log_peak: jax.Array, variance: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Places j > 0 of the terms, log j, and the log of their distance; no derivative goes through them."""
    log_peak, variance = jax.lax.stop_gradient(log_peak), jax.lax.stop_gradient(variance)
    k = jnp.arange(_TERMS, dtype=log_peak.dtype)
    peak, sd = jnp.exp(log_peak), jnp.sqrt(variance)
    spread = (peak > _FEW) & (variance > _WIDE)
    first = jnp.where(peak > _FEW, jnp.maximum(jnp.floor(peak) - _TERMS // 2, 1.0), 1.0)
    relative = jnp.where(spread, _STEP * sd / jnp.where(spread, peak, 1.0), 0.0) * (k - _TERMS // 2)
    inside = relative > -0.99
    relative = jnp.where(inside, relative, 0.0)
    log_j = jnp.where(spread, log_peak + jnp.log1p(relative), jnp.log(first + k))
    log_step = jnp.where(spread, math.log(_STEP) + jnp.log(sd), 0.0)
    return jnp.exp(log_j), log_j, jnp.where(inside, log_step, -jnp.inf)


def _log_series(log_peak: jax.Array, above: jax.Array, under: jax.Array) -> jax.Array:
    """log of sum_j W_j exp(-peak / (power - 1)), W_j as in Dunn and Smyth (2005), equation 6.

    With J the peak, a = (2 - power) / (power - 1) and lgamma(x) = x log x - x + excess(x), a term's logarithm is
    -(1 + a) (j log(j / J) - j + J) - log j - excess(j) - excess(a j): nothing large cancels.
    """
    peak = jnp.exp(log_peak)
    j, log_j, log_step = _points(log_peak, peak * above)
    log_a = jnp.log(under) - jnp.log(above)
    log_aj = log_a + log_j
    excess = gamma_excess(log_j) + gamma_excess(log_aj)
    terms = log_step - j * poisson_gap(log_j - log_peak) / above - log_j - excess
    most = jax.lax.stop_gradient(jnp.max(terms))
    return most + jnp.log(jnp.sum(jnp.exp(terms - most)))
