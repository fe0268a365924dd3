"""How V moves with the parameters of the random effects: traces and quadratic forms from cross-products alone.

With V = W^-1 + sum_g Z_g (I x Gamma_g) Z_g' (sigma = 1), P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1 and V_i the
derivative of V by a parameter i, everything follows from Z' P Z, in which the leading group is block-diagonal
plus low rank:

    Z_1' P Z_1 = blockdiag(D_l) - E N E'      D_l = Z_1l' V_1^-1 Z_1l,  E = Z_1' V_1^-1 [Z_c, X]

with V_1 = W^-1 + Z_1 (I x Gamma_1) Z_1'. The Lk x Lk matrix is never formed, and Gamma may be singular or zero.
The derivatives of -2 log-likelihood (Lindstrom and Bates 1988, J. Am. Stat. Assoc. 83:1014) and Kenward and
Roger's matrices are made of these. All for one feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.layout import GroupBlock, Layout
from mixflow.likelihood.data import Gram
from mixflow.likelihood.exact import group_factor, scale_columns, scale_corner
from mixflow.linalg.ldl import inverse, ldl
from mixflow.linalg.sweep import sweep

SMALL = 4
"""Up to this size products of one level's k x k matrices are written out: a call for each level costs more."""


class Leading(NamedTuple):
    """The data seen through V_1; m = C + p + 1 columns of the corner: its random effects, X and y."""

    logdet: jax.Array  # log abs(V_1)
    R: jax.Array  # (L, k, k) (I + A Gamma)^-1
    D: jax.Array  # (L, k, k)
    E: jax.Array  # (L, k, m)
    F: jax.Array  # (m, m) [Z_c, X, y]' V_1^-1 [Z_c, X, y]
    S: jax.Array  # (s, m, m) E' Gamma_i E


class Corner(NamedTuple):
    """P = V_1^-1 - V_1^-1 [Z_c, X] N [Z_c, X]' V_1^-1, and the same with K (zero for X) for V^-1."""

    pivots: jax.Array  # (C + p,)
    rss: jax.Array
    N: jax.Array  # (C + p, C + p)
    K: jax.Array  # (C + p, C + p)
    solution: jax.Array  # (C + p,) conditional modes of the corner's random effects, and coefficients
    spherical: jax.Array  # (C,) the same modes in spherical coordinates: Lambda' Z' P y
    N_half: jax.Array  # (C + p, C) N = N_half Lambda' in the random effects' columns: no division by Lambda
    K_half: jax.Array  # (C + p, C)


class Moved(NamedTuple):
    """First and second derivatives of one group's Gamma by its s parameters."""

    first: jax.Array  # (s, k, k)
    second: tuple[tuple[int, jax.Array], ...]  # (first parameter, (s', s', k, k)) of a structure


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """a @ b of many small matrices. (..., k, k), (..., k, m) -> (..., k, m)."""
    k = a.shape[-1]
    if k > SMALL:
        return a @ b
    return sum((a[..., :, c, None] * b[..., c, None, :] for c in range(1, k)), a[..., :, :1] * b[..., :1, :])


def stacked(group: GroupBlock, found: Sequence[tuple[jax.Array, jax.Array | None]]) -> Moved:
    """A group's structures side by side: (s', k', k') and (s', s', k', k') of each -> the group's k columns."""
    firsts, seconds, place, count = [], [], 0, 0
    for first, second in found:
        size = first.shape[-1]
        pad = ((0, 0), *[(place, group.size - place - size)] * 2)
        firsts.append(jnp.pad(first, pad))
        if second is not None:
            seconds.append((count, jnp.pad(second, ((0, 0), *pad))))
        place, count = place + size, count + first.shape[0]
    return Moved(jnp.concatenate(firsts), tuple(seconds))


