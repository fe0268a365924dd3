"""Student's t: a Gaussian that forgives outliers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family, weighted_moments
from mixflow.family.gammas import gamma_excess
from mixflow.family.gaussian import finite_only
from mixflow.family.links import IDENTITY, Link
from mixflow.family.special import log1p_ratio, log_add, softplus

_START_DF = 5.0


@dataclass(frozen=True)
class StudentT(Family):
    """(y - mu) / phi is t with df degrees of freedom; phi = exp(dispersion predictor) is the scale, not the sd.

    ``own`` is log df, as in glmmTMB's t_family.
    """

    name = "t"
    words = "Student t"
    simpler = "Gaussian"
    spread = "φ is the scale of the t distribution"
    links = ("identity", "log", "inverse")
    location_scale = True
    log_concave = False
    filler = (0.0,)
    mu: Link = IDENTITY

    predictors = MEAN_AND_DISPERSION

    @property
    def own(self) -> tuple[str, ...]:
        return ("df",)

    def natural(self, own: jax.Array) -> jax.Array:
        return jnp.exp(own)

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        residual = y[0] - self.mu.inverse(eta[0])
        kernel = _half_power(residual, eta[1], own[0])
        return _log_ratio_of_gammas(own[0]) - 0.5 * math.log(2.0 * math.pi) - eta[1] - kernel

    def information(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Of mu (df + 1) / ((df + 3) phi^2), of log phi 2 df / (df + 3) (Lange, Little and Taylor 1989)."""
        share = jax.lax.logistic(own[0] - math.log(3.0))  # df / (df + 3)
        slope = jax.grad(self.mu.inverse)(eta[0]) * jnp.exp(-eta[1])
        of_mu = (share + (1.0 - share) / 3.0) * slope**2
        return jnp.diag(jnp.stack([of_mu, 2.0 * share]))

    def majorant(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array | None:
        """The weights of iteratively reweighted least squares (df + 1) / (df phi^2 + residual^2); identity link."""
        if self.mu.name != "identity":
            return None
        scale = jnp.exp(eta[1])
        z = (y[0] - eta[0]) / scale
        return (1.0 + jnp.exp(-own[0])) / ((1.0 + z * z * jnp.exp(-own[0])) * scale**2)

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Infinite for df <= 2."""
        df = jnp.exp(own[0])
        some = df > 2.0
        return jnp.where(some, jnp.exp(2.0 * eta[1]) * df / jnp.where(some, df - 2.0, 1.0), jnp.inf)

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        z, df = (y[0] - self.mu.inverse(eta[0])) * jnp.exp(-eta[1]), jnp.exp(own[0])
        tail = 0.5 * jax.scipy.special.betainc(0.5 * df, 0.5, df / (df + z * z))
        return jnp.where(z < 0, tail, 1.0 - tail)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        draw = jax.random.t(key, jnp.exp(own[0]), dtype=eta.dtype)
        return (self.mu.inverse(eta[0]) + jnp.exp(eta[1]) * draw)[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Median, and the scale by the median absolute deviation, that outliers leave alone."""
        seen = jnp.where(weight > 0, y[:, 0], jnp.nan)
        centre = jnp.nan_to_num(jnp.nanmedian(seen))
        mad = jnp.nan_to_num(jnp.nanmedian(jnp.abs(seen - centre)))
        _, variance = weighted_moments(y[:, 0], weight)
        scale = jnp.where(mad > 0, 1.4 * mad, jnp.sqrt(variance))
        scale = jnp.maximum(scale, 1e-6 * jnp.abs(centre) + 1e-150)
        if self.mu.name != "identity":
            centre = jnp.maximum(centre, 0.1 * scale)
        return jnp.stack([self.mu.link(centre), jnp.log(scale)]), jnp.full(1, math.log(_START_DF))

    def problems(self, y: np.ndarray) -> str | None:
        return finite_only(y[:, 0], self.name)


def _log_ratio_of_gammas(log_df: jax.Array) -> jax.Array:
    """log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(df / 2) / 2; zero as df grows."""
    log_x = log_df - math.log(2.0)
    huge = log_x > 150.0
    low = jnp.where(huge, 0.0, log_x)
    large = low > 0.0
    ratio = 0.5 * jnp.exp(-jnp.where(large, low, 0.0))
    of_large = 0.5 * (1.0 + ratio) * log1p_ratio(ratio)
    small = jnp.where(large, 0.0, low)
    of_small = (jnp.exp(small) + 0.5) * softplus(-math.log(2.0) - small)
    excess = gamma_excess(log_add(low, jnp.asarray(-math.log(2.0)))) - gamma_excess(low)
    return jnp.where(huge, 0.0, excess - 0.5 + jnp.where(large, of_large, of_small))


def _half_power(residual: jax.Array, log_scale: jax.Array, log_df: jax.Array) -> jax.Array:
    """(df + 1) / 2 log(1 + z^2 / df), z = residual / scale; half z squared as df grows."""
    apart = residual != 0
    magnitude = jnp.where(apart, jnp.abs(residual), 1.0)
    log_z = jnp.log(magnitude) - log_scale
    far = apart & (2.0 * log_z > log_df)
    z = jnp.where(far, 0.0, residual) * jnp.exp(-jnp.where(far, 0.0, log_scale))
    w = z * z * jnp.exp(-log_df)
    close = 0.5 * (1.0 + jnp.exp(-log_df)) * z * z * log1p_ratio(w)
    log_w = jnp.where(far, 2.0 * log_z - log_df, 0.0)
    away = 0.5 * (1.0 + jnp.exp(jnp.where(far, log_df, 0.0))) * softplus(log_w)
    return jnp.where(far, away, close)
