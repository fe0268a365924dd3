"""Kenward and Roger's matrices for one feature, from its cross-products alone.

Kenward and Roger (1997), Biometrics 53:983: with V = sum_i gamma_i G_i + sigma^2 W^-1 and
P = V^-1 - V^-1 X Phi X' V^-1, their P_i = -X' V^-1 G_i V^-1 X, Q_ij - P_i Phi P_j = X' V^-1 G_i P G_j V^-1 X
and the expected information 1/2 tr(P G_i P G_j). With G_i = Z E_i Z' all of it follows from Z' P Z and
Z' V^-1 X, in which the leading group is block-diagonal plus low rank:

    Z_1' P Z_1 = blockdiag(D_l) - E N E'      D_l = Z_1l' V_1^-1 Z_1l,  E = Z_1' V_1^-1 [Z_c, X]

with V_1 = W^-1 + Z_1 Lambda_1 Lambda_1' Z_1'. The Lk x Lk matrix is never formed. Units: sigma = 1, and the
Gram's columns. What belongs to the residual variance follows from V = sum_i gamma_i G_i + W^-1, P V P = P,
P V V^-1 X = 0 and tr(P V) = n - rank.
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.covariance.directions import directions
from mixflow.design.layout import GroupBlock, Layout
from mixflow.likelihood.data import Gram
from mixflow.likelihood.exact import group_factor, system
from mixflow.linalg.arrow import factor, solve_blocks
from mixflow.linalg.ldl import inverse


class Blocks(NamedTuple):
    """Kenward and Roger's matrices; s parameters of the random terms, r = s + 1 with sigma^2."""

    phi: Array  # (p, p) (X' V^-1 X)^-1
    P: Array  # (r, p, p)
    R: Array  # (s, s, p, p) Q_ij - P_i Phi P_j, random terms only
    curve: Array  # (s, s, p, p) X' V^-1 d2V V^-1 X; no entries where V is linear
    information: Array  # (r, r) expected
    weights: Array  # (s,) with V = sum_i weights_i G_i + W^-1
    size: Array  # (s,) of the variances that a parameter belongs to: its information is like 1 / size^2


class _Seen(NamedTuple):
    """The data seen through V_1 and V; m = C + p columns of the corner, the first C its random effects."""

    D: jax.Array  # (L, k, k)
    E: jax.Array  # (L, k, m)
    F: jax.Array  # (m, m) [Z_c, X]' V_1^-1 [Z_c, X]
    N: jax.Array  # (m, m) P = V_1^-1 - V_1^-1 [Z_c, X] N [Z_c, X]' V_1^-1
    K: jax.Array  # (C, C) the same for V^-1, of Z_c alone


class _Moved(NamedTuple):
    """What the s parameters of one group do: E_i, Z' V^-1 X and E_i Z' V^-1 X of each level."""

    E: jax.Array  # (s, k, k)
    second: tuple[tuple[int, jax.Array], ...]  # (first parameter, (s', s', k, k)) where not zero
    weights: jax.Array  # (s,)
    size: jax.Array  # (s,)
    Y: jax.Array  # (levels, k, p)
    v: jax.Array  # (s, levels, k, p)


def blocks(layout: Layout, gram: Gram, theta: jax.Array) -> Blocks:
    """All that the adjusted covariance of beta and its degrees of freedom need, at theta."""
    seen, p = _seen(layout, gram, theta), layout.n_coef
    found = zip(layout.groups, _projected(layout, seen), strict=True)
    moved = [_moved(layout, group, theta, y) for group, y in found]
    weights = jnp.concatenate([jnp.zeros(0), *(m.weights for m in moved)])
    P = jnp.concatenate([jnp.zeros((0, p, p)), *(-jnp.einsum("slap,laq->spq", m.v, m.Y) for m in moved)])
    coupled = _coupled(layout, seen, moved)
    c = layout.n_corner_effects
    xvx = seen.F[c:, c:] - seen.F[c:, :c] @ seen.K @ seen.F[:c, c:]
    of_residual = -xvx - jnp.einsum("s,spq->pq", weights, P)
    information = 0.5 * _with_residual(coupled, weights, gram.dof)
    P = jnp.concatenate([P, of_residual[None]])
    size = jnp.concatenate([jnp.zeros(0), *(m.size for m in moved)])
    return Blocks(seen.N[c:, c:], P, coupled.R, _curve(moved, p), information, weights, size)


