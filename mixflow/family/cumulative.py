"""Ordered categories: cumulative link models (proportional odds with the logit link)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family, Predictor, first_outside
from mixflow.family.intervals import log_between
from mixflow.family.links import LOGIT, Link, ProbabilityLink

Thresholds = Literal["flexible", "symmetric", "equidistant"]
HELD = 20.0
"""log gap of a threshold that no observed category needs: e^20 away, F there is one."""


@dataclass(frozen=True)
class Cumulative(Family):
    """P(Y <= k) = F(alpha_k - eta), k = 0 ... levels - 2, with the signs of ordinal's clmm; no intercept beside it.

    A response is its category's position, 0 ... levels - 1. ``own`` holds a location and the logarithms of the
    gaps between neighbouring thresholds: ``flexible`` the first threshold and levels - 2 gaps, ``symmetric``
    the middle of all thresholds and the gaps of one side, ``equidistant`` the first threshold and one gap.
    ``natural`` gives all thresholds. ``labels`` name the categories, else they are 1, 2, ...
    """

    name = "cumulative"
    words = "cumulative link model of ordered categories"
    links = ("logit", "probit", "cloglog")
    filler = (0.0,)
    discrete = True
    intercept = False
    mu: Link = LOGIT
    levels: int = 0
    thresholds: Thresholds = "flexible"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.levels < 3:
            raise MixflowError(
                Problem(
                    "a cumulative model needs at least three ordered categories",
                    value=self.levels,
                    remedy="two categories are a binomial outcome",
                )
            )
        if self.thresholds not in ("flexible", "symmetric", "equidistant"):
            raise MixflowError(
                Problem(
                    "there are no such thresholds",
                    value=self.thresholds,
                    remedy="choose one of flexible, symmetric, equidistant",
                )
            )

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("mu", self.mu),)

    @property
    def ratio(self) -> str:
        """The odds of a higher category; with the other links exp of a difference is nothing that has a name."""
        return self.mu.ratio if self.mu == LOGIT else ""

    @property
    def _link(self) -> ProbabilityLink:
        return cast(ProbabilityLink, self.mu)

    @property
    def own(self) -> tuple[str, ...]:
        names = self.labels or tuple(str(k) for k in range(1, self.levels + 1))
        return tuple(f"{low}|{high}" for low, high in itertools.pairwise(names))

    @property
    def n_own(self) -> int:
        return 1 + int(self._gap_of.max()) + 1

    @property
    def _gap_of(self) -> np.ndarray:
        """Which log gap stands between thresholds k and k + 1. Int (levels - 2,)."""
        k = np.arange(self.levels - 2)
        if self.thresholds == "flexible":
            return k
        return np.minimum(k, k[::-1]) if self.thresholds == "symmetric" else np.zeros_like(k)

    def _log_gaps(self, own: jax.Array) -> jax.Array:
        return own[1:][self._gap_of]

    def natural(self, own: jax.Array) -> jax.Array:
        """All levels - 1 thresholds."""
        steps = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(self._log_gaps(own)))])
        centre = 0.5 * steps[-1] if self.thresholds == "symmetric" else 0.0
        return own[0] - centre + steps

    def _at(self, k: jax.Array, values: jax.Array) -> jax.Array:
        """values[k], zero where k is outside; a sum, since gathers under vmap are slow."""
        return jnp.sum(jnp.where(k == jnp.arange(values.shape[0]), values, 0.0))

    def log_density(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        alpha, k = self.natural(own), y[0]
        first, last = k <= 0, k >= self.levels - 1
        lower = self._at(k - 1, alpha) - eta[0]
        inner = log_between(
            self.mu, jnp.where(first | last, 0.0, lower), self._at(k - 1, self._log_gaps(own))
        )
        lowest = self._link.log_inverse(alpha[0] - eta[0])
        highest = self._link.log_complement(jnp.where(last, lower, 0.0))
        return jnp.where(first, lowest, jnp.where(last, highest, inner))

    def probabilities(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """Of all categories. (levels,)"""
        categories = jnp.arange(self.levels, dtype=eta.dtype)[:, None]
        return jnp.exp(jax.vmap(lambda k: self.log_density(k, eta, own))(categories))

    def mean(self, eta: jax.Array, own: jax.Array) -> jax.Array:
        """The expected position."""
        return self.probabilities(eta, own) @ jnp.arange(self.levels, dtype=eta.dtype)

    def variance(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        k = jnp.arange(self.levels, dtype=eta.dtype)
        return self.probabilities(eta, own) @ (k - self.mean(eta, own)) ** 2

    def cdf(self, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        below = self.mu.inverse(self._at(y[0], self.natural(own)) - eta[0])
        return jnp.where(y[0] >= self.levels - 1, 1.0, below)

    def simulate(self, key: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        u = jax.random.uniform(key, dtype=eta.dtype)
        return jnp.sum(u > self.mu.inverse(self.natural(own) - eta[0])).astype(eta.dtype)[None]

    def start(self, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The thresholds of the shares of all rows together, half a row added to each category."""
        held = y[:, :1] == jnp.arange(self.levels)
        counts = 0.5 + jnp.sum(jnp.where(held & (weight > 0)[:, None], weight[:, None], 0.0), axis=0)
        alpha = self.mu.link(jnp.cumsum(counts)[:-1] / jnp.sum(counts))
        gaps = jnp.diff(alpha)
        if self.thresholds == "flexible":
            highest = jnp.max(jnp.where(counts > 0.5, jnp.arange(self.levels), 0))
            unused = jnp.arange(1, self.levels - 1) >= highest  # of categories that `without_empty` took away
            return jnp.zeros(1), jnp.concatenate([alpha[:1], jnp.where(unused, HELD, jnp.log(gaps))])
        pooled = jnp.stack([jnp.log(gaps[self._gap_of == j].mean()) for j in range(self.n_own - 1)])
        location = 0.5 * (alpha[0] + alpha[-1]) if self.thresholds == "symmetric" else alpha[0]
        return jnp.zeros(1), jnp.concatenate([location[None], pooled])

    def problems(self, y: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            column = y[:, 0]
            found = first_outside(
                column, (column < 0) | (column >= self.levels) | (column != np.floor(column))
            )
        if found is None:
            return None
        return f"cumulative needs positions of categories from 0 to {self.levels - 1}; {found} is none"

    def without_empty(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One feature's y (n,) on its observed categories, own parameters to hold (NaN: free), and the categories.

        Flexible thresholds beside an empty category have no finite estimate each, but the likelihood has its
        maximum: that of the observed categories alone. They are numbered anew from 0, and the gaps that are no
        longer needed are held at ``HELD``. Symmetric and equidistant thresholds stay as they are.
        """
        held = np.full(self.n_own, np.nan)
        present = np.unique(y[~np.isnan(y)])
        if self.thresholds != "flexible" or present.size == 0:
            return y, held, np.arange(self.levels, dtype=float)
        anew = np.where(np.isnan(y), np.nan, np.searchsorted(present, np.where(np.isnan(y), present[0], y)))
        held[max(present.size - 1, 1) :] = HELD
        return anew, held, present

    def all_thresholds(self, natural: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Thresholds between all categories, of those between the observed ones (``without_empty``).

        An empty category in the middle has the same threshold on both sides, those at the ends lie at infinity.
        """
        between = np.concatenate([[-np.inf], natural[: present.size - 1], [np.inf]])
        return between[np.searchsorted(present, np.arange(self.levels - 1), side="right")]
