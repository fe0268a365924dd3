"""More zeros than a distribution has: zero inflation and hurdles, with a logit predictor ``zi`` of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family, Predictor, first_outside, weighted_moments
from mixflow.family.counts import CountFamily
from mixflow.family.links import LOGIT
from mixflow.family.special import log_add, softplus


@dataclass(frozen=True)
class _WithZeros(Family):
    """A family and a predictor ``zi`` (logit): the last of eta."""

    part: Family
    filler = (0.0,)

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (*self.part.predictors, Predictor("zi", LOGIT))

    @property
    def base(self) -> Family:
        return self.part

    @property
    def ratio(self) -> str:
        return self.part.ratio

    @property
    def own(self) -> tuple[str, ...]:
        return self.part.own

    @property
    def n_own(self) -> int:
        return self.part.n_own

    def natural(self, own: jax.Array) -> jax.Array:
        return self.part.natural(own)

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jax.lax.logistic(-eta[-1]) * self.part.mean(eta[:-1], own)

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        some, mean = jax.lax.logistic(-eta[-1]), self.part.mean(eta[:-1], own)
        return some * (self.part.variance(y, eta[:-1], own) + jax.lax.logistic(eta[-1]) * mean * mean)

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        zero, rest = jax.lax.logistic(eta[-1]), jax.lax.logistic(-eta[-1])
        below = zero + rest * self._cdf_of_part(y, eta[:-1], own)
        return jnp.where(y[0] < 0, 0.0, below)

    @abstractmethod
    def _cdf_of_part(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """P(Y <= y) of the part."""

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        of_zero, of_part = jax.random.split(key)
        zero = jax.random.uniform(of_zero, dtype=eta.dtype) < jax.lax.logistic(eta[-1])
        return jnp.where(zero, 0.0, self.part.simulate(of_part, y, eta[:-1], own))


@dataclass(frozen=True)
class ZeroInflated(_WithZeros):
    """Zero with probability zi, else a count of ``part``, which may be zero too (Lambert, 1992)."""

    name = "zero_inflated"
    words = "zero-inflated"
    part: CountFamily
    discrete = True

    @property
    def title(self) -> str:
        return f"zero-inflated {self.part.title}"

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.log_kernel(y, eta, own) + self.constant(y)

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        inner, none = self.part.log_kernel(y, eta[:-1], own), self.part.log_none(eta[:-1], own)
        rest = -softplus(eta[-1])
        # rest + log(e^zi + f(0)) = log(zi + (1 - zi) f(0)); f is finite, or the predictor has no mean.
        safe = jnp.maximum(none, -1e300)
        at_zero = jnp.where(jnp.isfinite(none), rest + log_add(eta[-1], safe), -jnp.inf)
        return jnp.where(y[0] > 0, rest + inner, at_zero)

    def constant(self, y: jax.Array) -> jax.Array:
        return self.part.constant(y)

    def _cdf_of_part(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.part.cdf(y, eta, own)

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The part has the zeros of a geometric with the mean of the others, at most half; the rest is inflation."""
        zero = y[:, 0] <= 0
        zeros, others = jnp.sum(jnp.where(zero, weight, 0.0)), jnp.sum(jnp.where(zero, 0.0, weight))
        mean, _ = weighted_moments(y[:, 0], jnp.where(zero, 0.0, weight))
        kept = jnp.minimum(0.5, others / jnp.maximum(mean * zeros, 1e-12))
        eta, own = self.part.start(y, jnp.where(zero, kept, 1.0) * weight)
        share = ((1.0 - kept) * zeros + 0.5) / (jnp.sum(weight) + 1.0)
        return jnp.append(eta, LOGIT.link(share)), own

    def problems(self, y: np.ndarray) -> str | None:
        return self.part.problems(y)


@dataclass(frozen=True)
class Hurdle(_WithZeros):
    """Zero with probability zi, else a response of ``part``, which is never zero (Mullahy, 1986)."""

    name = "hurdle"
    words = "hurdle"

    def __post_init__(self) -> None:
        object.__setattr__(self, "discrete", self.part.discrete)

    @property
    def title(self) -> str:
        return f"hurdle {self.part.title}"

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return self.log_kernel(y, eta, own) + self.constant(y)

    def constant(self, y: jax.Array) -> jax.Array:
        return jnp.where(y[0] <= 0, 0.0, self.part.constant(self._filled(y)))

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        zero = y[0] <= 0
        inner = self.part.log_kernel(self._filled(y), eta[:-1], own)
        return jnp.where(zero, -softplus(-eta[-1]), -softplus(eta[-1]) + jnp.where(zero, 0.0, inner))

    def _filled(self, y: jax.Array) -> jax.Array:
        return jnp.where(y[0] <= 0, jnp.asarray(self.part.filler, y.dtype), y)

    def _cdf_of_part(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.where(y[0] <= 0, 0.0, self.part.cdf(self._filled(y), eta, own))

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        if self.discrete:
            return super().cdf_below(y, eta, own)
        return jnp.where(y[0] <= 0, 0.0, self.cdf(y, eta, own))

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        zeros = jnp.sum(jnp.where(y[:, 0] <= 0, weight, 0.0))
        eta, own = self.part.start(y, jnp.where(y[:, 0] <= 0, 0.0, weight))
        return jnp.append(eta, LOGIT.link((zeros + 0.5) / (jnp.sum(weight) + 1.0))), own

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            found = first_outside(y[:, 0], y[:, 0] < 0)
        if found is not None:
            return f"{self.title} needs values from 0 upwards; {found} is none"
        return self.part.problems(np.where(y == 0, np.nan, y))


def with_zeros(family: Family) -> Family:
    """The family with a predictor ``zi``: inflation of a count, a hurdle before what is never zero."""
    if isinstance(family, CountFamily):
        return ZeroInflated(family)
    if family.without_zero:
        return Hurdle(family)
    raise MixflowError(
        Problem(
            f"the family {family.name} takes no `zi`",
            remedy="zero inflation is for poisson, nbinom1 and nbinom2; hurdles for truncated_poisson, "
            "truncated_nbinom1, truncated_nbinom2, Gamma, lognormal and beta",
        )
    )
