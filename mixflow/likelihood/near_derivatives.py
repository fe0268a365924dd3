"""Value, gradient and Hessian of the likelihood's two pieces where theta moves the cross-products too.

From the block arrow S(theta) = [A B; B' C] (y in its last row) to second order: with D = A^-1, U = D B, the Schur
complement T = C - B' U, and indices for derivatives by theta,

    W_i  = B_i - A_i U
    T_i  = C_i  - B_i' U  - U' W_i
    T_ij = C_ij - B_ij' U - U' (B_ij - A_ij U) - W_i' D W_j - W_j' D W_i

log|A| has the derivatives tr(D A_i) and tr(D A_ij) - tr(D A_i D A_j), and so has the log-determinant of T; the
residual sum of squares v' T v with v = (-T_xx^-1 t_xy, 1) has v' T_i v and v' T_ij v - 2 (T_i v)_x' T_xx^-1 (T_j v)_x
(Magnus and Neudecker 2019, Matrix Differential Calculus, chapter 8). One factorisation of T, where nested
forward derivatives carry each derivative through all of it. All for one feature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Gram, Near, unpacked
from mixflow.likelihood.exact import Pieces, system
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.ldl import inverse, ldl


class Pairs(NamedTuple):
    """Parameters i <= j of each second derivative, in the order in which they are kept."""

    first: np.ndarray
    second: np.ndarray


class Jet(NamedTuple):
    """Something with its derivatives by theta: ``first`` (q, ...), ``second`` (pairs, ...)."""

    value: jax.Array
    first: jax.Array
    second: jax.Array

    def __add__(self, other: Jet) -> Jet:  # type: ignore[override]
        return Jet(*(a + b for a, b in zip(self, other, strict=True)))


def expand(layout: Layout, data: Near, theta: jax.Array) -> tuple[Pieces, Pieces, Pieces]:
    """The two pieces of the likelihood at theta (q,), where the data are near, gradients (q,), Hessians (q, q)."""
    q, c, x = layout.n_theta, layout.n_corner_effects, layout.corner - 1
    pairs = _pairs(layout)
    A, B, C = _arrow(layout, data, theta)
    found = [_residual(layout, data.logdet)]
    if layout.n_leading:
        D, logdet = _blocks(A, pairs)
        found.append(logdet)
        C = _schur(A, B, C, D, pairs)
    lower, pivots = ldl(C.value)
    N = inverse(lower[:x, :x], pivots[:x])
    counted = x if layout.reml else c
    inner = N if layout.reml else inverse(lower[:c, :c], pivots[:c])
    own = Jet(*(part[..., :counted, :counted] for part in C))
    found.append(_log_determinant(jnp.log(pivots[:counted]).sum(), inner, own, pairs))
    logdet, rss = sum(found[1:], found[0]), _rss(pivots[-1], N, C, pairs)
    place = np.zeros((q, q), dtype=int)
    place[pairs.first, pairs.second] = place[pairs.second, pairs.first] = np.arange(len(pairs.first))
    return (
        Pieces(logdet.value, rss.value),
        Pieces(logdet.first, rss.first),
        Pieces(logdet.second[place], rss.second[place]),
    )


def _pairs(layout: Layout) -> Pairs:
    """Two of the random side, one of each side, two of the residual side."""
    n, r = layout.n_random, layout.n_theta - layout.n_random
    mixed = np.divmod(np.arange(n * r), max(r, 1))
    parts = [np.triu_indices(n), (mixed[0], mixed[1] + n), tuple(a + n for a in np.triu_indices(r))]
    return Pairs(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _residual(layout: Layout, logdet: jax.Array) -> Jet:
    """log|R|, of which the random side knows nothing."""
    n, r = layout.n_random, layout.n_theta - layout.n_random
    own = logdet[1 + r :].reshape(r, r)[np.triu_indices(r)]
    before = jnp.zeros(n * (n + 1) // 2 + n * r)
    return Jet(logdet[0], jnp.concatenate([jnp.zeros(n), logdet[1 : 1 + r]]), jnp.concatenate([before, own]))


def _arrow(layout: Layout, data: Near, theta: jax.Array) -> tuple[Jet, ...]:
    """Blocks, border and corner of the arrow, which is linear in the cross-products but for its identity."""
    n, r = layout.n_random, layout.n_theta - layout.n_random
    every = unpacked(layout, data.lead, data.corner)
    random, residual = theta[:n], theta[n:]
    part = lambda rows: jax.tree.map(lambda a: a[rows], every)  # noqa: E731

    def at(gram: tuple[jax.Array, ...], t: jax.Array) -> Arrow:
        blocks, border, corner = gram
        return system(layout, Gram(blocks, border, corner, data.dof), jnp.concatenate([t, residual]))

    def by_gram(moved: tuple[jax.Array, ...]) -> Arrow:
        return jax.jvp(lambda gram: at(gram, random), (part(0),), (moved,))[1]

    def by_both(moved: tuple[jax.Array, ...]) -> Arrow:
        return _along(lambda t: jax.jvp(lambda gram: at(gram, t), (part(0),), (moved,))[1], random)

    value, own, bent = _to_second_order(lambda t: at(part(0), t), random)
    rows, columns = np.triu_indices(r)
    first = jax.vmap(by_gram)(part(slice(1, 1 + r)))
    mixed = jax.vmap(by_both, out_axes=1)(part(slice(1, 1 + r)))
    second = jax.vmap(by_gram)(part(1 + r + rows * r + columns))
    flat = lambda a: a.reshape(n * r, *a.shape[2:])  # noqa: E731
    return tuple(
        Jet(v, jnp.concatenate([f, g]), jnp.concatenate([h, flat(m), s]))
        for v, f, g, h, m, s in zip(value, own, first, bent, mixed, second, strict=True)
    )


def _along(function: Callable[[jax.Array], Arrow], at: jax.Array) -> Arrow:
    """Derivatives by each entry of ``at`` (n,), with n the first axis."""
    if not len(at):
        return jax.tree.map(lambda a: jnp.zeros((0, *a.shape)), function(at))
    return jax.vmap(lambda e: jax.jvp(function, (at,), (e,))[1])(jnp.eye(len(at)))


def _to_second_order(function: Callable[[jax.Array], Arrow], at: jax.Array) -> tuple[Arrow, Arrow, Arrow]:
    """Value, derivatives by each entry of ``at`` (n,), and by each pair of them."""
    n = len(at)
    if not n:
        none = _along(function, at)
        return function(at), none, none
    rows, columns = np.triu_indices(n)
    eye = jnp.eye(n)

    def along(u: jax.Array, v: jax.Array) -> tuple[Arrow, Arrow, Arrow]:
        (value, first), (_, second) = jax.jvp(lambda t: jax.jvp(function, (t,), (v,)), (at,), (u,))
        return value, first, second

    value, first, second = jax.vmap(along, out_axes=(None, 0, 0))(eye[rows], eye[columns])
    return value, jax.tree.map(lambda a: a[np.flatnonzero(rows == columns)], first), second


def _blocks(A: Jet, pairs: Pairs) -> tuple[jax.Array, Jet]:
    """D = A^-1 of every level (L, k, k), and log|A| of all."""
    if A.value.shape[-1] == 1:
        D, log = 1.0 / A.value, jnp.log(A.value).sum()
    else:
        lower, pivots = jax.vmap(ldl)(A.value)
        D, log = jax.vmap(inverse)(lower, pivots), jnp.log(pivots).sum()
    return D, _log_determinant(log, D, A, pairs)


def _log_determinant(log: jax.Array, inverse: jax.Array, a: Jet, pairs: Pairs) -> Jet:
    """Derivatives of log|a|, summed over leading axes; ``inverse`` (..., k, k) of a's value."""
    turned = _times(inverse, a.first)
    axes = tuple(range(1, a.first.ndim))
    trace = lambda b: (inverse * b).sum(axis=axes)  # noqa: E731
    mixed = (turned[pairs.first] * jnp.swapaxes(turned, -1, -2)[pairs.second]).sum(axis=axes)
    return Jet(log, trace(a.first), trace(a.second) - mixed)


