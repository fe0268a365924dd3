"""How a structure's covariance moves with its natural parameters: what Kenward and Roger ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.covariance.base import Covariance
from mixflow.covariance.correlation import (
    AR1,
    CompoundSymmetry,
    Correlation,
    OrnsteinUhlenbeck,
    UnstructuredByVisit,
)
from mixflow.covariance.diagonal import Diagonal
from mixflow.covariance.identity import Identity
from mixflow.covariance.pooled import Pooled
from mixflow.covariance.structured import Structured
from mixflow.covariance.unstructured import Unstructured
from mixflow.linalg.ldl import inverse, ldl


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


@directions.register
def _(effect: Structured, theta: jax.Array) -> Directions:
    """The one variance, or the k variances, then the correlation (rho, phi)."""
    where = jnp.asarray(effect.where)
    own = theta[effect.n_sds :]

    own, last = _own(effect.correlation, own)

    def matrix(t: jax.Array) -> jax.Array:
        sd = jnp.exp(t[: effect.n_sds] / 2) if effect.hetero else jnp.ones(effect.size)
        return sd[:, None] * last.matrix(t[-1:], where) * sd

    if effect.hetero:
        at = jnp.concatenate([2 * theta[: effect.n_sds], own])
        variances = jnp.exp(at[:-1])
        natural = lambda t: jnp.concatenate([jnp.exp(t[:-1]), last.natural(t[-1:])])  # noqa: E731
        first, second = by_natural(matrix, natural, at)
        return Directions(first, second, jnp.concatenate([variances, jnp.zeros(1)]))
    slope, curve = by_natural(matrix, last.natural, own)
    variance, slope, curve = theta[0] ** 2, slope[0], curve[0, 0]
    first = jnp.stack([matrix(own), variance * slope])
    second = jnp.stack([jnp.stack([jnp.zeros_like(slope), slope]), jnp.stack([slope, variance * curve])])
    return Directions(first, second, jnp.stack([variance, jnp.zeros(())]))


class _Own(NamedTuple):
    """A correlation by a parameter of its own: its matrix, and what of it is natural."""

    matrix: Callable[[jax.Array, jax.Array], jax.Array]
    natural: Callable[[jax.Array], jax.Array]


def _own(structure: Correlation, theta: jax.Array) -> tuple[jax.Array, _Own]:
    """The parameter (1,) by which to differentiate: rho where theta does not move it (at its lower bound)."""
    if isinstance(structure, CompoundSymmetry):
        return correlation(structure, theta), _Own(lambda t, where: structure.of(t[0], where), lambda t: t)
    return theta, _Own(structure.matrix, lambda t: correlation(structure, t))


@natural_scaling.register
def _(effect: Structured, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    degree = np.concatenate([np.ones(effect.n_sds), np.zeros(effect.correlation.n_params)])
    return np.ones(len(degree)), degree


@singledispatch
def correlation(structure: Correlation, theta: jax.Array) -> jax.Array:
    """The natural parameters of a correlation at one theta, traced by JAX (`Correlation.natural`)."""
    raise TypeError(f"{type(structure).__name__} does not say what its natural parameters are")


@correlation.register
def _(structure: AR1, theta: jax.Array) -> jax.Array:
    return theta / jnp.sqrt(1.0 + theta**2)


@correlation.register
def _(structure: OrnsteinUhlenbeck, theta: jax.Array) -> jax.Array:
    return (theta**2 / (1.0 + theta**2)) ** (1.0 / structure.unit)


@correlation.register
def _(structure: CompoundSymmetry, theta: jax.Array) -> jax.Array:
    return (theta**2 - 1.0) / (theta**2 + max(structure.size, 2) - 1.0)


@correlation.register
def _(structure: UnstructuredByVisit, theta: jax.Array) -> jax.Array:
    """Variances and covariances relative to the variance of the first visit, which is left out."""
    matrix = structure.matrix(theta, jnp.arange(structure.size))
    return matrix[structure._index]


def by_natural(
    matrix: Callable[[jax.Array], jax.Array], natural: Callable[[jax.Array], jax.Array], theta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """First (s, ...) and second (s, s, ...) derivatives of ``matrix`` by s natural parameters, not by theta.

    By the chain rule from those by theta, J the Jacobian of ``natural``: M_n = J^-T M_t,
    M_nn = J^-T (M_tt - sum_c H_c M_nc) J^-1.
    """
    slope, curve = jax.jacfwd(matrix)(theta), jax.jacfwd(jax.jacfwd(matrix))(theta)
    jacobian, bend = jax.jacfwd(natural)(theta), jax.jacfwd(jax.jacfwd(natural))(theta)
    back = 1.0 / jacobian if len(theta) == 1 else _inverse(jacobian)
    first = jnp.einsum("...a,ac->c...", slope, back)
    rest = curve - jnp.einsum("cab,c...->...ab", bend, first)
    return first, jnp.einsum("...ab,ac,bd->cd...", rest, back, back)


def _inverse(matrix: jax.Array) -> jax.Array:
    """Of a small matrix, by the normal equations: no LAPACK under vmap."""
    return inverse(*ldl(matrix.T @ matrix)) @ matrix.T


def _variances(k: int) -> np.ndarray:
    first = np.zeros((k, k, k))
    first[np.arange(k), np.arange(k), np.arange(k)] = 1.0
    return first


def _pairs(k: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.triu_indices(k, 1)
    return rows, columns


def by_theta(effect: Covariance, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First (s, k, k) and second (s, s, k, k) derivatives of Lambda Lambda' by theta itself."""

    def matrix(t: jax.Array) -> jax.Array:
        factor = effect.factor(t)
        return factor @ factor.T

    slope = jax.jacfwd(matrix)
    return jnp.moveaxis(slope(theta), -1, 0), jnp.moveaxis(jax.jacfwd(slope)(theta), (-2, -1), (0, 1))
