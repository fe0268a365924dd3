"""One list of families with predictors, responses and scipy's distribution of the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy import special, stats

from mixflow.backend import jax, jnp
from mixflow.family import Family, named

COUNTS = [0.0, 1.0, 2.0, 7.0, 40.0]
POSITIVE = [1e-3, 0.4, 1.0, 3.0, 25.0]
SHARES = [1e-4, 0.2, 0.5, 0.9, 0.9999]
REAL = [-30.0, -1.0, 0.0, 0.7, 5.0]


@dataclass(frozen=True)
class Case:
    """``scipy(eta, own)`` gives a frozen distribution of value(y), or None where scipy has none."""

    label: str
    family: Family
    y: list[Any]
    eta: list[list[float]]
    own: list[float] = field(default_factory=list)
    scipy: Callable[[np.ndarray, np.ndarray], Any] | None = None

    @property
    def responses(self) -> np.ndarray:
        """(n, c)."""
        return np.array(self.y, float).reshape(len(self.y), -1)

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Every response with every predictor. (m, c), (m, d)"""
        y, eta = self.responses, np.array(self.eta, float)
        return np.repeat(y, len(eta), axis=0), np.tile(eta, (len(y), 1))


def nbinom1(e: np.ndarray, _: np.ndarray) -> Any:
    mu, phi = np.exp(e[0]), np.exp(e[1])
    return stats.nbinom(mu / phi, 1 / (1 + phi))


def nbinom2(e: np.ndarray, _: np.ndarray) -> Any:
    mu, phi = np.exp(e[0]), np.exp(e[1])
    return stats.nbinom(phi, phi / (phi + mu))


def beta(e: np.ndarray, _: np.ndarray) -> Any:
    mu, phi = special.expit(e[0]), np.exp(e[1])
    return stats.beta(mu * phi, (1 - mu) * phi)


def lognormal(e: np.ndarray, _: np.ndarray) -> Any:
    mu, sd = np.exp(e[0]), np.exp(e[1])
    variance = np.log1p((sd / mu) ** 2)
    return stats.lognorm(np.sqrt(variance), scale=mu / np.exp(variance / 2))


TWO = [[-1.0, 0.5], [0.7, -1.0], [1.5, 2.0]]
ONE = [[-2.0], [0.3], [2.5]]
TRIALS = [[0.0, 1.0], [1.0, 0.0], [3.0, 4.0], [0.0, 12.0], [12.0, 0.0], [20.0, 11.0]]
CATEGORIES = [0.0, 1.0, 2.0, 3.0, 4.0]
LIMITS = [[0.3, 0.3], [-np.inf, -1.0], [1.2, np.inf], [-0.5, 2.0], [0.1, 0.1001], [8.0, 9.0]]

