"""Adaptive Gauss-Hermite quadrature over the effects of one grouping factor, on a product grid.

The integral over the k effects of a level is taken at u + L^-T D^(-1/2) x, with L D L' = H of that level at
its mode u and x the points of Gauss and Hermite (Pinheiro and Bates 1995, J. Comput. Graph. Stat. 4:12). One
point is Laplace's approximation.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample, cross_products, hessian, log_density, predictors
from mixflow.likelihood.laplace import Objective, curvature, laplace
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import arrow_factor
from mixflow.linalg.ldl import solve_unit_upper

AT_ONCE = 2**17
"""Rows times points up to which all points are computed side by side."""

MOST_POINTS = 5_000
"""Points of the product grid, at most."""


def objective_of(shape: Shape) -> Objective:
    """Laplace's approximation or the quadrature, as the shape says."""
    return laplace if shape.nodes == 1 or not shape.random else quadrature


def quadrature(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> jax.Array:
    """-2 log-likelihood, u the mode; one grouping factor."""
    f = arrow_factor(_width(shape, shared, sample, psi, u))
    grid, log_weight = _grid(shape.nodes, shape.layout.k_leading)
    root = jnp.sqrt(f.block_pivots)

    def at(x: jax.Array, w: jax.Array) -> jax.Array:
        move = x / root
        if shape.layout.k_leading > 1:
            move = jax.vmap(solve_unit_upper)(f.block_lower, move[..., None])[..., 0]
        moved = Effects(u.lead + move, u.corner)
        eta = predictors(shape, shared, sample, psi, moved)
        own = log_density(shape, sample, eta, psi[shape.own]).sum(axis=1)
        own = shared.member[0] @ own if shared.member else own
        return own - 0.5 * (moved.lead**2).sum(axis=1) + 0.5 * (x**2).sum() + w

    points = (jnp.asarray(grid), jnp.asarray(log_weight))
    if len(grid) * shape.chunks[0] * shape.chunks[1] <= AT_ONCE:
        terms = jax.vmap(at)(*points)
    else:  # one point after the other, computed again for the gradient: no array of rows x points
        terms = jax.lax.map(jax.checkpoint(lambda point: at(*point)), points)
    level = jax.scipy.special.logsumexp(terms, axis=0)
    return -2.0 * (level.sum() + sample.constant) + jnp.log(f.block_pivots).sum()


def _width(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> Arrow:
    """H, by which the points are spread; by the expected information where the density is not log-concave.

    There H may vanish at a mode, and points spread by it would lie anywhere.
    """
    if shape.family.log_concave:
        return curvature(shape, shared, sample, psi, u)
    eta = predictors(shape, shared, sample, psi, u)
    full = jnp.stack([jnp.broadcast_to(e, shape.chunks) for e in eta], axis=-1)
    own = jax.vmap(jax.vmap(lambda e: shape.family.information(e, psi[shape.own])))(full)
    second = tuple(sample.weight * own[..., i, j] for i in shape.used for j in shape.used)
    return hessian(shape, psi[shape.theta], cross_products(shape, shared, shared.effects, second))


@lru_cache(maxsize=32)
def _grid(nodes: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (G, k) for the weight exp(-x^2 / 2) and logs of their weights over sqrt(2 pi)^k."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    keep = w > 0
    x, w = x[keep], w[keep] / np.sqrt(2 * np.pi)
    grid = np.array(list(itertools.product(x, repeat=k)))
    return grid, np.array([np.log(c).sum() for c in itertools.product(w, repeat=k)])
