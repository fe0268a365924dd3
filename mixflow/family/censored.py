"""The normal distribution seen through limits: below a detection limit, above a ceiling, within an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.base import MEAN_AND_DISPERSION, Family
from mixflow.family.gaussian import Gaussian, start_of_real
from mixflow.family.intervals import log_between
from mixflow.family.links import IDENTITY, PROBIT, Link
from mixflow.family.normal import log_normal_cdf


@dataclass(frozen=True)
class CensoredGaussian(Family):
    """N(mu, sigma^2) of which a response says only that it lies from ``lower`` to ``upper``.

    lower = upper is a value; lower = -inf one below the limit ``upper``; upper = inf one above ``lower``. The
    dispersion predictor is log sigma. The log density is that of a value, the log probability of a limit.
    """

    name = "censored"
    words = "Gaussian with censored values"
    spread = "φ is the residual standard deviation"
    links = ("identity", "log", "inverse")
    location_scale = True
    columns = ("lower", "upper")
    filler = (0.0, 0.0)
    mu: Link = IDENTITY

    predictors = MEAN_AND_DISPERSION

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        mu, scale = self.mu.inverse(eta[0]), jnp.exp(-eta[1])
        left, right, exact = jnp.isneginf(y[0]), jnp.isposinf(y[1]), y[0] == y[1]
        lower, upper = jnp.where(left, 0.0, y[0]), jnp.where(right, 0.0, y[1])
        within = ~(left | right | exact)
        a, b = (lower - mu) * scale, (upper - mu) * scale
        length = jnp.log(jnp.where(within, upper - lower, 1.0)) - eta[1]
        value = Gaussian(self.mu).log_density(jnp.where(exact, lower, mu)[None], eta, own)
        limit = log_normal_cdf(jnp.where(left, b, jnp.where(right, -a, 0.0)))
        interval = log_between(PROBIT, jnp.where(within, a, 0.0), jnp.where(within, length, 0.0))
        return jnp.where(exact, value, jnp.where(within, interval, limit))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Of the value behind the limits."""
        return self.mu.inverse(eta[0])

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.exp(2 * eta[1])

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Up to ``upper``."""
        return jax.scipy.special.ndtr((y[1] - self.mu.inverse(eta[0])) * jnp.exp(-eta[1]))

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Up to ``lower``."""
        return jax.scipy.special.ndtr((y[0] - self.mu.inverse(eta[0])) * jnp.exp(-eta[1]))

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """A value; where y is a limit or an interval and the value lies in it, that again."""
        value = Gaussian(self.mu).simulate(key, y, eta, own)[0]
        hidden = (y[0] < y[1]) & (value >= y[0]) & (value <= y[1])
        return jnp.where(hidden, y, value)

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """As of the middle of each interval, the limit itself where there is but one."""
        return start_of_real(self.mu, jax.vmap(self.value)(y), weight), jnp.zeros(0)

    def value(self, y: jax.Array) -> jax.Array:
        """The middle of the interval, or its only limit."""
        left, right = jnp.isneginf(y[0]), jnp.isposinf(y[1])
        lower, upper = jnp.where(left, y[1], y[0]), jnp.where(right, y[0], y[1])
        return 0.5 * (lower + upper)

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            crossed = y[:, 0] > y[:, 1]
            unbounded = (np.isinf(y[:, 0]) & np.isinf(y[:, 1])) | np.isposinf(y[:, 0]) | np.isneginf(y[:, 1])
        if not (crossed | unbounded).any():
            return None
        at = int(np.flatnonzero(crossed | unbounded)[0])
        return (
            f"censored needs lower <= upper with one of them finite; row {at + 1} has {y[at, 0]:g} and "
            f"{y[at, 1]:g}: write -inf, limit for a value below the limit, and leave unknown values empty"
        )
