"""How a structure's covariance moves with its natural parameters: what Kenward and Roger ask for."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.covariance.base import Covariance
from mixflow.covariance.diagonal import Diagonal
from mixflow.covariance.identity import Identity
from mixflow.covariance.pooled import Pooled
from mixflow.covariance.unstructured import Unstructured


class Directions(NamedTuple):
    """Derivatives of M = Lambda Lambda' by s natural parameters (variances, covariances, correlations).

    ``first`` (s, k, k); ``second`` (s, s, k, k), None where M is linear in them; ``weights`` (s,) with
    M = sum_i weights_i first_i (a covariance is linear in its variances).
    """

    first: Array
    second: Array | None
    weights: Array


@singledispatch
def directions(effect: Covariance, theta: jax.Array) -> Directions:
    """The directions of one structure at theta; their order is that of `natural_scaling`."""
    raise TypeError(f"{type(effect).__name__} does not say how it moves with its natural parameters")


@singledispatch
def natural_scaling(effect: Covariance, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How natural parameters scale: (u, degree), each (s,).

    The parameter for columns divided by ``columns`` (k,) and relative to sigma is u / sigma^(2 degree) times
    the user's: degree 1 for variances and covariances, 0 for correlations.
    """
    raise TypeError(f"{type(effect).__name__} does not say how its natural parameters scale")


@directions.register
def _(effect: Identity, theta: jax.Array) -> Directions:
    return Directions(jnp.zeros((0, effect.size, effect.size)), None, jnp.zeros(0))


@natural_scaling.register
def _(effect: Identity, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(0), np.ones(0)


@directions.register
def _(effect: Diagonal, theta: jax.Array) -> Directions:
    """The k variances."""
    k = effect.size
    return Directions(jnp.asarray(_variances(k)), None, theta**2)


@natural_scaling.register
def _(effect: Diagonal, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return columns**2, np.ones(effect.size)


@directions.register
def _(effect: Unstructured, theta: jax.Array) -> Directions:
    """The k variances, then the covariances (a, b), a < b."""
    k = effect.size
    factor = effect.factor(theta)
    rows, columns = _pairs(k)
    first = _variances(k)
    if k > 1:
        cross = np.zeros((len(rows), k, k))
        cross[np.arange(len(rows)), rows, columns] = cross[np.arange(len(rows)), columns, rows] = 1.0
        first = np.concatenate([first, cross])
    a, b = np.concatenate([np.arange(k), rows]), np.concatenate([np.arange(k), columns])
    return Directions(jnp.asarray(first), None, (factor @ factor.T)[a, b])


@natural_scaling.register
def _(effect: Unstructured, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, others = _pairs(effect.size)
    scale = np.concatenate([columns**2, columns[rows] * columns[others]])
    return scale, np.ones(len(scale))


@directions.register
def _(effect: Pooled, theta: jax.Array) -> Directions:
    """The one variance."""
    return Directions(jnp.asarray((effect.fixed @ effect.fixed.T)[None]), None, theta**2)


@natural_scaling.register
def _(effect: Pooled, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return columns[:1] ** 2, np.ones(1)


def _variances(k: int) -> np.ndarray:
    first = np.zeros((k, k, k))
    first[np.arange(k), np.arange(k), np.arange(k)] = 1.0
    return first


def _pairs(k: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.triu_indices(k, 1)
    return rows, columns
