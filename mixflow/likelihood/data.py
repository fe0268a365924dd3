"""What the exact likelihood sees of one feature: cross-products, or the rows from which theta makes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax, jnp
from mixflow.covariance import Residual
from mixflow.design.layout import Layout
from mixflow.linalg.ldl import solve_unit_lower


class Gram(NamedTuple):
    """All of one feature's data that the likelihood sees; the corner ends with X and y.

    ``blocks`` (L, k, k), ``border`` (L, k, m), ``corner`` (m, m), ``dof`` the divisor of sigma^2
    (observations, less the rank under REML). ``sigma2``: sigma^2 where it is known, else None.
    """

    blocks: Array
    border: Array
    corner: Array
    dof: Array
    sigma2: Array | None = None


class Rows(NamedTuple):
    """One feature's rows, for a residual covariance that hangs on theta: (levels, units, rows, ...), padded.

    ``z`` (..., k) columns of the leading group, ``rest`` (..., m) those of the corner, X and y, all times
    the root of the weight and zero where not observed; ``seen`` (...) 1 or 0; ``where`` (...) positions;
    ``dispersion`` (..., d); ``inert`` (m,) pivots of directions that the feature's rows cannot see.
    """

    z: Array
    rest: Array
    seen: Array
    where: Array
    dispersion: Array
    inert: Array
    dof: Array
    sigma2: Array | None = None


class Basis(NamedTuple):
    """One feature's Grams by the forms B_j of which theta makes R^-1 (`mixflow.covariance.Combination`).

    ``lead`` (J', L, k, k + m) blocks and border side by side of the first J' forms, which the leading group's
    columns need; ``corner`` (J, m (m + 1) / 2) lower triangles, row by row; ``counts`` (I,) of log|R|.
    """

    lead: Array
    corner: Array
    counts: Array
    dof: Array
    sigma2: Array | None = None


class Near(NamedTuple):
    """A `Basis` about one theta: Gram and log|R| to second order in the residual side's parameters.

    ``at`` (r,); ``lead`` (1 + r + r r, L, k, k + m), ``corner`` (.., m (m + 1) / 2) and ``logdet`` (..) hold value,
    gradient and Hessian. Derivatives at ``at`` are those of the `Basis`, and each costs a scalar product.
    """

    at: Array
    lead: Array
    corner: Array
    logdet: Array
    dof: Array
    sigma2: Array | None = None


Data = Gram | Rows | Basis | Near


def gram_at(layout: Layout, data: Data, theta: jax.Array) -> tuple[Gram, jax.Array]:
    """Cross-products weighted by R(theta)^-1, and log|R|. A `Gram` is what it is."""
    if layout.residual is None:
        assert isinstance(data, Gram)
        return data, jnp.zeros(())
    if isinstance(data, Basis | Near):
        return _combined(layout, data, theta[layout.residual_part])
    assert isinstance(data, Rows)
    z, rest, logdet = whiten(layout.residual, data, theta[layout.residual_part])
    m, k = rest.shape[-1], z.shape[-1]
    z, rest = z.reshape(z.shape[0], -1, k), rest.reshape(rest.shape[0], -1, m)
    flat = rest.reshape(-1, m)
    corner = flat.T @ flat + jnp.diag(data.inert)
    if not layout.n_leading:
        blocks, border = jnp.zeros((0, 1, 1)), jnp.zeros((0, 1, m))
    else:
        blocks, border = jnp.einsum("lra,lrb->lab", z, z), jnp.einsum("lra,lrm->lam", z, rest)
    return Gram(blocks, border, corner, data.dof, data.sigma2), logdet


def _combined(layout: Layout, data: Basis | Near, theta: jax.Array) -> tuple[Gram, jax.Array]:
    """Gram by R(theta)^-1 and log|R|; theta (r,) of the residual side."""
    assert layout.residual is not None and layout.residual.combination is not None
    forms = layout.residual.combination
    if isinstance(data, Basis):
        c, logdet = forms.coefficients(theta)[None], forms.log_factors(theta) @ data.counts
    else:
        step = theta - data.at
        c = jnp.concatenate([jnp.ones(1), step, 0.5 * (step[:, None] * step[None, :]).ravel()])[None]
        logdet = c[0] @ data.logdet
    lead, packed = (a[0] for a in weighted(c, data))
    return Gram(*unpacked(layout, lead, packed), data.dof, data.sigma2), logdet


def unpacked(layout: Layout, lead: jax.Array, packed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Blocks (..., L, k, k), border (..., L, k, m) and corner (..., m, m) of Grams by form."""
    rows, columns = np.indices((layout.corner, layout.corner))
    low, high = np.minimum(rows, columns), np.maximum(rows, columns)
    k = layout.k_leading
    return lead[..., :k], lead[..., k:], packed[..., high * (high + 1) // 2 + low]


def weighted(c: jax.Array, data: Basis | Near) -> tuple[jax.Array, jax.Array]:
    """Sums over the forms with coefficients c (K, J). (K, L, k, k + m), (K, m (m + 1) / 2)."""
    n = data.lead.shape[0]
    lead = (c[:, :n] @ data.lead.reshape(n, -1)).reshape(c.shape[0], *data.lead.shape[1:])
    return lead, c @ data.corner


def whiten(residual: Residual, data: Rows, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows of [Z, rest] times the inverse root of R(theta), unit by unit, and log|R|."""
    log_sd = residual.log_sd(theta, data.dispersion)
    if residual.correlation is None:
        scale = jnp.exp(-log_sd)[..., None]
        return data.z * scale, data.rest * scale, 2.0 * (log_sd * data.seen).sum()
    k = data.z.shape[-1]
    both = jnp.concatenate([data.z, data.rest], axis=-1)

    def unit(where: jax.Array, log_sd: jax.Array, seen: jax.Array, rows: jax.Array):
        lower, pivots = residual.factor(theta, where, log_sd, seen)
        return solve_unit_lower(lower, rows) / jnp.sqrt(pivots)[:, None], jnp.log(pivots).sum()

    white, logdet = jax.vmap(jax.vmap(unit))(data.where, log_sd, data.seen, both)
    return white[..., :k], white[..., k:], logdet.sum()
