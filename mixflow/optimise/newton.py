"""The iteration for one feature: damped Newton on theta, which may reach and cross the boundary.

theta is unconstrained and the objective even in it, so a variance of zero is an ordinary minimum at
theta = 0 (Levenberg-Marquardt damping; pivots of an indefinite Hessian are made positive).
Two moves know of that evenness. Where a Newton step on the scale of the variance theta^2 would end below
zero, theta = 0 is tried at once (near the boundary the objective is flat in theta, and plain steps crawl).
Where theta = 0 is a maximum, its gradient is zero all the same, and a kick leaves it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data
from mixflow.likelihood.derivatives import expand
from mixflow.likelihood.exact import Pieces
from mixflow.likelihood.near import near
from mixflow.likelihood.taylor import profile

DECREMENT = 1e-10
"""Converged when a Newton step promises less than this on the scale of -2 log-likelihood."""


SILENT = 1e-9
"""First and second derivatives below this say nothing about a parameter."""


class State(NamedTuple):
    """Where one feature stands; ``pieces`` of the likelihood with their first and second derivatives."""

    theta: Array
    value: Array
    pieces: tuple[Pieces, Pieces, Pieces]
    damping: Array
    iterations: Array
    done: Array


def fresh(layout: Layout, theta: np.ndarray) -> State:
    """States (N, ...) that know nothing but their starts (N, q): the first iteration evaluates there."""
    n, q = theta.shape
    value = Pieces(np.ones(n), np.ones(n))
    slope = Pieces(np.zeros((n, q)), np.zeros((n, q)))
    curve = Pieces(np.tile(np.eye(q), (n, 1, 1)), np.tile(np.eye(q), (n, 1, 1)))
    return State(
        theta.copy(),
        np.full(n, np.inf),
        (value, slope, curve),
        np.zeros(n),
        np.zeros(n, dtype=np.int32),
        np.zeros(n, dtype=bool),
    )


class Move(NamedTuple):
    """A step, what it promises, and of which kind it is."""

    step: jax.Array
    decrement: jax.Array
    newton: jax.Array
    jumped: jax.Array
    kicked: jax.Array


def iterate(layout: Layout, data: Data, state: State) -> State:
    """One step, accepted or not; a finished feature stays as it is."""
    before, damped = jnp.asarray(state.value), jnp.asarray(state.damping)
    started = jnp.isfinite(before)
    _, gradient, hessian = profile(data, *state.pieces)
    move = _move(layout, state.theta, gradient, hessian, damped)
    step = jnp.where(started, move.step, 0.0)
    trial = state.theta + step
    found = expand(layout, near(layout, data, trial), trial)
    value = _value(data, found)
    predicted = -(gradient @ step + 0.5 * step @ hessian @ step)
    noise = 1e-12 * (1.0 + jnp.abs(jnp.where(started, before, 0.0)))
    wanted = jnp.where(move.jumped | move.kicked, 0.0, 1e-4 * predicted)
    accepted = jnp.isfinite(value) & (~started | (value <= before - wanted + noise))
    finished = accepted & started & move.newton & ~move.kicked & ~move.jumped & (move.decrement < DECREMENT)
    scale = 1e-3 * (1.0 + jnp.abs(jnp.diagonal(hessian)).max())
    eased = jnp.where(damped <= scale, 0.0, damped / 10.0)
    damping = jnp.where(accepted, eased, jnp.maximum(10.0 * damped, scale))
    lost = ~started & ~jnp.isfinite(value)
    moved = State(trial, value, found, damping, state.iterations + 1, finished)
    stayed = state._replace(damping=damping, iterations=state.iterations + 1, done=lost)
    new = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), moved, stayed)
    return jax.tree.map(lambda a, b: jnp.where(state.done, a, b), state, new)


def _value(data: Data, found: tuple[Pieces, Pieces, Pieces]) -> jax.Array:
    """The objective; +inf where it or a derivative cannot be computed."""
    value, gradient, hessian = profile(data, *found)
    fine = jnp.isfinite(value) & jnp.isfinite(gradient).all() & jnp.isfinite(hessian).all()
    return jnp.where(fine, value, jnp.inf)


def _move(layout: Layout, theta: jax.Array, g: jax.Array, h: jax.Array, damping: jax.Array) -> Move:
    """The next step: Newton's, damped or shifted where need be; a jump to zero; a kick off a maximum."""
    even, diagonal = jnp.asarray(layout.even), jnp.diagonal(h)
    flat = jnp.abs(g) < 1e-6
    kick = flat & (even | flat.all()) & (diagonal < -1e-5)
    # A parameter that nothing observed speaks of (a correlation of an effect that is zero) stays where it is.
    mute = (jnp.abs(g) < SILENT) & (jnp.abs(h).max(axis=1, initial=0.0) < SILENT)
    inert = kick | mute
    h = jnp.where(inert[:, None] | inert[None, :], jnp.eye(layout.n_theta), h)
    step, definite = newton_step(h, g, damping)
    decrement = -0.5 * g @ step
    pull = g * theta
    crosses = (pull > 0) & (diagonal * theta**2 <= 3.0 * pull) & (jnp.abs(theta) < 1.0)
    jump = even & crosses & (damping == 0.0)
    longest = 1.0 + jnp.abs(theta)
    step = jnp.clip(step, -longest, longest)
    step = jnp.where(even & ((theta + step) * theta < 0), -0.9 * theta, step)  # the other side is the same
    step = jnp.where(jump, -theta, jnp.where(kick, 0.1 / (1.0 + damping), step))
    newton = ((damping == 0.0) & definite) | flat.all()
    return Move(step, decrement, newton, jump.any(), kick.any())


def newton_step(h: jax.Array, g: jax.Array, damping: jax.Array) -> tuple[jax.Array, jax.Array]:
    """-(H + damping I)^-1 g, and whether that matrix was definite; if not, its pivots are made positive.

    Gill and Murray (1974), Math. Program. 7:311: a pivot that is not positive counts by its absolute value, so
    that a step along weak negative curvature is as long as that curvature says (a shift of all would creep).
    """
    scale = 1.0 + jnp.abs(jnp.diagonal(h)).max()
    rest, right = h + damping * jnp.eye(len(g)), -g
    columns, pivots, halves, definite = [], [], [], jnp.ones((), dtype=bool)
    for _ in range(len(g)):
        positive = rest[0, 0] > 1e-10 * scale
        pivot = jnp.where(positive, rest[0, 0], jnp.maximum(jnp.abs(rest[0, 0]), 1e-8 * scale))
        column = rest[1:, 0] / pivot
        columns.append(column)
        pivots.append(pivot)
        halves.append(right[0])
        definite = definite & positive
        rest = rest[1:, 1:] - column[:, None] * rest[0, 1:][None, :]
        right = right[1:] - column * right[0]
    step = jnp.zeros(0)
    for column, pivot, half in zip(columns[::-1], pivots[::-1], halves[::-1], strict=True):
        step = jnp.concatenate([(half / pivot - column @ step)[None], step])
    return step, definite
