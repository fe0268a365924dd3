"""The iteration for one feature: damped Newton on theta, which may reach and cross the boundary.

theta is unconstrained and the objective even in it, so a variance of zero is an ordinary minimum at
theta = 0 (Levenberg-Marquardt damping; More and Sorensen 1983 for why indefinite Hessians need a shift).
Two moves know of that evenness. Where a Newton step on the scale of the variance theta^2 would end below
zero, theta = 0 is tried at once (near the boundary the objective is flat in theta, and plain steps crawl).
Where theta = 0 is a maximum, its gradient is zero all the same, and a kick leaves it.
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import jax, jnp
from mixflow.likelihood.exact import Gram, pieces
from mixflow.likelihood.taylor import expand, profile
from mixflow.linalg.ldl import ldl, solve_unit_lower, solve_unit_upper
from mixflow.model.layout import Layout

DECREMENT = 1e-10
"""Converged when a Newton step promises less than this on the scale of -2 log-likelihood."""


class State(NamedTuple):
    """Where one feature stands."""

    theta: jax.Array
    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array
    damping: jax.Array
    iterations: jax.Array
    done: jax.Array


def evaluate(layout: Layout, gram: Gram, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Objective, gradient and Hessian at theta; +inf where it cannot be computed."""
    value, gradient, hessian = profile(gram.dof, *expand(lambda t: pieces(layout, gram, t), theta))
    fine = jnp.isfinite(value) & jnp.isfinite(gradient).all() & jnp.isfinite(hessian).all()
    return jnp.where(fine, value, jnp.inf), gradient, hessian


def begin(layout: Layout, gram: Gram, theta: jax.Array) -> State:
    """The state at a starting point."""
    value, gradient, hessian = evaluate(layout, gram, theta)
    zero = jnp.zeros((), dtype=jnp.int32)
    state = State(theta, value, gradient, hessian, jnp.zeros(()), zero, ~jnp.isfinite(value))
    move = _move(layout, state)
    there = move.newton & ~move.kicked & (move.decrement < DECREMENT**2)
    return state._replace(done=state.done | there)


class Move(NamedTuple):
    """A step, what it promises, and of which kind it is."""

    step: jax.Array
    decrement: jax.Array
    newton: jax.Array
    jumped: jax.Array
    kicked: jax.Array


def iterate(layout: Layout, gram: Gram, state: State) -> State:
    """One step, accepted or not; a finished feature stays as it is."""
    move = _move(layout, state)
    trial = state.theta + move.step
    value, gradient, hessian = evaluate(layout, gram, trial)
    predicted = -(state.gradient @ move.step + 0.5 * move.step @ state.hessian @ move.step)
    noise = 1e-12 * (1.0 + jnp.abs(state.value))
    wanted = jnp.where(move.jumped | move.kicked, 0.0, 1e-4 * predicted)
    accepted = value <= state.value - wanted + noise
    finished = accepted & move.newton & ~move.kicked & ~move.jumped & (move.decrement < DECREMENT)
    scale = 1e-3 * (1.0 + jnp.abs(jnp.diagonal(state.hessian)).max())
    eased = jnp.where(state.damping <= scale, 0.0, state.damping / 10.0)
    damping = jnp.where(accepted, eased, jnp.maximum(10.0 * state.damping, scale))
    moved = State(trial, value, gradient, hessian, damping, state.iterations + 1, finished)
    stayed = state._replace(damping=damping, iterations=state.iterations + 1)
    new = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), moved, stayed)
    return jax.tree.map(lambda a, b: jnp.where(state.done, a, b), state, new)


def _move(layout: Layout, state: State) -> Move:
    """The next step: Newton's, damped or shifted where need be; a jump to zero; a kick off a maximum."""
    theta, g, h = state.theta, state.gradient, state.hessian
    q, diagonal = layout.n_theta, jnp.diagonal(h)
    scale = 1.0 + jnp.abs(diagonal).max()
    definite = (ldl(h + state.damping * jnp.eye(q))[1] > 1e-10 * scale).all()
    lowest = (diagonal - (jnp.abs(h).sum(axis=1) - jnp.abs(diagonal))).min()
    shift = jnp.where(definite, state.damping, jnp.maximum(state.damping, 1e-4 * scale - lowest))
    step = -_solve(h + shift * jnp.eye(q), g)
    step = step * jnp.minimum(1.0, (1.0 + jnp.abs(theta).max()) / jnp.maximum(jnp.abs(step).max(), 1e-300))
    decrement = -0.5 * g @ step
    pull = g * theta
    crosses = (pull > 0) & (diagonal * theta**2 <= 3.0 * pull) & (jnp.abs(theta) < 1.0)
    jump = jnp.asarray(layout.even) & crosses & (state.damping == 0.0)
    flat = jnp.abs(g).max() < 1e-6
    kicked = flat & (diagonal.min() < -1e-5)
    kick = jnp.where(diagonal == diagonal.min(), 0.1 / (1.0 + state.damping), 0.0)
    step = jnp.where(kicked, kick, jnp.where(jump, -theta, step))
    undamped = (state.damping == 0.0) & definite
    return Move(step, decrement, undamped | flat, jump.any() & ~kicked, kicked)


def _solve(a: jax.Array, b: jax.Array) -> jax.Array:
    lower, pivots = ldl(a)
    half = solve_unit_lower(lower, b[:, None]) / pivots[:, None]
    return solve_unit_upper(lower, half)[:, 0]
