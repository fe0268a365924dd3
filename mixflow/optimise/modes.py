"""The mode of the random effects: Newton on the block arrow with Levenberg-Marquardt damping.

J is convex in u for a log-concave density. A step is taken where the slope along it, at its end, has not grown
beyond a share of what it was at its start: for a convex J that is a decrease, and no density is computed.

Where J is not convex and the family has a majorant (Student's t), steps that Newton cannot take are those of
iteratively reweighted least squares, each of which is a decrease (Lange, Hunter and Yang 2000).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.design.generalised import Columns, Shape, Shared
from mixflow.likelihood.generalised import (
    Effects,
    Sample,
    back_to_effects,
    cross_products,
    hessian,
    predictors,
    slopes,
    spherical,
)
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import arrow_factor, definite, solve

TOLERANCE = 1e-9
"""The last step is one that promises less than this on the scale of J: Newton is quadratic, less is left."""

MOST_STEPS = 60

OVERSHOT = 0.5
"""A step whose slope at its end is beyond this share of that at its start, upwards, is too long."""


class Point(NamedTuple):
    """u, dJ/du and H there; ``above``: the curvature of a quadratic above J that touches it at u, or ()."""

    u: Effects
    slope: Effects
    arrow: Arrow
    above: Arrow | tuple[()] = ()


class _State(NamedTuple):
    point: Point
    damping: Array
    steps: Array
    done: Array


def find_mode(
    shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, start: Effects
) -> tuple[Effects, jax.Array]:
    """The mode from a warm start, and whether it was found."""
    if not shape.random:
        return start, jnp.asarray(True)
    at = lambda u: look(shape, shared, shared.effects, sample, psi, u, shape.used)  # noqa: E731
    state = jax.lax.while_loop(_going, lambda s: step(s, at), fresh(start, has_majorant(shape)))
    return state.point.u, state.done


def has_majorant(shape: Shape) -> bool:
    """Whether looks have a quadratic above J: of a family that has one, random effects in mu alone."""
    one = jnp.zeros(max(len(shape.family.columns), len(shape.coefs), shape.family.n_own))
    return shape.used in ((), (0,)) and shape.family.majorant(one, one, one) is not None


def fresh(u: Effects, majorant: bool) -> _State:
    """A state that knows nothing but its start: the first step stays there and looks."""
    (levels, k), m = u.lead.shape, u.corner.shape[0]
    blocks = jnp.broadcast_to(jnp.eye(k), (levels, k, k))
    unit = Arrow(blocks, jnp.zeros((levels, k, m)), jnp.eye(m))
    point = Point(u, jax.tree.map(jnp.zeros_like, u), unit, unit if majorant else ())
    return _State(point, jnp.zeros(()), jnp.zeros((), dtype=jnp.int32), jnp.asarray(False))


def _going(state: _State) -> jax.Array:
    return ~state.done & (state.steps < MOST_STEPS)


def look(
    shape: Shape,
    shared: Shared,
    columns: Columns,
    sample: Sample,
    psi: jax.Array,
    u: Effects,
    used: tuple[int, ...],
) -> Point:
    """Slope and Hessian of J by u at u; columns after those of the random effects have no prior."""
    eta = predictors(shape, shared, sample, psi, u)
    found = slopes(shape, sample, eta, psi[shape.own], used)
    theta = psi[shape.theta]
    g = spherical(shape, theta, back_to_effects(shape, shared, columns, found.first))
    arrow = hessian(shape, theta, cross_products(shape, shared, columns, found.second))
    corner = g.corner.at[: u.corner.shape[0]].add(u.corner)
    above: Arrow | tuple[()] = ()
    if has_majorant(shape):
        second = sample.weight * _majorants(shape, sample, eta, psi[shape.own])
        above = hessian(shape, theta, cross_products(shape, shared, columns, (second,)))
    return Point(u, Effects(g.lead + u.lead, corner), arrow, above)


def _majorants(shape: Shape, sample: Sample, eta: tuple[jax.Array, ...], own: jax.Array) -> Array:
    """The family's majorant of each row (S, r)."""
    axes = (0, *(0 if e.ndim else None for e in eta))
    one: Any = lambda y, *etas: shape.family.majorant(y, etas, own)  # noqa: E731
    return jax.vmap(jax.vmap(one, axes), axes)(sample.y, *eta)


def step(state: _State, at: Callable[[Effects], Point], enough: float = TOLERANCE) -> _State:
    """One step, taken or not; where H is not positive definite, or the step is too long, damping grows.

    With a quadratic above J its minimum is the step then, always taken.
    """
    point, damping = state.point, state.damping
    sure = jnp.asarray(False)
    if point.above:
        sure = (damping > 0) | ~definite(arrow_factor(point.arrow))
        f = arrow_factor(jax.tree.map(lambda a, b: jnp.where(sure, a, b), point.above, point.arrow))
    else:
        f = arrow_factor(_damped(point.arrow, damping))
    fine = definite(f)
    move = Effects(*solve(f, point.slope.lead, point.slope.corner))
    promised = _dot(move, point.slope)
    fine &= jnp.isfinite(promised) & (promised >= 0)
    move = jax.tree.map(lambda m: jnp.where(fine, -m, 0.0), move)
    trial = at(jax.tree.map(jnp.add, point.u, move))
    end = _dot(trial.slope, move)
    first = state.steps == 0
    taken = first | (fine & jnp.isfinite(end) & (sure | (end <= OVERSHOT * promised + 1e-14)))
    point = jax.tree.map(lambda a, b: jnp.where(taken, a, b), trial, point)
    eased = jnp.where(damping < 0.1, 0.0, damping / 8.0)
    raised = jnp.maximum(8.0 * jnp.asarray(damping), 1.0)
    damping = jnp.where(taken, jnp.asarray(eased), raised)
    done = taken & ~first & ~sure & (state.damping == 0.0) & (promised < enough)
    return _State(point, damping, state.steps + 1, done)


def _damped(arrow: Arrow, damping: jax.Array) -> Arrow:
    return Arrow(
        arrow.blocks + damping * jnp.eye(arrow.blocks.shape[1]),
        arrow.border,
        arrow.corner + damping * jnp.eye(arrow.corner.shape[0]),
    )


def _dot(a: Effects, b: Effects) -> jax.Array:
    return (a.lead * b.lead).sum() + (a.corner * b.corner).sum()
