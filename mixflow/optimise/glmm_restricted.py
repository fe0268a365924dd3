"""Restricted maximum likelihood of a generalised model: the coefficients of mu integrated out beside u.

The integral over (beta, u), flat in beta, is taken by Laplace's approximation at their joint mode, as
glmmTMB's ``REML = TRUE`` does. psi keeps its place for beta, which is then the mode given all else; the outer
iteration moves the other parameters alone, and the gradient by beta is zero.
"""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample
from mixflow.likelihood.laplace import joint
from mixflow.linalg.arrow_inverse import arrow_factor, inverse_on, logdet, solve
from mixflow.optimise import modes
from mixflow.optimise.glmm_start import joint_look
from mixflow.optimise.modes import Point as Look
from mixflow.optimise.quasi import Point


def evaluate_restricted(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]) -> Point:
    """-2 restricted log-likelihood, but for a constant, and its gradient; psi comes back with beta at the mode."""
    psi, start = at
    look = lambda x: _look(shape, shared, sample, psi, x)  # noqa: E731
    going = lambda s: ~s.done & (s.steps < modes.MOST_STEPS)  # noqa: E731
    x = Effects(start.lead, jnp.concatenate([start.corner, psi[: shape.coefs[0]]]))
    state = jax.lax.while_loop(
        going, lambda s: modes.step(s, look), modes.fresh(x, modes.has_majorant(shape))
    )
    x = state.point.u
    value, gradient = _with_gradient(shape, shared, sample, psi, x)
    fine = state.done & jnp.isfinite(value) & jnp.isfinite(gradient).all()
    here, u = _apart(shape, psi, x)
    u = jax.tree.map(lambda a, b: jnp.where(fine, a, b), u, start)
    return Point(jnp.where(fine, here, psi), u, jnp.where(fine, value, jnp.inf), gradient)


def _apart(shape: Shape, psi: jax.Array, x: Effects) -> tuple[jax.Array, Effects]:
    """psi with the beta of x, and u."""
    c, p = shape.layout.n_corner_effects, shape.coefs[0]
    return psi.at[:p].set(x.corner[c:]), Effects(x.lead, x.corner[:c])


def _look(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, x: Effects) -> Look:
    here, u = _apart(shape, psi, x)
    return joint_look(shape, shared, sample, here, u, tuple(sorted({0, *shape.used})), 0.0)


def _with_gradient(
    shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, x: Effects
) -> tuple[jax.Array, jax.Array]:
    """As `likelihood.laplace.with_gradient`, the mode being that of (u, beta)."""

    def objective(p: jax.Array, v: Effects) -> jax.Array:
        here, u = _apart(shape, p, v)
        return joint(shape, shared, sample, here, u) + logdet(_look(shape, shared, sample, p, v).arrow)

    value, (by_psi, by_x) = jax.value_and_grad(objective, argnums=(0, 1))(psi, x)
    pull = Effects(*solve(arrow_factor(_look(shape, shared, sample, psi, x).arrow), by_x.lead, by_x.corner))

    def slope(p: jax.Array) -> jax.Array:
        found = _look(shape, shared, sample, p, x).slope
        return (found.lead * pull.lead).sum() + (found.corner * pull.corner).sum()

    off, through = jax.value_and_grad(slope)(psi)
    return value - off, by_psi - through


def coefficient_cov(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]) -> jax.Array:
    """Covariance of beta given all other parameters: its block of the inverse joint Hessian. (p, p)."""
    psi, u = at
    x = Effects(u.lead, jnp.concatenate([u.corner, psi[: shape.coefs[0]]]))
    c = shape.layout.n_corner_effects
    return inverse_on(_look(shape, shared, sample, psi, x).arrow).corner[c:, c:]


def with_coefficients(hessian: np.ndarray, slope: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The Hessian of psi whose inverse is the covariance of all: beta = slope (others) + error of covariance given.

    ``hessian`` (N, P, P) of -2 log-likelihood by the others, zero for beta, the first p; ``slope`` (N, p, P - p)
    of the mode; ``given`` (N, p, p).
    """
    p = slope.shape[1]
    fine = np.asarray(np.isfinite(given).all(axis=(1, 2)))[:, None, None]
    precision = np.where(fine, 2.0 * np.linalg.inv(np.where(fine, given, np.eye(p))), np.nan)
    mixed = -precision @ slope
    out = hessian.copy()
    out[:, :p, :p], out[:, :p, p:] = precision, mixed
    out[:, p:, :p] = np.swapaxes(mixed, 1, 2)
    out[:, p:, p:] += np.swapaxes(slope, 1, 2) @ precision @ slope
    return out
