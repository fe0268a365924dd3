"""Kenward and Roger's matrices for one feature, from its cross-products alone.

Kenward and Roger (1997), Biometrics 53:983: with V = sum_i gamma_i G_i + sigma^2 W^-1 and
P = V^-1 - V^-1 X Phi X' V^-1, their P_i = -X' V^-1 G_i V^-1 X, Q_ij - P_i Phi P_j = X' V^-1 G_i P G_j V^-1 X
and the expected information 1/2 tr(P G_i P G_j): the traces and forms of `mixflow.likelihood.traces`, by natural
parameters. Units: sigma = 1, and the Gram's columns. What belongs to the residual variance follows from
V = sum_i gamma_i G_i + W^-1, P V P = P, P V V^-1 X = 0 and tr(P V) = n - rank.
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.covariance.directions import directions
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Gram
from mixflow.likelihood.traces import Moved, eliminate, forms, solve, stacked, traces


class Blocks(NamedTuple):
    """Kenward and Roger's matrices; s parameters of the random terms, r = s + 1 with sigma^2."""

    phi: Array  # (p, p) (X' V^-1 X)^-1
    P: Array  # (r, p, p)
    R: Array  # (s, s, p, p) Q_ij - P_i Phi P_j, random terms only
    curve: Array  # (s, s, p, p) X' V^-1 d2V V^-1 X; no entries where V is linear
    information: Array  # (r, r) expected
    weights: Array  # (s,) with V = sum_i weights_i G_i + W^-1
    size: Array  # (s,) of the variances that a parameter belongs to: its information is like 1 / size^2


def blocks(layout: Layout, gram: Gram, theta: jax.Array) -> Blocks:
    """All that the adjusted covariance of beta and its degrees of freedom need, at theta."""
    c, n, p = layout.n_corner_effects, layout.corner - 1, layout.n_coef
    moved, weights, size = _moved(layout, theta)
    firsts = [m.first for m in moved]
    leading = eliminate(layout, gram, theta, firsts)
    corner = solve(layout, leading, theta)
    through = corner.K[:c, :c] @ leading.F[:c, c:n]
    columns = jnp.concatenate([-through, jnp.eye(p), jnp.zeros((1, p))])
    trace = traces(layout, leading, corner.N, firsts)
    form = forms(layout, leading, corner.N, firsts, columns)
    each = [-jnp.einsum("slap,laq->spq", v, y) for v, y in zip(form.moved, form.seen, strict=True)]
    P = jnp.concatenate([jnp.zeros((0, p, p)), *each])
    xvx = leading.F[c:n, c:n] - leading.F[c:n, :c] @ through
    of_residual = -xvx - jnp.einsum("s,spq->pq", weights, P)
    return Blocks(
        corner.N[c:, c:],
        jnp.concatenate([P, of_residual[None]]),
        form.pairs,
        _curve(moved, form.seen, p),
        0.5 * _with_residual(trace.of(firsts), trace.pairs, weights, gram.dof),
        weights,
        size,
    )


def _moved(layout: Layout, theta: jax.Array) -> tuple[list[Moved], jax.Array, jax.Array]:
    """Each group's directions by natural parameters; `Blocks`' ``weights`` and ``size``."""
    moved, weights, size = [], [jnp.zeros(0)], [jnp.zeros(0)]
    for group in layout.groups:
        found = [directions(effect, theta[part]) for owner, effect, part in layout.slices if owner is group]
        own = stacked(group, [(d.first, d.second) for d in found])
        w = jnp.concatenate([d.weights for d in found])
        moved.append(own)
        weights.append(w)
        size.append(_size(own.first, w))
    return moved, jnp.concatenate(weights), jnp.concatenate(size)


def _size(first: jax.Array, weights: jax.Array) -> jax.Array:
    """The largest variance that each parameter belongs to. (s,)."""
    if not len(weights):
        return weights
    sd = jnp.sqrt(jnp.maximum(jnp.einsum("s,saa->a", weights, first), 0.0))
    return jnp.where(first != 0, sd[:, None] * sd, 0.0).max(axis=(1, 2))


def _with_residual(trace: jax.Array, pairs: jax.Array, weights: jax.Array, dof: jax.Array) -> jax.Array:
    """tr(P G_i P G_j) with the residual variance as the last parameter: W^-1 = V - sum_i weights_i G_i."""
    mixed = trace - pairs @ weights
    last = dof - weights @ (trace + mixed)
    return jnp.block([[pairs, mixed[:, None]], [mixed[None, :], last[None, None]]])


def _curve(moved: list[Moved], seen: list[jax.Array], p: int) -> jax.Array:
    """X' V^-1 d2V V^-1 X of parameters in which a structure is not linear; (0, 0, p, p) where all are."""
    s = sum(m.first.shape[0] for m in moved)
    if not any(m.second for m in moved):
        return jnp.zeros((0, 0, p, p))
    out, first = jnp.zeros((s, s, p, p)), 0
    for m, y in zip(moved, seen, strict=True):
        for place, second in m.second:
            at = slice(first + place, first + place + second.shape[0])
            out = out.at[at, at].set(jnp.einsum("lap,stab,lbq->stpq", y, second, y))
        first += m.first.shape[0]
    return out