def _seen(layout: Layout, gram: Gram, theta: jax.Array) -> _Seen:
    """D, E, F by eliminating the leading group, N and K from the factored corner."""
    f = factor(system(layout, gram, theta))
    A, B, F = gram.blocks, gram.border[..., :-1], gram.corner[:-1, :-1]
    if layout.n_leading and layout.k_leading == 1:
        square = group_factor(layout, layout.groups[0], theta)[0, 0] ** 2
        size = 1.0 + square * A
        flat = B[:, 0]
        A, B, F = A / size, B / size, F - flat.T @ (flat * (square / size[:, 0]))
    elif layout.n_leading:
        lam = group_factor(layout, layout.groups[0], theta)
        both = jnp.einsum("ba,lbm->lam", lam, jnp.concatenate([A, B], axis=-1))
        solved = solve_blocks(f, both)
        k = layout.k_leading
        F = F - jnp.einsum("lam,lan->mn", both[..., k:], solved[..., k:])
        both = jnp.concatenate([A, B], axis=-1) - jnp.einsum("lba,lbm->lam", both[..., :k], solved)
        A, B = both[..., :k], both[..., k:]
    c = layout.n_corner_effects
    lower, pivots = f.corner_lower[:-1, :-1], f.corner_pivots[:-1]
    J = _corner_factor(layout, theta)
    N = J @ inverse(lower, pivots) @ J.T
    K = J[:c, :c] @ inverse(lower[:c, :c], pivots[:c]) @ J[:c, :c].T if c else jnp.zeros((0, 0))
    return _Seen(A, B, F, N, K)


def _corner_factor(layout: Layout, theta: jax.Array) -> jax.Array:
    """Lambda of every corner effect, 1 for the columns of X. (m, m)."""
    each = [jnp.kron(jnp.eye(g.n_levels), group_factor(layout, g, theta)) for g in layout.corner_groups]
    return jax.scipy.linalg.block_diag(*each, jnp.eye(layout.n_coef))


def _parts(layout: Layout) -> list[slice | None]:
    """Columns of the corner of each group; None for the one that leads."""
    found: list[slice | None] = [None] if layout.n_leading else []
    first = 0
    for group in layout.corner_groups:
        found.append(slice(first, first + group.n_levels * group.size))
        first += group.n_levels * group.size
    return found


def _projected(layout: Layout, seen: _Seen) -> list[jax.Array]:
    """Z' V^-1 X of each group. (levels, k, p)."""
    c = layout.n_corner_effects
    through = seen.K @ seen.F[:c, c:]
    corner = seen.F[:c, c:] - seen.F[:c, :c] @ through
    return [
        seen.E[..., c:] - seen.E[..., :c] @ through
        if part is None
        else corner[part].reshape(group.n_levels, group.size, layout.n_coef)
        for group, part in zip(layout.groups, _parts(layout), strict=True)
    ]


def _moved(layout: Layout, group: GroupBlock, theta: jax.Array, y: jax.Array) -> _Moved:
    """The directions of a group's structures, side by side in its k columns."""
    firsts, seconds, weights, place, count = [], [], [], 0, 0
    for owner, effect, part in layout.slices:
        if owner is group:
            found = directions(effect, theta[part])
            pad = ((0, 0), *[(place, group.size - place - effect.size)] * 2)
            firsts.append(jnp.pad(found.first, pad))
            if found.second is not None:
                seconds.append((count, jnp.pad(found.second, ((0, 0), *pad))))
            weights.append(found.weights)
            place, count = place + effect.size, count + found.first.shape[0]
    E = jnp.concatenate(firsts)
    weights = jnp.concatenate(weights)
    sd = jnp.sqrt(jnp.maximum(jnp.einsum("s,saa->a", weights, E), 0.0))
    size = jnp.where(E != 0, sd[:, None] * sd, 0.0).max(axis=(1, 2)) if len(weights) else weights
    return _Moved(E, tuple(seconds), weights, size, y, jnp.einsum("sab,lbp->slap", E, y))


class _Reach(NamedTuple):
    """How the parameters i of a group enter traces and quadratic forms, in the m columns of the corner."""

    trace: jax.Array  # (s,) tr(P G_i)
    S: jax.Array  # (s, m, m) E' E_i E
    H: jax.Array  # (s, m, p) E' E_i Z' V^-1 X


class _Coupled(NamedTuple):
    """Of all s parameters: tr(P G_i) (s,), tr(P G_i P G_j) (s, s), X' V^-1 G_i P G_j V^-1 X (s, s, p, p)."""

    trace: jax.Array
    pairs: jax.Array
    R: jax.Array


