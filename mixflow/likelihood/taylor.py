"""Value, gradient and Hessian by nested forward derivatives: exact, and cheap for few variance parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.likelihood.data import Data
from mixflow.likelihood.exact import Pieces, objective


def second_order(
    function: Callable[[jax.Array], jax.Array], theta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """f, f', f'' of a vector function. theta (q,), f (r,) -> (r,), (r, q), (r, q, q)."""
    q = theta.shape[0]
    if q == 0:
        value = function(theta)
        return value, jnp.zeros((*value.shape, 0)), jnp.zeros((*value.shape, 0, 0))
    rows, columns = np.triu_indices(q)
    eye = jnp.eye(q)

    def along(u: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        first = lambda t: jax.jvp(function, (t,), (v,))  # noqa: E731
        (value, dv), (_, duv) = jax.jvp(first, (theta,), (u,))
        return value, dv, duv

    values, slopes, curvatures = jax.vmap(along, out_axes=(None, 0, 0))(eye[rows], eye[columns])
    gradient = slopes[rows == columns].T
    place = np.zeros((q, q), dtype=int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return values, gradient, jnp.moveaxis(curvatures[place], -1, 0)


def expand(pieces: Callable[[jax.Array], Pieces], theta: jax.Array) -> tuple[Pieces, Pieces, Pieces]:
    """The two pieces of the likelihood with their gradients and Hessians by theta."""
    value, gradient, hessian = second_order(lambda t: jnp.stack(pieces(t)), theta)
    return Pieces(*value), Pieces(*gradient), Pieces(*hessian)


def profile(
    data: Data, value: Pieces, gradient: Pieces, hessian: Pieces
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Objective, gradient and Hessian with sigma profiled out, or known."""
    if data.sigma2 is not None:
        g = gradient.logdet + gradient.rss / data.sigma2
        return objective(data, value), g, hessian.logdet + hessian.rss / data.sigma2
    relative = gradient.rss / value.rss
    g = gradient.logdet + data.dof * relative
    h = hessian.logdet + data.dof * (hessian.rss / value.rss - relative[:, None] * relative[None, :])
    return objective(data, value), g, h