def eliminate(layout: Layout, gram: Gram, theta: jax.Array, firsts: list[jax.Array]) -> Leading:
    """Take the leading group out of the corner, and say how that moves with its parameters.

    ``firsts``: derivatives of Gamma (s, k, k) of each group.
    """
    A, B, corner = gram.blocks, gram.border, gram.corner
    if not layout.n_leading:
        return Leading(jnp.zeros(()), A, A, B, corner, jnp.zeros((0, *corner.shape)))
    lam = group_factor(layout, layout.groups[0], theta)
    if layout.k_leading == 1:
        pivots = 1.0 + lam**2 * A
        R, G = 1.0 / pivots, lam**2 / pivots
    else:
        lower, pivots = jax.vmap(ldl)(product(lam.T, product(A, lam)) + jnp.eye(len(lam)))
        G = product(lam, product(jax.vmap(inverse)(lower, pivots), lam.T))
        R = jnp.eye(len(lam)) - product(A, G)
    moves = jnp.concatenate([G[None], product(jnp.swapaxes(R, 1, 2), product(firsts[0][:, None], R))])
    s, m = moves.shape[0], corner.shape[0]
    right = jnp.moveaxis(product(moves, B), 0, 2).reshape(-1, s * m)
    all_of = jnp.moveaxis((B.reshape(-1, m).T @ right).reshape(m, s, m), 1, 0)
    return Leading(jnp.log(pivots).sum(), R, product(R, A), product(R, B), corner - all_of[0], all_of[1:])


def solve(layout: Layout, leading: Leading, theta: jax.Array) -> Corner:
    """The rest of the mixed model equations, in spherical random effects: Gamma may be zero."""
    c, n = layout.n_corner_effects, layout.corner - 1
    spherical = jnp.diag((np.arange(n + 1) < c).astype(float))
    part, pivots = sweep(scale_corner(layout, leading.F, theta) + spherical, 0, c)
    whole, rest = sweep(part, c, n)
    without_x = jnp.zeros((n + 1, n + 1)).at[:c, :c].set(-part[:c, :c])
    N_half, K_half = (scale_columns(layout, a, theta, turned=True).T for a in (whole, without_x))
    user, K = (scale_columns(layout, a, theta, turned=True) for a in (N_half, K_half))
    return Corner(
        jnp.concatenate([pivots, rest]),
        whole[n, n],
        -user[:n, :n],
        K[:n, :n],
        N_half[:n, n],
        whole[:c, n],
        -N_half[:n, :c],
        K_half[:n, :c],
    )


def parts(layout: Layout) -> list[slice | None]:
    """Columns of the corner of each group; None for the one that leads."""
    found: list[slice | None] = [None] if layout.n_leading else []
    first = 0
    for group in layout.corner_groups:
        found.append(slice(first, first + group.n_levels * group.size))
        first += group.n_levels * group.size
    return found


class Traces(NamedTuple):
    """``sums``: sum_l Z_gl' P Z_gl (k, k) of each group, so that tr(P V_i) = <sums, Gamma_i>."""

    sums: list[jax.Array]
    pairs: jax.Array  # (s, s) tr(P V_i P V_j)

    def of(self, firsts: list[jax.Array]) -> jax.Array:
        """tr(P V_i) of all parameters. (s,)."""
        return slope(self.sums, firsts)


def slope(weights: list[jax.Array], firsts: list[jax.Array]) -> jax.Array:
    """<weights, Gamma_i> of all parameters. (s,)."""
    each = ((w * first).sum(axis=(1, 2)) for w, first in zip(weights, firsts, strict=True))
    return jnp.concatenate([jnp.zeros(0), *each])


