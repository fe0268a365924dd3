"""What Laplace's approximation asks of a block arrow: log-determinant, solutions, its inverse on the arrow.

The log-determinant has its derivative by hand, d log|H| = tr(H^-1 dH), which needs H^-1 on the arrow alone
(Takahashi's idea; Rue, Martino and Chopin 2009): no derivative goes through the loops of the factorisation.
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.linalg.arrow import Arrow, ArrowFactor, factor, solve_blocks
from mixflow.linalg.ldl import inverse, ldl, solve_unit_lower, solve_unit_upper


def arrow_factor(arrow: Arrow) -> ArrowFactor:
    """`arrow.factor`, also where the corner has no columns."""
    if arrow.corner.shape[0]:
        return factor(arrow)
    if arrow.blocks.shape[1] == 1:
        lower, pivots = jnp.ones_like(arrow.blocks), arrow.blocks[:, :, 0]
    else:
        lower, pivots = jax.vmap(ldl)(arrow.blocks)
    return ArrowFactor(lower, pivots, arrow.border, arrow.corner, jnp.zeros(0))


def definite(f: ArrowFactor) -> jax.Array:
    """Whether every pivot is positive."""
    return (f.block_pivots > 0).all() & (f.corner_pivots > 0).all()


@jax.custom_jvp
def logdet(arrow: Arrow) -> jax.Array:
    """log|H| of a positive definite arrow; NaN where it is not."""
    f = arrow_factor(arrow)
    return jnp.log(f.block_pivots).sum() + jnp.log(f.corner_pivots).sum()


@logdet.defjvp
def _(primals: tuple[Arrow], tangents: tuple[Arrow]) -> tuple[jax.Array, jax.Array]:
    (arrow,), (moved,) = primals, tangents
    own = inverse_on(arrow)
    slope = (own.blocks * moved.blocks).sum() + (own.corner * moved.corner).sum()
    return logdet(arrow), slope + 2.0 * (own.border * moved.border).sum()


def inverse_on(arrow: Arrow) -> Arrow:
    """H^-1 on the arrow: blocks (L, k, k), border (L, k, m), corner (m, m)."""
    f = arrow_factor(arrow)
    k = arrow.blocks.shape[1]
    units = jnp.broadcast_to(jnp.eye(k), arrow.blocks.shape)
    blocks = 1.0 / arrow.blocks if k == 1 else solve_blocks(f, units)
    if not arrow.corner.shape[0]:
        return Arrow(blocks, arrow.border, arrow.corner)
    corner = inverse(f.corner_lower, f.corner_pivots)
    if not arrow.blocks.shape[0]:
        return Arrow(blocks, arrow.border, corner)
    through = solve_blocks(f, arrow.border)
    border = -through @ corner
    return Arrow(blocks - jnp.einsum("lam,lbm->lab", border, through), border, corner)


def solve(f: ArrowFactor, lead: jax.Array, corner: jax.Array) -> tuple[jax.Array, jax.Array]:
    """H^-1 of one right-hand side: (L, k) and (m,)."""
    if not corner.shape[0]:
        return solve_blocks(f, lead[..., None])[..., 0], corner
    if not lead.shape[0]:
        return lead, _solve_corner(f, corner)
    half = solve_blocks(f, lead[..., None])[..., 0]
    # The factor keeps the border whitened by L alone: B'A^-1 b = (L^-1 B)' D^-1 L^-1 b.
    white = (
        lead[..., None] if lead.shape[1] == 1 else jax.vmap(solve_unit_lower)(f.block_lower, lead[..., None])
    )
    rest = corner - jnp.einsum("lam,la->m", f.border, white[..., 0] / f.block_pivots)
    below = _solve_corner(f, rest)
    back = (f.border @ below) / f.block_pivots
    if lead.shape[1] > 1:
        back = jax.vmap(solve_unit_upper)(f.block_lower, back[..., None])[..., 0]
    return half - back, below


def _solve_corner(f: ArrowFactor, right: jax.Array) -> jax.Array:
    half = solve_unit_lower(f.corner_lower, right[:, None]) / f.corner_pivots[:, None]
    return solve_unit_upper(f.corner_lower, half)[:, 0]
