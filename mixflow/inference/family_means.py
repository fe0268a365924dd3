"""A family's answer on the response scale at many linear predictors, with its derivatives, row by row."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from mixflow.backend import jax, jnp
from mixflow.family import Family
from mixflow.family.cumulative import Cumulative
from mixflow.family.links import LOG, LOGIT, Link

BLOCK = 2048
"""Rows that a kernel takes at once; the last block is padded to it."""

NODES = {1: 100, 2: 40}
"""Points of the Gauss-Hermite rule by the number of predictors that have random effects."""

PLACES = (-0.8, 0.3, 1.2)
"""Predictors at which it is seen whether a family's mean is the inverse of its link."""


def answers(family: Family) -> tuple[str, ...]:
    """Names of what a row's answer holds: one mean, or each category's probability."""
    return tuple(str(k + 1) for k in range(family.levels)) if isinstance(family, Cumulative) else ("",)


def answer(family: Family, eta: jax.Array, own: jax.Array) -> jax.Array:
    """The mean (1,), or the probabilities of all categories, of one row."""
    if isinstance(family, Cumulative):
        return family.probabilities(eta, own)
    return family.mean(eta, own)[None]


@lru_cache(maxsize=64)
def plain(family: Family) -> bool:
    """Whether the mean is the inverse link of mu and nothing else: its limits are those of the link scale."""
    if isinstance(family, Cumulative):
        return False
    own, d = jnp.zeros(family.n_own), len(family.predictors)
    for place in PLACES:
        for others in PLACES:
            eta = jnp.full(d, others).at[0].set(abs(place))
            straight = family.predictors[0].link.inverse(eta[0])
            if not np.isclose(family.mean(eta, own), straight, rtol=1e-12):
                return False
    return True


def scale_of(family: Family) -> Link:
    """The scale on which limits of an answer are made: the link, log of other means, logit of probabilities."""
    if isinstance(family, Cumulative):
        return LOGIT
    return family.predictors[0].link if plain(family) else LOG


def expected(
    family: Family, eta: np.ndarray, own: np.ndarray, spread: np.ndarray | None = None, slopes: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Answers (N, m, r) at eta (N, m, d) and own (N, o), by eta (N, m, r, d), spread and own (N, m, r, o).

    ``spread`` (N, m, d): standard deviations of normal, independent random parts of the predictors over which
    the answer is averaged (Gauss-Hermite). Without ``slopes`` these are empty.
    """
    n, m, d = eta.shape
    averaged = () if spread is None else tuple(int(j) for j in np.flatnonzero((spread > 0).any(axis=(0, 1))))
    sd = np.zeros_like(eta) if spread is None else spread
    owns = np.repeat(own, m, axis=0)
    kernel = _kernel(family, averaged, slopes)
    found = rowwise(kernel, eta.reshape(-1, d), sd.reshape(-1, d), owns)
    if not slopes:
        empty = np.zeros((n, m, 0, 0))
        return found.reshape(n, m, found.shape[1]), empty, empty, empty
    value, by_eta, by_sd, by_own = found
    r = value.shape[1]
    shape = lambda a: a.reshape(n, m, r, -1) if a.size else np.zeros((n, m, r, a.shape[-1]))  # noqa: E731
    return value.reshape(n, m, r), shape(by_eta), shape(by_sd), shape(by_own)


def rowwise(kernel: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """``kernel`` of blocks of rows of one size, as numpy arrays."""
    total = len(arrays[0])
    parts = []
    for first in range(0, max(total, 1), BLOCK):
        rows = np.minimum(np.arange(first, first + BLOCK), max(total - 1, 0))
        if not total:
            arrays = tuple(np.zeros((1, *a.shape[1:])) for a in arrays)
        kept = slice(0, total - first)
        found = kernel(*(a[rows] for a in arrays))
        parts.append(jax.tree.map(lambda a, kept=kept: np.asarray(a)[kept], found))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@lru_cache(maxsize=64)
def _kernel(family: Family, averaged: tuple[int, ...], slopes: bool) -> Callable[..., Any]:
    places, weights = _rule(len(family.predictors), averaged)

    def one(eta: jax.Array, sd: jax.Array, own: jax.Array) -> jax.Array:
        at = jax.vmap(lambda x: answer(family, eta + sd * x, own))(places)
        return jnp.asarray(weights) @ at

    if not slopes:
        return jax.jit(jax.vmap(one))
    both = lambda eta, sd, own: (one(eta, sd, own), *jax.jacfwd(one, argnums=(0, 1, 2))(eta, sd, own))  # noqa: E731
    return jax.jit(jax.vmap(both))


def _rule(d: int, averaged: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal product rule over some of d predictors: places (Q, d), weights (Q,)."""
    if not averaged:
        return np.zeros((1, d)), np.ones(1)
    x, w = hermegauss(NODES.get(len(averaged), 20))
    grids = np.meshgrid(*[x] * len(averaged), indexing="ij")
    places = np.zeros((grids[0].size, d))
    for j, own in zip(averaged, grids, strict=True):
        places[:, j] = own.ravel()
    weights = np.ones(1)
    for _ in averaged:
        weights = np.outer(weights, w / w.sum()).ravel()
    return places, weights
