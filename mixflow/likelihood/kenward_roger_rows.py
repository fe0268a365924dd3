"""What moves V where the residual covariance hangs on theta: derivatives by natural parameters, unit by unit.

Natural parameters of the residual side: sigma^2 and rho (or phi), then the log-linear coefficients of the
dispersion. Where V is linear in other ones, these: covariances by visit (unstructured), and covariance and
variance (compound symmetry), so that it is the same as a random intercept.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.covariance import CompoundSymmetry, Correlation, Residual, UnstructuredByVisit
from mixflow.covariance.directions import Directions, by_natural, correlation, directions
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Rows


class Moves(NamedTuple):
    """``random``: `Directions` of each structure; of the s residual parameters by units of T rows.

    ``R`` (units, T, T) at sigma = 1; ``first`` (s, units, T, T); ``second`` (s, s, units, T, T).
    """

    random: tuple[Directions, ...]
    R: Array
    first: Array
    second: Array


def moves(layout: Layout, rows: Rows, theta: jax.Array) -> Moves:
    """All derivatives of V at theta and sigma = 1, for one feature."""
    residual = layout.residual
    assert residual is not None
    n = residual.rows
    where, seen = rows.where.reshape(-1, n), rows.seen.reshape(-1, n)
    dispersion = rows.dispersion.reshape(*where.shape, -1)

    def covariance(t: jax.Array) -> jax.Array:
        sd = jnp.exp(residual.log_sd(t[1:], dispersion)) * seen
        return t[0] * sd[:, :, None] * _correlations(residual, t[1:], where) * sd[:, None, :]

    def natural(t: jax.Array) -> jax.Array:
        c = residual.n_correlation
        own = t[:1] if residual.correlation is None else scaled(residual.correlation, t[0], t[1 : 1 + c])
        return jnp.concatenate([own, t[1 + c :]])

    at = jnp.concatenate([jnp.ones(1), theta[layout.residual_part]])
    first, second = by_natural(covariance, natural, at)
    random = tuple(directions(effect, theta[part]) for _, effect, part in layout.slices)
    return Moves(random, covariance(at), first, second)


def residual_degrees(residual: Residual) -> np.ndarray:
    """1 for a variance or covariance, 0 for a correlation or a coefficient of the dispersion. (s,)."""
    linear = isinstance(residual.correlation, CompoundSymmetry | UnstructuredByVisit)
    own = np.full(residual.n_correlation, float(linear))
    return np.concatenate([np.ones(1), own, np.zeros(residual.n_dispersion)])


def _correlations(residual: Residual, theta: jax.Array, where: jax.Array) -> jax.Array:
    """Correlation of each unit's rows. (units, T) -> (units, T, T)."""
    structure = residual.correlation
    if structure is None:
        return jnp.broadcast_to(jnp.eye(where.shape[1]), (*where.shape, where.shape[1]))
    own = theta[: residual.n_correlation]
    return jax.vmap(lambda place: structure.matrix(own, place))(where)


@singledispatch
def scaled(structure: Correlation, variance: jax.Array, theta: jax.Array) -> jax.Array:
    """Natural parameters of variance * C(theta): the variance, then those of C."""
    return jnp.concatenate([variance[None], correlation(structure, theta)])


@scaled.register
def _(structure: CompoundSymmetry, variance: jax.Array, theta: jax.Array) -> jax.Array:
    """Variance of a row by itself, and covariance of two."""
    rho = correlation(structure, theta)[0]
    return jnp.stack([variance * (1.0 - rho), variance * rho])


@scaled.register
def _(structure: UnstructuredByVisit, variance: jax.Array, theta: jax.Array) -> jax.Array:
    """Variances and covariances of the visits."""
    return variance * jnp.concatenate([jnp.ones(1), correlation(structure, theta)])
