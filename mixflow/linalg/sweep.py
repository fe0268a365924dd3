"""The sweep operator: inverse, solution and residual sum of squares of normal equations in one pass.

Goodnight (1979), Am. Stat. 33:149. Sweeping the first n rows of a symmetric positive definite

    | A   b |          | -A^-1      A^-1 b     |
    | b'  c |   gives  | b' A^-1    c - b' A^-1 b |

and the pivots are those of L D L' of A. For one system without LAPACK, as `ldl`.
"""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.linalg.ldl import PANEL, UNROLL, ldl, solve_unit_lower


def sweep(a: jax.Array, first: int, last: int) -> tuple[jax.Array, jax.Array]:
    """Sweep the rows ``first`` to ``last`` of (m, m), in their order. -> (m, m), pivots (last - first,)."""
    pivots = [jnp.zeros(0)]
    while first < last:
        size = last - first
        if size <= UNROLL or size > PANEL:
            size = min(size, PANEL)
            a, own = _panel(a, first, size)
        else:
            a, own = _looped(a, first, last)
        pivots.append(own)
        first += size
    return a, jnp.concatenate(pivots)


def _panel(a: jax.Array, first: int, size: int) -> tuple[jax.Array, jax.Array]:
    """Some rows at once: the inverse of their own block, and one matrix product for all others."""
    rows = slice(first, first + size)
    lower, pivots = ldl(a[rows, rows])
    back = solve_unit_lower(lower, jnp.eye(size))
    half = solve_unit_lower(lower, a[rows])  # never the inverse times the rows: that loses digits
    rest = a - half.T @ (half / pivots[:, None])
    solved = back.T @ (jnp.concatenate([half, back], axis=1) / pivots[:, None])
    solved = solved[:, :-size].at[:, rows].set(-solved[:, -size:])
    return rest.at[rows].set(solved).at[:, rows].set(solved.T), pivots


def _looped(a: jax.Array, first: int, last: int) -> tuple[jax.Array, jax.Array]:
    place = np.arange(a.shape[0])

    def step(j: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        a, pivots = state
        row, pivot, here = a[j], a[j, j], place == j
        solved = jnp.where(here, 0.0, row / pivot)
        a = a - solved[:, None] * row[None, :]
        solved = jnp.where(here, -1.0 / pivot, solved)
        return a.at[j].set(solved).at[:, j].set(solved), pivots.at[j - first].set(pivot)

    return jax.lax.fori_loop(first, last, step, (a, jnp.zeros(last - first)))
