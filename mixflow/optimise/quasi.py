"""The outer iteration for one feature: quasi-Newton on psi with the mode of u followed by warm Newton steps.

BFGS of the inverse Hessian (Nocedal and Wright 2006, chapter 6) from an exact Hessian at the start, with
backtracking; a step whose curvature is not positive does not change the matrix. The objective is even in
theta, so that a variance of zero is an ordinary minimum.
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample
from mixflow.likelihood.laplace import with_gradient
from mixflow.likelihood.quadrature import objective_of
from mixflow.optimise.modes import find_mode

DECREMENT = 1e-8
"""Converged when a quasi-Newton step promises less than this on the scale of -2 log-likelihood."""

LONGEST = 2.0
"""Longest step of any parameter (columns of unit mean square)."""

TICKS = 3
"""Evaluations between two looks at which features are finished."""


class Outer(NamedTuple):
    """Where one feature stands."""

    psi: Array
    u: Effects
    value: Array
    gradient: Array
    inverse: Array  # (P, P) of the Hessian
    direction: Array
    length: Array
    evaluations: Array
    done: Array
    stuck: Array


def advance(shape: Shape, shared: Shared, sample: Sample, state: Outer) -> Outer:
    """A few evaluations."""
    return jax.lax.fori_loop(0, TICKS, lambda _, s: tick(shape, shared, sample, s), state)


def tick(shape: Shape, shared: Shared, sample: Sample, state: Outer) -> Outer:
    """One evaluation, whose point is taken or not; a finished feature stays as it is."""
    step = jnp.where(state.done, 0.0, state.length) * state.direction
    psi = state.psi + step
    u, found = find_mode(shape, shared, sample, psi, state.u)
    value, gradient = with_gradient(objective_of(shape), shape, shared, sample, psi, u)
    promised = state.gradient @ step
    fine = found & jnp.isfinite(value) & jnp.isfinite(gradient).all()
    noise = 1e-10 * (1.0 + jnp.abs(state.value))
    taken = fine & (value <= state.value + 1e-4 * promised + noise)
    inverse = _bfgs(state.inverse, step, gradient - state.gradient)
    direction = -inverse @ gradient
    done = -direction @ gradient < DECREMENT
    count = state.evaluations + 1
    moved = Outer(psi, u, value, gradient, inverse, _short(direction), jnp.ones(()), count, done, state.stuck)
    length = state.length * _shrink(state, promised, value)
    stuck = length < 1e-8
    stayed = state._replace(length=length, evaluations=count, done=stuck, stuck=stuck)
    new = jax.tree.map(lambda a, b: jnp.where(taken, a, b), moved, stayed)
    return jax.tree.map(lambda a, b: jnp.where(state.done, a, b), state, new)


def _shrink(state: Outer, promised: jax.Array, value: jax.Array) -> jax.Array:
    """By the parabola through value, slope and the value tried; within 0.1 and 0.5."""
    over = value - state.value - promised
    best = jnp.where(jnp.isfinite(over) & (over > 0), -promised / (2.0 * over), 0.1)
    return jnp.clip(best, 0.1, 0.5)


def _bfgs(inverse: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
    sy = s @ y
    hy = inverse @ y
    good = sy > 1e-8 * jnp.sqrt((s @ s) * (y @ y))
    rho = 1.0 / jnp.where(good, sy, 1.0)
    cross = jnp.outer(hy, s) * rho
    new = inverse - cross - cross.T + (rho**2 * (y @ hy) + rho) * jnp.outer(s, s)
    return jnp.where(good, new, inverse)


def _short(direction: jax.Array) -> jax.Array:
    return direction * jnp.minimum(1.0, LONGEST / jnp.maximum(jnp.abs(direction).max(), 1e-300))
