"""Kenward and Roger's matrices with correlated residuals: V written out (n x n), one feature after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixflow.backend import jax
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Rows
from mixflow.likelihood.kenward_roger import Blocks
from mixflow.likelihood.kenward_roger_rows import Moves, moves
from mixflow.optimise import mapped

AT_ONCE = 16
"""Features whose derivatives are held at a time."""


def blocks(layout: Layout, rows: Rows, theta: np.ndarray) -> Blocks:
    """`likelihood.kenward_roger.Blocks` of every feature with all r parameters in ``R`` and ``curve``.

    Kenward and Roger (1997), section 3, as printed; LAPACK on the host.
    """
    parts = []
    for first in range(0, len(theta), AT_ONCE):
        some = np.arange(first, min(first + AT_ONCE, len(theta)))
        own = mapped.take(rows, some)
        found = mapped.each(moves, layout, own, theta[some])
        for i in range(len(some)):
            one: Any = jax.tree.map(lambda a, i=i: a[i], (own, found))
            parts.append(_feature(layout, *one))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def _feature(layout: Layout, rows: Rows, found: Moves) -> Blocks:
    """As printed, for one feature; NaN where theta is not known."""
    seen = rows.seen.ravel() > 0
    c, p = layout.n_corner_effects, layout.n_coef
    rest = rows.rest.reshape(len(seen), -1)[seen]
    X, inert = rest[:, c : c + p], np.diag(rows.inert[c : c + p])
    V, G, curves, size = _covariance(layout, rows, found, seen)
    r = len(G)
    if not np.isfinite(V).all():
        nan = lambda *shape: np.full(shape, np.nan)  # noqa: E731
        return Blocks(
            nan(p, p), nan(r, p, p), nan(r, r, p, p), nan(r, r, p, p), nan(r, r), nan(0), np.ones(r)
        )
    inverse = np.linalg.inv(V)
    through = inverse @ X
    phi = np.linalg.inv(X.T @ through + inert)
    projector = inverse - through @ phi @ through.T
    moved = [g @ projector for g in G]
    information = np.array([[0.5 * (a * b.T).sum() for b in moved] for a in moved])
    turned = [g @ through for g in G]
    R = np.array([[a.T @ projector @ b for b in turned] for a in turned])
    curve = np.zeros((r, r, p, p))
    for (i, j), bend in curves.items():
        curve[i, j] = curve[j, i] = through.T @ bend @ through
    return Blocks(phi, np.array([-through.T @ g for g in turned]), R, curve, information, np.zeros(0), size)


def _covariance(
    layout: Layout, rows: Rows, found: Moves, seen: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], dict[tuple[int, int], np.ndarray], np.ndarray]:
    """V, its derivatives by each parameter, those by pairs where not zero, and the parameters' sizes."""
    V = _units(found.R, seen)
    G: list[np.ndarray] = []
    curves: dict[tuple[int, int], np.ndarray] = {}
    sizes = []
    for z, own in zip(_columns(layout, rows, seen), found.random, strict=True):
        spread = lambda E, z=z: np.einsum("nla,ab,mlb->nm", z, E, z, optimize=True)  # noqa: E731
        at, s = len(G), len(own.first)
        G += [spread(E) for E in own.first]
        V = V + spread(np.einsum("s,sab->ab", own.weights, own.first))
        sd = np.sqrt(np.maximum(np.einsum("s,saa->a", own.weights, own.first), 0.0))
        sizes += [np.where(E != 0, np.outer(sd, sd), 0.0).max() for E in own.first]
        if own.second is not None:
            curves |= {(at + i, at + j): spread(own.second[i, j]) for i in range(s) for j in range(i, s)}
    at, s = len(G), len(found.first)
    G += [_units(R, seen) for R in found.first]
    curves |= {(at + i, at + j): _units(found.second[i, j], seen) for i in range(s) for j in range(i, s)}
    return V, G, curves, np.array([*sizes, *np.ones(s)])


def _columns(layout: Layout, rows: Rows, seen: np.ndarray) -> list[np.ndarray]:
    """Z of each structure by levels: (n, levels, k)."""
    found, n = [], len(seen)
    corner, first = rows.rest.reshape(n, -1), 0
    for group in layout.groups:
        if group is layout.groups[0] and layout.n_leading:
            z = np.zeros((n, group.n_levels, group.size))
            z[np.arange(n), np.repeat(np.arange(group.n_levels), n // group.n_levels)] = rows.z.reshape(n, -1)
        else:
            z = corner[:, first : first + group.n_levels * group.size].reshape(n, group.n_levels, -1)
            first += group.n_levels * group.size
        place = 0
        for effect in group.effects:
            found.append(z[seen, :, place : place + effect.size])
            place += effect.size
    return found


def _units(blocks: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Blocks (units, T, T) on the diagonal, rows not seen left out."""
    units, t, _ = blocks.shape
    whole = np.zeros((units, t, units, t))
    whole[np.arange(units), :, np.arange(units), :] = blocks
    return whole.reshape(units * t, units * t)[np.ix_(seen, seen)]