def _schur(A: Jet, B: Jet, C: Jet, D: jax.Array, pairs: Pairs) -> Jet:
    """T = C - B' D B."""
    U = _times(D, B.value)
    W = B.first - _times(A.first, U)
    left = jnp.concatenate(
        [0.5 * B.value[None], B.first - 0.5 * _times(A.first, U), B.second - 0.5 * _times(A.second, U)]
    )
    H = jnp.einsum("slkm,lkn->smn", left, U)
    H = H + jnp.swapaxes(H, 1, 2)
    both = jnp.einsum("slkm,tlkn->stmn", _times(D, W), W)[pairs.first, pairs.second]
    q = len(W)
    second = C.second - H[1 + q :] - both - jnp.swapaxes(both, 1, 2)
    return Jet(C.value - H[0], C.first - H[1 : 1 + q], second)


def _rss(value: jax.Array, N: jax.Array, T: Jet, pairs: Pairs) -> Jet:
    """v' T v; ``N`` = T_xx^-1."""
    x = N.shape[0]
    v = jnp.concatenate([-N @ T.value[:x, x], jnp.ones(1)])
    first, second = T.first @ v, T.second @ v
    h = first[:, :x]
    bent = ((h @ N)[pairs.first] * h[pairs.second]).sum(axis=1)
    return Jet(value, first @ v, second @ v - 2.0 * bent)


def _times(a: jax.Array, b: jax.Array) -> jax.Array:
    """a @ b of small matrices, written out where they are single numbers."""
    return a * b if a.shape[-1] == 1 else a @ b
