"""Where the outer iteration begins: beta of the first predictor and u together, then theta by an EM step.

The joint mode of (beta, u) is what glmer's nAGQ = 0 finds (Bates et al. 2015); theta moves by one EM step,
E(u u' | y) = mode mode' + H^-1, each time (Laird and Ware 1982).
"""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance import Covariance
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample, predictors, slopes, zeros
from mixflow.likelihood.laplace import curvature
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import inverse_on
from mixflow.linalg.ldl import ldl, solve_unit_lower, solve_unit_upper
from mixflow.optimise import modes
from mixflow.optimise.modes import Point

RIDGE = 1e-3
"""Information added to each coefficient (columns of unit mean square): keeps separated ones from running away."""

STEPS = 10
ROUNDS = 2
SCORING = 2
"""Steps for the coefficients of other predictors in each round."""
ENOUGH = 0.1
"""A step that promises less on the scale of J is the last of a round."""
SMALLEST, LARGEST = 0.1, 10.0
"""theta stays within these by EM steps (columns of unit mean square, on the scale of the predictor)."""


def start(shape: Shape, shared: Shared, sample: Sample, _: jax.Array) -> tuple[jax.Array, Effects]:
    """psi and u near the optimum, for one feature."""

    def again(_: jax.Array, at: tuple[jax.Array, Effects]) -> tuple[jax.Array, Effects]:
        psi, u = joint_mode(shape, shared, sample, *at)
        psi = _others(shape, shared, sample, psi, u)
        return (_em(shape, shared, sample, psi, u) if shape.layout.n_theta else psi), u

    return jax.lax.fori_loop(0, ROUNDS, again, (rough(shape, shared, sample), zeros(shape)))


def first(shape: Shape, shared: Shared, sample: Sample, _: jax.Array) -> tuple[jax.Array, Effects]:
    """psi by the family's rough answer, and u = 0: a start that stands where `start` ended at no mode."""
    return rough(shape, shared, sample), zeros(shape)


def rough(shape: Shape, shared: Shared, sample: Sample) -> jax.Array:
    """Intercepts by the family's own rough answer, other coefficients zero."""
    c = sample.y.shape[-1]
    eta, own = shape.family.start(sample.y.reshape(-1, c), sample.weight.ravel())
    rows = jnp.maximum((sample.weight > 0).sum(), 1)
    parts = []
    for j in range(len(shape.coefs)):
        seen = (sample.weight > 0)[..., None] * shared.X[j]
        offset = (shared.offset[j] * (sample.weight > 0)).sum() / rows
        x = (seen @ sample.turn[j]).reshape(-1, shape.coefs[j])
        parts.append((eta[j] - offset) * x.sum(axis=0) / jnp.maximum((x**2).sum(axis=0), 1e-9))
    return jnp.concatenate([*parts, jnp.asarray(shape.layout.start), jnp.asarray(own)])


def joint_mode(
    shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects
) -> tuple[jax.Array, Effects]:
    """The mode of (beta of the first predictor, u) together, a few damped Newton steps towards it."""
    c, p = shape.layout.n_corner_effects, shape.coefs[0]
    used = tuple(sorted({0, *shape.used}))

    def at(x: Effects) -> Point:
        here = psi.at[:p].set(x.corner[c:])
        own = Effects(x.lead, x.corner[:c])
        return joint_look(shape, shared, sample, here, own, used, RIDGE)

    x = Effects(u.lead, jnp.concatenate([u.corner, psi[:p]]))
    going = lambda s: ~s.done & (s.steps < STEPS)  # noqa: E731
    state = jax.lax.while_loop(
        going, lambda s: modes.step(s, at, ENOUGH), modes.fresh(x, modes.has_majorant(shape))
    )
    x = state.point.u
    return psi.at[:p].set(x.corner[c:]), Effects(x.lead, x.corner[:c])