def _coupled(layout: Layout, seen: _Seen, moved: list[_Moved]) -> _Coupled:
    """Z_g' P Z_h = E_g through_h, for h in the corner; the leading group with itself is `_own`."""
    p, c = layout.n_coef, layout.n_corner_effects
    if not moved:
        return _Coupled(jnp.zeros(0), jnp.zeros((0, 0)), jnp.zeros((0, 0, p, p)))
    through = jnp.eye(c + p)[:, :c] - seen.N @ seen.F[:, :c]
    reaches = []
    pairs: list[list[jax.Array]] = [[jnp.zeros((0, 0))] * len(moved) for _ in moved]
    forms: list[list[jax.Array]] = [[jnp.zeros((0, 0, p, p))] * len(moved) for _ in moved]
    for h, (group, part, m) in enumerate(zip(layout.groups, _parts(layout), moved, strict=True)):
        if part is None:
            reach, pairs[h][h], forms[h][h] = _own(seen, m)
            reaches.append(reach)
            continue
        shape = (c + p, group.n_levels, group.size)
        T, F = through[:, part].reshape(shape), seen.F[:, part].reshape(shape)
        TE = jnp.einsum("mla,sab->smlb", T, m.E)
        M, TV = jnp.einsum("smlb,nlb->smn", TE, T), jnp.einsum("mla,slaq->smq", T, m.v)
        S = jnp.einsum("smlb,nlb->smn", jnp.einsum("mla,sab->smlb", F, m.E), F)
        trace = jnp.einsum("smlb,mlb->s", TE, F)
        reaches.append(_Reach(trace, S, jnp.einsum("mla,slaq->smq", F, m.v)))
        for g, reach in enumerate(reaches):
            pairs[g][h] = jnp.einsum("smn,tmn->st", reach.S, M)
            forms[g][h] = jnp.einsum("smp,tmq->stpq", reach.H, TV)
            pairs[h][g], forms[h][g] = pairs[g][h].T, forms[g][h].transpose(1, 0, 3, 2)
    R = jnp.concatenate([jnp.concatenate(row, axis=1) for row in forms])
    return _Coupled(jnp.concatenate([reach.trace for reach in reaches]), jnp.block(pairs), R)


def _own(seen: _Seen, m: _Moved) -> tuple[_Reach, jax.Array, jax.Array]:
    """The leading group with itself, where Z' P Z = blockdiag(D_l) - E N E'."""
    G = jnp.einsum("lam,lbm->lab", seen.E @ seen.N, seen.E)
    ED, EG = jnp.einsum("sab,lbc->slac", m.E, seen.D), jnp.einsum("sab,lbc->slac", m.E, G)
    S = jnp.einsum("lam,slan->smn", seen.E, jnp.einsum("sab,lbm->slam", m.E, seen.E))
    H = jnp.einsum("lam,slap->smp", seen.E, m.v)
    SN = S @ seen.N
    pairs = jnp.einsum("slab,tlba->st", ED, ED - EG) - jnp.einsum("slab,tlba->st", EG, ED)
    pairs = pairs + jnp.einsum("smn,tnm->st", SN, SN)
    form = jnp.einsum("slap,tlaq->stpq", m.v, jnp.einsum("lab,slbp->slap", seen.D, m.v))
    form = form - jnp.einsum("smp,tmq->stpq", H, seen.N @ H)
    return _Reach(jnp.trace((ED - EG).sum(axis=1), axis1=1, axis2=2), S, H), pairs, form


def _with_residual(found: _Coupled, weights: jax.Array, dof: jax.Array) -> jax.Array:
    """tr(P G_i P G_j) with the residual variance as the last parameter: W^-1 = V - sum_i weights_i G_i."""
    mixed = found.trace - found.pairs @ weights
    last = dof - weights @ (found.trace + mixed)
    return jnp.block([[found.pairs, mixed[:, None]], [mixed[None, :], last[None, None]]])


def _curve(moved: list[_Moved], p: int) -> jax.Array:
    """X' V^-1 d2V V^-1 X of parameters in which a structure is not linear; (0, 0, p, p) where all are."""
    s = sum(m.E.shape[0] for m in moved)
    if not any(m.second for m in moved):
        return jnp.zeros((0, 0, p, p))
    out, first = jnp.zeros((s, s, p, p)), 0
    for m in moved:
        for place, second in m.second:
            at = slice(first + place, first + place + second.shape[0])
            out = out.at[at, at].set(jnp.einsum("lap,stab,lbq->stpq", m.Y, second, m.Y))
        first += m.E.shape[0]
    return out
