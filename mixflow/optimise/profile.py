"""The deviance with one natural parameter held: a standard deviation, a correlation, sigma, a coefficient.

As lme4's `profile`: -2 log-likelihood by maximum likelihood, minimised over everything else. What is held is
put where the kernels' theta has it (Bates et al. 2015, section 5.1), so that a value of zero, or a correlation
of one, is an ordinary point. All for one feature; the search for limits is in `mixflow.optimise.limits`.

What is held is data to the kernel, not part of it: one compilation serves all parameters of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.covariance import Unstructured
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data, gram_at
from mixflow.likelihood.exact import beta_cov_root, objective, pieces_of, system
from mixflow.likelihood.summary import solution_of as solution
from mixflow.likelihood.taylor import second_order
from mixflow.linalg.arrow import factor
from mixflow.linalg.ldl import solve_unit_lower
from mixflow.optimise.newton import newton_step

MOST_STEPS = 60

DECREMENT = 1e-11
"""Settled when a Newton step promises less than this of the deviance."""


class Kind(IntEnum):
    """What is held at c, and where theta has it."""

    SD = 0  # theta[place] = c / sigma
    LOG_SD = 1  # theta[place] = c - log sigma
    CORRELATION = 2  # theta[place], theta[second] = (c, sqrt(1 - c^2)) t
    RAW = 3  # theta[place] = c
    SIGMA = 4  # log sigma = c
    COEFFICIENT = 5  # weights' gamma = c


@dataclass(frozen=True)
class Pin:
    """What is held. ``place``: its entry of theta (of a correlation theta_21, with ``second`` theta_22).

    ``below``: entries that a value on the boundary makes redundant. ``effect``, ``order``: the unstructured
    covariance whose columns are factored in this order, so that the first one's sd, or the correlation of
    the first two, stands in theta by itself.
    """

    kind: Kind
    place: int = -1
    second: int = -1
    below: tuple[int, ...] = ()
    effect: int = -1
    order: tuple[int, ...] = ()


class Code(NamedTuple):
    """A pin as arrays: kind, masks (q,) of places, and an order (k, k) for each unstructured covariance.

    ``positive``: entries of x that may not be negative: of a correlation, where a sign would turn it.
    """

    kind: Array
    place: Array
    second: Array
    below: Array
    positive: Array
    orders: tuple[Array, ...]


class Held(NamedTuple):
    """The rest at its best: ``x`` (q,), deviance, its derivative by the held value, whether it settled."""

    x: Array
    value: Array
    slope: Array
    done: Array


@dataclass(frozen=True, eq=False)
class Ordered(Unstructured):
    """Columns factored in another order: ``order`` (k, k) times the factor. Only inside a kernel."""

    order: jax.Array

    def factor(self, theta: jax.Array) -> jax.Array:
        return self.order @ super().factor(theta)


def encode(layout: Layout, pin: Pin) -> Code:
    """The pin as the kernel takes it."""
    q = np.arange(layout.n_theta)
    orders = []
    for number, (_, effect, _) in enumerate(layout.slices):
        if isinstance(effect, Unstructured):
            order = pin.order if number == pin.effect else range(effect.size)
            orders.append(np.eye(effect.size)[np.argsort(list(order))])
    place, second, below = q == pin.place, q == pin.second, np.isin(q, pin.below)
    positive = (place | (q == pin.place - 1)) & (pin.kind == Kind.CORRELATION)
    return Code(np.int32(pin.kind), place, second, below, positive, tuple(orders))


def deviance(
    layout: Layout, data: Data, code: Code, weights: jax.Array, x: jax.Array, c: jax.Array
) -> jax.Array:
    """-2 log-likelihood at x with c held; where an sd is held, x[place] is log sigma."""
    theta, log_sigma = _parameters(data, code, x, c)
    ordered = _ordered(layout, code.orders)
    gram, log_det_r = gram_at(ordered, data, theta)
    f = factor(system(ordered, gram, theta))
    parts = pieces_of(ordered, f)
    rss = parts.rss + _rise(ordered, f, weights, c, code.kind == Kind.COEFFICIENT)
    parts = parts._replace(logdet=parts.logdet + log_det_r, rss=rss)
    if data.sigma2 is not None:
        return objective(data, parts)
    free = (
        parts.logdet + parts.rss * jnp.exp(-2 * log_sigma) + data.dof * (jnp.log(2 * jnp.pi) + 2 * log_sigma)
    )
    return jnp.where(_sigma_stands(code), free, objective(data, parts))


def _sigma_stands(code: Code) -> jax.Array:
    """Whether sigma is a parameter of its own, not profiled out."""
    return (code.kind == Kind.SD) | (code.kind == Kind.LOG_SD) | (code.kind == Kind.SIGMA)


def _parameters(data: Data, code: Code, x: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """theta, and log sigma (zero where it is profiled out)."""
    own = (x * code.place).sum()
    inside: Array = jnp.where(_sigma_stands(code), own, 0.0)
    log_sigma: Array = jnp.where(code.kind == Kind.SIGMA, c, inside)
    if data.sigma2 is not None:
        log_sigma = 0.5 * jnp.log(jnp.asarray(data.sigma2))
    pair = code.kind == Kind.CORRELATION
    inner = jnp.abs(c) < 1.0
    square: Array = jnp.where(pair & inner, 1.0 - c**2, 1.0)
    root: Array = jnp.where(pair & inner, jnp.sqrt(square), 0.0)
    by_kind = [c * jnp.exp(-log_sigma), c - log_sigma, c * own, c, own, own]
    held = jnp.select([code.kind == kind for kind in Kind], by_kind)
    edge = jnp.where(pair, ~inner, (code.kind == Kind.SD) & (c == 0.0))
    other: Array = jnp.where(code.second, root * own, x)
    theta: Array = jnp.where(code.place, held, other)
    settled: Array = jnp.where(code.below & edge, 0.0, theta)
    return settled, log_sigma


def _ordered(layout: Layout, orders: tuple[jax.Array, ...]) -> Layout:
    """The layout with its unstructured covariances factored in the orders given."""
    left, groups = list(orders), []
    for group in layout.groups:
        effects = [Ordered(e.size, left.pop(0)) if isinstance(e, Unstructured) else e for e in group.effects]
        groups.append(replace(group, effects=tuple(effects)))
    return replace(layout, groups=tuple(groups))


def _rise(layout: Layout, f, weights: jax.Array, c: jax.Array, wanted: jax.Array) -> jax.Array:
    """What holding weights' gamma at c adds to rss: (c - weights' gamma)^2 / (weights' (R_X'R_X)^-1 weights)."""
    lower, pivots = beta_cov_root(layout, f)
    half = solve_unit_lower(lower, weights[:, None])[:, 0]
    variance = jnp.where(wanted, (half**2 / pivots).sum(), 1.0)
    away = jnp.where(wanted, c - weights @ solution(f)[layout.n_corner_effects :], 0.0)
    return away**2 / variance


def hold(layout: Layout, data: Data, at: tuple[jax.Array, jax.Array, jax.Array, Code]) -> Held:
    """(x, c, weights, code) -> the rest at its best, by damped Newton steps from x."""
    x, c, weights, code = at
    expand = lambda v: second_order(lambda u: deviance(layout, data, code, weights, u, c)[None], v)  # noqa: E731
    q = layout.n_theta
    blank = (jnp.full(1, jnp.inf), jnp.zeros((1, q)), jnp.eye(q)[None])
    state = (x, *blank, jnp.zeros(()), jnp.zeros((), dtype=int), jnp.zeros((), dtype=bool))
    more = lambda s: ~s[-1] & (s[-2] < MOST_STEPS)  # noqa: E731
    x, value, *_, done = jax.lax.while_loop(more, lambda s: _step(expand, code.positive, s), state)
    slope = jax.jvp(lambda v: deviance(layout, data, code, weights, x, v), (c,), (jnp.ones(()),))[1]
    return Held(x, value[0], slope, done & jnp.isfinite(value[0]))


def _step(
    expand: Callable[[Array], tuple[Array, Array, Array]], positive: jax.Array, state: tuple[Array, ...]
) -> tuple[Array, ...]:
    """One Newton step, taken if the deviance does not rise; the state (x, f, f', f'', damping, count, done).

    The first one only evaluates at the start. An entry of ``positive`` at zero stays there while the deviance
    would fall only beyond (projected Newton, Bertsekas 1982, SIAM J. Control Optim. 20:221).
    """
    x, value, slope, curve, damping, count, _ = state
    started = jnp.isfinite(value[0])
    stuck = positive & (x <= 0.0) & (slope[0] > 0.0)
    g: Array = jnp.where(stuck, 0.0, slope[0])
    mute = stuck | ((jnp.abs(g) < 1e-9) & (jnp.abs(curve[0]).max(axis=1, initial=0.0) < 1e-9))
    h: Array = jnp.where(mute[:, None] | mute[None, :], jnp.eye(len(g)), curve[0])
    full, definite = newton_step(h, g, damping) if len(g) else (g, jnp.asarray(True))
    decrement = -0.5 * g @ full
    clipped: Array = jnp.clip(full, -(1.0 + jnp.abs(x)), 1.0 + jnp.abs(x))
    step: Array = jnp.where(started, clipped, 0.0)
    crossed = positive & (x + step < 0.0)
    new: Array = jnp.where(crossed, 0.0, x + step)
    found = (new, *expand(new))
    finite = jnp.isfinite(found[1][0]) & jnp.isfinite(found[2]).all() & jnp.isfinite(found[3]).all()
    before: Array = jnp.where(started, value[0], 0.0)
    noise = 1e-12 * (1.0 + jnp.abs(before))
    accepted = finite & (~started | (found[1][0] <= value[0] + noise))
    settled = definite & (damping == 0.0) & (decrement < DECREMENT) & ~crossed.any()
    scale = 1e-3 * (1.0 + jnp.abs(jnp.diagonal(h)).max(initial=0.0))
    eased: Array = jnp.where(damping <= scale, 0.0, damping / 10.0)
    harder: Array = jnp.maximum(10.0 * damping, scale)
    damping = jnp.where(accepted, eased, harder)
    kept = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), found, (x, value, slope, curve))
    return (*kept, damping, count + 1, (accepted & started & settled) | ~(started | finite))