def joint_look(
    shape: Shape,
    shared: Shared,
    sample: Sample,
    psi: jax.Array,
    u: Effects,
    used: tuple[int, ...],
    ridge: float,
) -> Point:
    """Slope and Hessian by u and beta, the latter in the corner after the random effects, with a ridge."""
    c, p = shape.layout.n_corner_effects, shape.coefs[0]
    seen = modes.look(shape, shared, shared.joint, sample, psi, u, used)
    turn, beta = sample.turn[0], psi[:p]
    dead = (jnp.abs(turn).sum(axis=0) == 0).astype(float)
    slope = seen.slope.corner.at[c:].set(turn.T @ seen.slope.corner[c:] + (ridge + dead) * beta)

    def turned(arrow: Arrow) -> Arrow:
        border = jnp.concatenate([arrow.border[..., :c], arrow.border[..., c:] @ turn], axis=-1)
        mixed = arrow.corner[:c, c:] @ turn
        own = turn.T @ arrow.corner[c:, c:] @ turn + jnp.diag(ridge + dead)
        return Arrow(arrow.blocks, border, jnp.block([[arrow.corner[:c, :c], mixed], [mixed.T, own]]))

    here = Effects(u.lead, jnp.concatenate([u.corner, beta]))
    above = turned(seen.above) if seen.above else ()
    return Point(here, Effects(seen.slope.lead, slope), turned(seen.arrow), above)


def _others(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> jax.Array:
    """Coefficients of the other predictors by scoring steps, each predictor by itself, at the mode.

    The information is that of the rows' own slopes, sum of s_i^2 x_i x_i' (Berndt et al. 1974).
    """
    others = tuple(range(1, len(shape.coefs)))
    for _ in range(SCORING if others else 0):
        eta = predictors(shape, shared, sample, psi, u)
        scores = slopes(shape, sample, eta, psi[shape.own], others).first
        for j, score in zip(others, scores, strict=True):
            x = shared.X[j].reshape(-1, shape.coefs[j]) @ sample.turn[j]
            rows = score.reshape(-1, 1) * x
            lower, pivots = ldl(rows.T @ rows + 1e-3 * jnp.eye(shape.coefs[j]))
            half = solve_unit_lower(lower, rows.sum(axis=0)[:, None]) / pivots[:, None]
            step = jnp.clip(-solve_unit_upper(lower, half)[:, 0], -1.5, 1.5)
            part = slice(shape.starts[j], shape.starts[j + 1])
            psi = psi.at[part].add(jnp.where(jnp.isfinite(step), step, 0.0))
    return psi


def _em(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> jax.Array:
    """theta times the root of E(u^2 | y): of each column where a structure has a sd for each, or of all."""
    layout = shape.layout
    own = inverse_on(curvature(shape, shared, sample, psi, u))
    parts, first = [], 0
    for place, group in enumerate(layout.groups):
        if place == 0 and layout.n_leading:
            square = (u.lead**2 + jnp.diagonal(own.blocks, axis1=1, axis2=2)).mean(axis=0)
        else:
            part = slice(first, first + group.n_levels * group.size)
            square = u.corner[part] ** 2 + jnp.diagonal(own.corner)[part]
            square, first = square.reshape(group.n_levels, group.size).mean(axis=0), part.stop
        at = 0
        for effect in group.effects:
            parts.append(_factors(effect, jnp.sqrt(square[at : at + effect.size])))
            at += effect.size
    factors = jnp.concatenate(parts)
    theta = psi[shape.theta] * jnp.where(jnp.isfinite(factors), factors, 1.0)
    limit = jnp.asarray(layout.boundary)
    theta = jnp.where(limit, jnp.clip(theta, SMALLEST, LARGEST), theta)
    return psi.at[shape.theta].set(theta)


def _factors(effect: Covariance, root: jax.Array) -> jax.Array:
    """By what each parameter is multiplied; those that are no standard deviations stay."""
    places = np.flatnonzero(effect.boundary)
    out = jnp.ones(effect.n_params)
    if len(places) == effect.size:
        return out.at[places].set(root)
    if len(places) == 1:
        return out.at[places].set(jnp.sqrt((root**2).mean()))
    return out
