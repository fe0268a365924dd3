"""What a family answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.family.links import LOG, Link


@dataclass(frozen=True)
class Predictor:
    """A distributional parameter with a linear predictor: ``mu``, ``dispersion`` or ``zi``, and its link."""

    name: str
    link: Link


@dataclass(frozen=True)
class Family(ABC):
    """Conditional density of one response y (c,) given predictors eta (d,) and own parameters (o,).

    All functions are for one datum, traced by JAX, in float64, and know nothing of random effects. ``own`` is
    always on the unconstrained scale on which it is optimised; ``natural`` gives what is reported. Frozen and
    hashable: a static argument of the compiled kernels. The value and its first three derivatives by eta and own
    are finite and right for predictors of +-700; outside the range of a link (mu < 0 for an identity link of a
    count) the log density is -inf.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    """The family as a report calls it."""
    spread: ClassVar[str] = ""
    """What φ = exp(dispersion predictor) is; empty where the family has none."""
    simpler: ClassVar[str] = ""
    """The family that is left where dispersion or own parameter has no finite estimate."""
    links: ClassVar[tuple[str, ...]]
    """Links of mu that the family takes, its default first."""
    columns: ClassVar[tuple[str, ...]] = ("y",)
    """What one response is."""
    filler: ClassVar[tuple[float, ...]] = (1.0,)
    """A response inside the support, to stand in rows of weight zero."""
    discrete: ClassVar[bool] = False
    location_scale: ClassVar[bool] = False
    """Whether y / c has this distribution with mu / c and phi / c (identity link)."""
    log_concave: ClassVar[bool] = True
    """Whether ``information`` need not be asked: false where outliers bend the log density upwards in mu."""
    without_zero: ClassVar[bool] = False
    """Whether the support is positive, so that zeros are a hurdle's."""
    intercept: ClassVar[bool] = True
    """Whether mu has an intercept; thresholds take its place."""

    @property
    def title(self) -> str:
        """The family in words of a report, with what was added to it."""
        return self.words

    @property
    def base(self) -> Family:
        """The family without what was added to it: as ``named`` finds it."""
        return self

    @property
    def ratio(self) -> str:
        """What exp of a difference of two predictors of mu is; empty where it is nothing."""
        return self.predictors[0].link.ratio

    @property
    @abstractmethod
    def predictors(self) -> tuple[Predictor, ...]:
        """``mu`` first."""

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the parameters that belong to no predictor, as ``natural`` gives them."""
        return ()

    @property
    def n_own(self) -> int:
        """Length of the unconstrained own parameters (fewer than names where thresholds share a spacing)."""
        return len(self.own)

    def natural(self, own: jax.Array) -> jax.Array:
        """Unconstrained (n_own,) -> natural (len(own names),)."""
        return own

    @abstractmethod
    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """log f(y | eta, own) with all constants, as R's d-functions and glmmTMB have them."""

    def log_kernel(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array:
        """log f less ``constant(y)``, computed in each iteration; ``eta`` is indexed alone: a tuple may stand."""
        return self.log_density(y, eta, own)

    def constant(self, y: jax.Array) -> jax.Array:
        """The part of log f that hangs on y alone: computed once."""
        return jnp.zeros(())

    @abstractmethod
    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """E(value(y)): the answer on the response scale (a probability for the binomial)."""

    @abstractmethod
    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Var(value(Y)); of y only what is not random is looked at (trials, limits)."""

    @abstractmethod
    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """P(Y <= y)."""

    def cdf_below(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """P(Y < y): with ``cdf`` the interval of a randomised quantile residual (Dunn and Smyth, 1996)."""
        if not self.discrete:
            return self.cdf(y, eta, own)
        return jnp.where(y[0] > 0, self.cdf(y.at[0].add(-1.0), eta, own), 0.0)

    @abstractmethod
    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        """A draw (c,) in the place of y, with its trials or limits."""

    def information(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Expected information of one datum by the predictors (d, d), of families that are not log-concave."""
        raise TypeError(f"{self.name} is taken as log-concave: nothing asks for its expected information")

    def majorant(self, y: jax.Array, eta: Any, own: jax.Array) -> jax.Array | None:
        """Curvature by eta of mu of a parabola that touches minus log f there and lies above it elsewhere."""
        return None

    @abstractmethod
    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Rough closed-form eta (d,) and own (n_own,) of a feature's y (n, c), weight (n,), without any model."""

    @abstractmethod
    def problems(self, y: np.ndarray) -> str | None:
        """The first response (n, c) outside the support, and the way out, as a sentence; NaN is missing."""

    def value(self, y: jax.Array) -> jax.Array:
        """The number whose expectation is ``mean``."""
        return y[0]


def _mean_and_dispersion(family: Any) -> tuple[Predictor, ...]:
    return (Predictor("mu", family.mu), Predictor("dispersion", LOG))


MEAN_AND_DISPERSION = property(_mean_and_dispersion)
"""``predictors`` of the families whose mean has the link ``mu`` and whose dispersion the log."""


def weighted_moments(y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of y (n,); rows of weight zero may hold anything. 0 and 1 where there are no rows."""
    seen = jnp.where(weight > 0, y, 0.0)
    total = jnp.sum(weight)
    safe = jnp.where(total > 0, total, 1.0)
    mean = jnp.sum(weight * seen) / safe
    variance = jnp.sum(weight * jnp.where(weight > 0, y - mean, 0.0) ** 2) / safe
    return mean, jnp.where(total > 0, variance, 1.0)


def log_mean(link: Link, eta: jax.Array) -> tuple[jax.Array, jax.Array | bool]:
    """log mu of a link to a positive mean, finite everywhere, and whether eta has such a mean at all."""
    inside = link.inside(eta)
    return link.log_inverse(eta if inside is True else jnp.where(inside, eta, 1.0)), inside


def only_inside(inside: jax.Array | bool, value: jax.Array) -> jax.Array:
    """A log density, -inf where the predictor has no mean."""
    return value if inside is True else jnp.where(inside, value, -jnp.inf)


def first_outside(y: np.ndarray, outside: np.ndarray) -> str | None:
    """``value 3.5 (at position 12)`` of the first response outside, else None; missing ones are not."""
    outside = outside & ~np.isnan(y)
    if not outside.any():
        return None
    at = int(np.flatnonzero(outside)[0])
    return f"value {y[at]:g} (at position {at + 1})"
