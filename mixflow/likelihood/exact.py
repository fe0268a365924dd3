"""The exact marginal likelihood of a Gaussian mixed model, from its cross-products alone.

Bates, Maechler, Bolker, Walker (2015), J. Stat. Softw. 67(1): penalised least squares in spherical
effects u, sigma and beta profiled (eqs. 30-42), written on the block arrow. All for one feature.
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.design.layout import GroupBlock, Layout
from mixflow.likelihood.data import Data, Gram, gram_at
from mixflow.linalg.arrow import Arrow, ArrowFactor, factor

__all__ = ["Gram", "Pieces", "beta_cov_root", "group_factor", "objective", "pieces", "pieces_of", "system"]


class Pieces(NamedTuple):
    """What the objective is made of."""

    logdet: Array  # log|L|^2 + log|R|, and log|R_X|^2 where beta is integrated
    rss: Array  # penalised residual sum of squares r^2(theta)


def group_factor(layout: Layout, group: GroupBlock, theta: jax.Array) -> jax.Array:
    """Lambda of one level of a group: its structures side by side. (k, k)."""
    parts = [e.factor(theta[s]) for g, e, s in layout.slices if g is group]
    return parts[0] if len(parts) == 1 else jax.scipy.linalg.block_diag(*parts)


def system(layout: Layout, gram: Gram, theta: jax.Array) -> Arrow:
    """The arrow Lambda' Z'WZ Lambda + I with X and y in the corner, unscaled."""
    border, corner = scale_columns(layout, gram.border, theta), scale_corner(layout, gram.corner, theta)
    c = layout.n_corner_effects
    corner = corner + jnp.diag(jnp.concatenate([jnp.ones(c), jnp.zeros(layout.corner - c)]))
    if not layout.n_leading:
        return Arrow(gram.blocks, border, corner)
    lam = group_factor(layout, layout.groups[0], theta)
    if layout.k_leading == 1:
        return Arrow(gram.blocks * lam[0, 0] ** 2 + 1.0, border * lam[0, 0], corner)
    blocks = jnp.einsum("ai,lab,bj->lij", lam, gram.blocks, lam) + jnp.eye(layout.k_leading)
    return Arrow(blocks, jnp.einsum("ai,lam->lim", lam, border), corner)


def scale_corner(layout: Layout, corner: jax.Array, theta: jax.Array, turned: bool = False) -> jax.Array:
    """J' a J with Lambda of every corner effect in J, and 1 for X and y; ``turned``: J a J'. (m, m)."""
    half = scale_columns(layout, corner, theta, turned)
    return scale_columns(layout, half.T, theta, turned).T


def scale_columns(layout: Layout, a: jax.Array, theta: jax.Array, turned: bool = False) -> jax.Array:
    """a J with Lambda of every corner effect in J, and 1 for X and y; ``turned``: a J'. (..., m)."""
    first = 0
    for group in layout.corner_groups:
        lam = group_factor(layout, group, theta)
        width = group.n_levels * group.size
        a = _scale_columns(a, lam.T if turned else lam, first, width)
        first += width
    return a


def _scale_columns(a: jax.Array, lam: jax.Array, first: int, width: int) -> jax.Array:
    """Multiply each level's k columns by Lambda. (..., m) -> (..., m)."""
    k = lam.shape[0]
    part = a[..., first : first + width]
    scaled = (
        part * lam[0, 0]
        if k == 1
        else (part.reshape(*part.shape[:-1], width // k, k) @ lam).reshape(part.shape)
    )
    return jnp.concatenate([a[..., :first], scaled, a[..., first + width :]], axis=-1)


def pieces(layout: Layout, data: Data, theta: jax.Array) -> Pieces:
    """log-determinants and penalised residual sum of squares at theta."""
    gram, log_det_r = gram_at(layout, data, theta)
    found = pieces_of(layout, factor(system(layout, gram, theta)))
    return found._replace(logdet=found.logdet + log_det_r)


def pieces_of(layout: Layout, f: ArrowFactor) -> Pieces:
    """The same from a factored arrow."""
    c = layout.n_corner_effects
    counted = f.corner_pivots[: c + layout.n_coef] if layout.reml else f.corner_pivots[:c]
    return Pieces(jnp.log(f.block_pivots).sum() + jnp.log(counted).sum(), f.corner_pivots[-1])


def objective(data: Data, parts: Pieces) -> Array:
    """-2 log-likelihood (restricted under REML), sigma profiled or known; the Gram's constants left out."""
    if data.sigma2 is None:
        return parts.logdet + data.dof * (1.0 + jnp.log(2 * jnp.pi * parts.rss / data.dof))
    return parts.logdet + data.dof * jnp.log(2 * jnp.pi * data.sigma2) + parts.rss / data.sigma2


def beta_cov_root(layout: Layout, f: ArrowFactor) -> tuple[jax.Array, jax.Array]:
    """L and D of R_X' R_X = L D L', whose inverse times sigma^2 is the covariance of beta."""
    x = slice(layout.n_corner_effects, layout.n_corner_effects + layout.n_coef)
    return f.corner_lower[x, x], f.corner_pivots[x]
