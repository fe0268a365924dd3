"""The block arrow: one block-diagonal part, all else a dense corner by Schur complement.

            | A_1              B_1 |        A_l  (k x k)   blocks, one for each level of the leading factor
        S = |      ...         ... |        B_l  (k x m)   border
            |           A_L    B_L |        C    (m x m)   corner
            | B_1' ...  B_L'   C   |

Every Gaussian mixed model is this system (nested and crossed factors, X and y in the corner).
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import jax, jnp
from mixflow.linalg.ldl import ldl, solve_unit_lower, solve_unit_upper


class Arrow(NamedTuple):
    """``blocks`` (L, k, k), ``border`` (L, k, m), ``corner`` (m, m)."""

    blocks: jax.Array
    border: jax.Array
    corner: jax.Array


class ArrowFactor(NamedTuple):
    """LDL' of an arrow: of the blocks, the whitened border, and of the Schur complement."""

    block_lower: jax.Array
    block_pivots: jax.Array
    border: jax.Array
    corner_lower: jax.Array
    corner_pivots: jax.Array


def factor(arrow: Arrow) -> ArrowFactor:
    """Factor the arrow; a non-positive pivot shows as such in the pivots. Cost O(L k m^2 + m^3)."""
    if arrow.blocks.shape[0] == 0:
        block_lower, block_pivots = arrow.blocks, arrow.blocks[:, :, 0]
        border, schur = arrow.border, arrow.corner
    else:
        block_lower, block_pivots = _ldl_blocks(arrow.blocks)
        border = _solve_blocks(block_lower, arrow.border)
        schur = arrow.corner - _gram(border, border / block_pivots[:, :, None])
    return ArrowFactor(block_lower, block_pivots, border, *ldl(schur))


def solve_blocks(f: ArrowFactor, b: jax.Array) -> jax.Array:
    """A_l^-1 b_l for every level. (L, k, r) -> (L, k, r)."""
    half = _solve_blocks(f.block_lower, b) / f.block_pivots[:, :, None]
    return jax.vmap(solve_unit_upper)(f.block_lower, half)


def _gram(a: jax.Array, b: jax.Array) -> jax.Array:
    """sum_l a_l' b_l. (L, k, m), (L, k, r) -> (m, r)."""
    m, r = a.shape[-1], b.shape[-1]
    return a.reshape(-1, m).T @ b.reshape(-1, r)


def _ldl_blocks(blocks: jax.Array) -> tuple[jax.Array, jax.Array]:
    if blocks.shape[1] == 1:
        return jnp.ones_like(blocks), blocks[:, :, 0]
    return jax.vmap(ldl)(blocks)


def _solve_blocks(lower: jax.Array, b: jax.Array) -> jax.Array:
    return b if lower.shape[1] == 1 else jax.vmap(solve_unit_lower)(lower, b)
