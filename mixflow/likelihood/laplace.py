"""Laplace's approximation of the marginal likelihood, and its exact gradient.

f(psi) = 2 J(psi, u) + log|H(psi, u)| at the mode u(psi), where dJ/du = 0 and so du/dpsi = -H^-1 d2J/dudpsi.
The total derivative of any F(psi, u) at the mode is F_psi - (H^-1 F_u)' d2J/dudpsi: no derivative goes
through the iterations that found the mode (Skaug and Fournier 2006, Comput. Stat. Data Anal. 51:699).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mixflow.backend import Array, jax
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import (
    Effects,
    Sample,
    back_to_effects,
    cross_products,
    hessian,
    log_density,
    predictors,
    slopes,
    spherical,
)
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import arrow_factor, logdet, solve

Objective = Callable[[Shape, Shared, Sample, jax.Array, Effects], jax.Array]


class Found(NamedTuple):
    """-2 log-likelihood and its gradient by psi."""

    value: Array
    gradient: Array


def curvature(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> Arrow:
    """H at (psi, u)."""
    eta = predictors(shape, shared, sample, psi, u)
    second = slopes(shape, sample, eta, psi[shape.own], shape.used).second
    return hessian(shape, psi[shape.theta], cross_products(shape, shared, shared.effects, second))


def joint(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> jax.Array:
    """2 J: minus twice the log joint density of y and u, without u's constant (Laplace's takes it back)."""
    eta = predictors(shape, shared, sample, psi, u)
    total = log_density(shape, sample, eta, psi[shape.own]).sum() + sample.constant
    return -2.0 * total + _square(u)


def laplace(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> jax.Array:
    """-2 log-likelihood by Laplace's approximation, u the mode."""
    value = joint(shape, shared, sample, psi, u)
    return value + logdet(curvature(shape, shared, sample, psi, u)) if shape.random else value


def mode_slope(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects) -> Effects:
    """dJ/du, zero at the mode."""
    eta = predictors(shape, shared, sample, psi, u)
    first = slopes_only(shape, sample, eta, psi[shape.own])
    g = spherical(shape, psi[shape.theta], back_to_effects(shape, shared, shared.effects, first))
    return Effects(g.lead + u.lead, g.corner + u.corner)


def slopes_only(
    shape: Shape, sample: Sample, eta: tuple[jax.Array, ...], own: jax.Array
) -> tuple[jax.Array, ...]:
    """First derivatives of minus the log density by the predictors that have random effects."""
    return slopes(shape, sample, eta, own, shape.used).first


def with_gradient(
    objective: Objective, shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects
) -> Found:
    """F at the mode near ``u`` and its total derivative by psi; first-order in what u is off the mode."""
    along = lambda p, v: objective(shape, shared, sample, p, v)  # noqa: E731
    if not shape.random:
        return Found(*jax.value_and_grad(along)(psi, u))
    value, (by_psi, by_u) = jax.value_and_grad(along, argnums=(0, 1))(psi, u)
    f = arrow_factor(curvature(shape, shared, sample, psi, u))
    pull = Effects(*solve(f, by_u.lead, by_u.corner))
    slope = lambda p: _dot(mode_slope(shape, shared, sample, p, u), pull)  # noqa: E731
    off, through = jax.value_and_grad(slope)(psi)
    return Found(value - off, by_psi - through)


def _square(u: Effects) -> jax.Array:
    return (u.lead**2).sum() + (u.corner**2).sum()


def _dot(a: Effects, b: Effects) -> jax.Array:
    return (a.lead * b.lead).sum() + (a.corner * b.corner).sum()