CASES = [
    Case("gaussian", named("gaussian"), REAL, TWO, [], lambda e, o: stats.norm(e[0], np.exp(e[1]))),
    Case("gaussian log", named("gaussian", "log"), REAL, TWO, [],
         lambda e, o: stats.norm(np.exp(e[0]), np.exp(e[1]))),
    Case("t", named("t"), REAL, TWO, [0.9], lambda e, o: stats.t(np.exp(o[0]), e[0], np.exp(e[1]))),
    Case("t near Cauchy", named("t"), REAL, TWO, [-0.7], lambda e, o: stats.t(np.exp(o[0]), e[0], np.exp(e[1]))),
    Case("censored", named("censored"), LIMITS, TWO),
    Case("binomial", named("binomial"), TRIALS, ONE),
    Case("binomial probit", named("binomial", "probit"), TRIALS, ONE),
    Case("binomial cloglog", named("binomial", "cloglog"), TRIALS, ONE),
    Case("betabinomial", named("betabinomial"), TRIALS, TWO),
    Case("betabinomial cloglog", named("betabinomial", "cloglog"), TRIALS, TWO),
    Case("poisson", named("poisson"), COUNTS, ONE, [], lambda e, o: stats.poisson(np.exp(e[0]))),
    Case("poisson sqrt", named("poisson", "sqrt"), COUNTS, [[0.4], [2.5]], [], lambda e, o: stats.poisson(e[0] ** 2)),
    Case("poisson identity", named("poisson", "identity"), COUNTS, [[0.4], [6.5]], [],
         lambda e, o: stats.poisson(e[0])),
    Case("nbinom1", named("nbinom1"), COUNTS, TWO, [], nbinom1),
    Case("nbinom2", named("nbinom2"), COUNTS, TWO, [], nbinom2),
    Case("truncated_poisson", named("truncated_poisson"), COUNTS[1:], ONE),
    Case("truncated_nbinom1", named("truncated_nbinom1"), COUNTS[1:], TWO),
    Case("truncated_nbinom2", named("truncated_nbinom2"), COUNTS[1:], TWO),
    Case("zero-inflated poisson", named("poisson", zi=True), COUNTS, TWO),
    Case("zero-inflated nbinom2", named("nbinom2", zi=True), COUNTS, [[*e, -0.5] for e in TWO]),
    Case("hurdle nbinom1", named("truncated_nbinom1", zi=True), COUNTS, [[*e, -0.5] for e in TWO]),
    Case("hurdle Gamma", named("Gamma", zi=True), [0.0, *POSITIVE], [[*e, -0.5] for e in TWO]),
    Case("Gamma", named("Gamma"), POSITIVE, TWO, [],
         lambda e, o: stats.gamma(np.exp(e[1]), scale=np.exp(e[0] - e[1]))),
    Case("Gamma inverse", named("Gamma", "inverse"), POSITIVE, [[0.3, 0.5], [2.0, -0.4]], [],
         lambda e, o: stats.gamma(np.exp(e[1]), scale=np.exp(-e[1]) / e[0])),
    Case("lognormal", named("lognormal"), POSITIVE, TWO, [], lognormal),
    Case("tweedie", named("tweedie"), [0.0, *POSITIVE], TWO, [0.2]),
    Case("tweedie near Poisson", named("tweedie"), [0.0, 0.4, 1.0, 3.0], TWO, [-2.5]),
    Case("tweedie near Gamma", named("tweedie"), [0.0, *POSITIVE], TWO, [2.5]),
    Case("beta", named("beta"), SHARES, TWO, [], beta),
    Case("ordbeta", named("ordbeta"), [0.0, *SHARES, 1.0], TWO, [-1.1, 0.8]),
    Case("cumulative", named("cumulative", levels=5), CATEGORIES, ONE, [-1.0, 0.2, -0.3, 0.4]),
    Case("cumulative probit", named("cumulative", "probit", levels=5, thresholds="symmetric"), CATEGORIES, ONE,
         [0.2, 0.1, -0.4]),
    Case("cumulative cloglog", named("cumulative", "cloglog", levels=5, thresholds="equidistant"), CATEGORIES, ONE,
         [-1.2, -0.3]),
]  # fmt: skip
BY_LABEL = {case.label: case for case in CASES}


PAD = 64


def along(family: Family, y: np.ndarray, eta: np.ndarray, own: Any, direction: np.ndarray) -> np.ndarray:
    """log density and its first three derivatives by s at (eta, own) + s direction, s = 0. (4, m)"""
    m = len(y)
    parameters = np.concatenate([eta, np.broadcast_to(np.asarray(own, float), (m, family.n_own))], axis=1)
    rows = np.minimum(np.arange(-(-m // PAD) * PAD), m - 1)
    direction = np.broadcast_to(direction, parameters.shape)
    return np.array(_directional(family)(*map(jnp.asarray, (y[rows], parameters[rows], direction[rows]))))[
        :, :m
    ]


@cache
def _directional(family: Family) -> Callable[..., Any]:
    d = len(family.predictors)

    def all_orders(y: jax.Array, parameters: jax.Array, direction: jax.Array) -> tuple[jax.Array, ...]:
        def density(s: jax.Array) -> jax.Array:
            at = parameters + s * direction
            return family.log_density(y, at[:d], at[d:])

        orders = [density]
        for _ in range(3):
            orders.append(_slope(orders[-1]))
        return tuple(order(jnp.zeros(())) for order in orders)

    return jax.jit(jax.vmap(all_orders))


def _slope(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    return lambda s: jax.jvp(function, (s,), (jnp.ones(()),))[1]


def every(family: Family, question: str, y: Any, eta: Any, own: Any) -> np.ndarray:
    """``family.question(y, eta, own)`` of many data (m, c), (m, d), the same own; padded to one shape."""
    y, eta = np.asarray(y, float), np.asarray(eta, float)
    rows = np.minimum(np.arange(-(-len(y) // PAD) * PAD), len(y) - 1)
    found = _compiled(family, question)(jnp.asarray(y[rows]), jnp.asarray(eta[rows]), jnp.asarray(own, float))
    return np.asarray(found)[: len(y)]


@cache
def _compiled(family: Family, question: str) -> Callable[..., Any]:
    if question == "mean":
        return jax.jit(lambda y, eta, own: jax.vmap(family.mean, (0, None))(eta, own))
    return jax.jit(jax.vmap(getattr(family, question), (0, 0, None)))