def traces(layout: Layout, leading: Leading, N: jax.Array, firsts: list[jax.Array]) -> Traces:
    """Traces of P, or with K for N of V^-1. ``firsts``: (s, k, k) of each group."""
    if not firsts:
        return Traces([], jnp.zeros((0, 0)))
    c, n = layout.n_corner_effects, N.shape[0]
    F = leading.F[:n, :n]
    through = jnp.eye(n)[:, :c] - N @ F[:, :c]  # Z_1' P Z_c = E through
    within = F[:c] @ through  # Z_c' P Z_c
    sums: list[jax.Array] = []
    pairs: list[list[jax.Array]] = [[jnp.zeros((0, 0))] * len(firsts) for _ in firsts]
    passed: list[tuple[int, slice, jax.Array]] = []
    for h, (group, part, first) in enumerate(zip(layout.groups, parts(layout), firsts, strict=True)):
        if part is None:
            total, pairs[h][h] = _own(leading, N, first)
            sums.append(total)
            continue
        levels = (group.n_levels, group.size)
        own = within[part, part].reshape(*levels, *levels)
        sums.append(jnp.trace(own, axis1=0, axis2=2))
        for g, there, other in [*passed, (h, part, first)]:
            shape = (other.shape[0], there.stop - there.start, part.stop - part.start)
            left = _of_levels(other, within[there, part]).reshape(shape)
            right = _of_levels(first, within[part, there]).reshape(-1, *shape[:0:-1])
            pairs[g][h] = jnp.einsum("sxy,tyx->st", left, right)
            pairs[h][g] = pairs[g][h].T
        if layout.n_leading:
            turned = _of_levels(first, through[:, part].T)
            reach = jnp.einsum("nx,txm->tnm", through[:, part], turned)
            pairs[0][h] = jnp.einsum("snm,tnm->st", leading.S[:, :n, :n], reach)
            pairs[h][0] = pairs[0][h].T
        passed.append((h, part, first))
    return Traces(sums, jnp.block(pairs))


def _of_levels(first: jax.Array, a: jax.Array) -> jax.Array:
    """Every level's k rows times each derivative. (s, k, k), (levels k, x) -> (s, levels k, x)."""
    s, k = first.shape[:2]
    return product(first[:, None], a.reshape(-1, k, a.shape[1])).reshape(s, *a.shape)


def _own(leading: Leading, N: jax.Array, first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The leading group with itself, where Z' P Z = blockdiag(D_l) - E N E'."""
    n = N.shape[0]
    E = leading.E[..., :n]
    G = ((E @ N)[:, :, None] * E[:, None]).sum(axis=-1)
    of_d, of_g = product(first[:, None], leading.D), product(first[:, None], G)
    pairs = jnp.einsum("slab,tlba->st", of_d, of_d - of_g) - jnp.einsum("slab,tlba->st", of_g, of_d)
    SN = leading.S[:, :n, :n] @ N
    return (leading.D - G).sum(axis=0), pairs + jnp.einsum("smn,tnm->st", SN, SN)


class Forms(NamedTuple):
    """Of r columns a: Z_g' V^-1 a (levels, k, r), Gamma_i times it (s, levels, k, r), and all pairs."""

    seen: list[jax.Array]
    moved: list[jax.Array]
    pairs: jax.Array  # (s, s, r, r) a' V^-1 V_i P V_j V^-1 a


def forms(
    layout: Layout, leading: Leading, N: jax.Array, firsts: list[jax.Array], columns: jax.Array
) -> Forms:
    """Quadratic forms of V^-1 a = V_1^-1 [Z_c, X, y] ``columns``, (m, r). ``firsts``: (s, k, k) of each group."""
    n, r = N.shape[0], columns.shape[1]
    F = leading.F[:n] @ columns
    seen, moved, reach, own = [], [], [], []
    for group, part, first in zip(layout.groups, parts(layout), firsts, strict=True):
        y = leading.E @ columns if part is None else F[part].reshape(group.n_levels, group.size, r)
        v = product(first[:, None], y)
        seen.append(y)
        moved.append(v)
        flat = v.reshape(len(first), group.n_levels * group.size, r)
        reach.append(leading.S[:, :n] @ columns if part is None else leading.F[:n, part] @ flat)
        if part is None:
            through = product(leading.D, v).reshape(flat.shape)
            own.append([jnp.einsum("sxp,txq->stpq", flat, through)])
        else:
            own.append([jnp.einsum("sxp,txq->stpq", e[:, part], flat) for e in reach])
    if not firsts:
        return Forms(seen, moved, jnp.zeros((0, 0, r, r)))
    rows = [
        [own[max(g, h)][min(g, h)] if g <= h else own[g][h].transpose(1, 0, 3, 2) for h in range(len(own))]
        for g in range(len(own))
    ]
    e = jnp.concatenate(reach)
    alone = jnp.concatenate([jnp.concatenate(row, axis=1) for row in rows])
    return Forms(seen, moved, alone - jnp.einsum("snp,tnq->stpq", e, N @ e))
