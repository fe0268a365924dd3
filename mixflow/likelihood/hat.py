"""The trace of what maps the observed values to the residuals of a mixed model, from cross-products alone.

With M = [Lambda'Z'WZ Lambda + I, .; X'WZ Lambda, X'WX] the fitted values are H y, and H has the non-zero
eigenvalues of M^-1 (M - D), D = diag(I, 0). Hence, q the number of random effects and K the corner of M^-1
that belongs to them, tr((I - H)^2) = n - p - q + |K|_F^2. K is that of a block arrow: it is never formed.
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.exact import Gram, system
from mixflow.linalg.arrow import factor, solve_blocks
from mixflow.linalg.ldl import inverse


def shrinkage(layout: Layout, gram: Gram, theta: jax.Array) -> jax.Array:
    """q - |K|_F^2 >= 0: degrees of freedom that the random effects of one feature take from the residual."""
    arrow = system(layout, gram, theta)
    f = factor(arrow)
    c, m = layout.n_corner_effects, layout.corner - 1
    rest = inverse(f.corner_lower[:m, :m], f.corner_pivots[:m])
    total = (rest[:c, :c] ** 2).sum()
    if not layout.n_leading:
        return c - total
    k = layout.k_leading
    own = solve_blocks(f, jnp.broadcast_to(jnp.eye(k), arrow.blocks.shape))
    through = solve_blocks(f, arrow.border[..., :m])
    gram_of = jnp.einsum("lam,lan->mn", through, through)
    mixed = jnp.einsum("lam,lab,lbn->mn", through, own, through)
    total += (own**2).sum() + 2 * (mixed * rest).sum() + ((gram_of @ rest) * (gram_of @ rest).T).sum()
    total += 2 * (rest[:c] @ gram_of * rest[:c]).sum()
    return layout.n_leading * k + c - total
