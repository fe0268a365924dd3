"""What the likelihood says at its optimum: beta, its covariance and derivatives, and the random effects.

All for one feature, in the coordinates of its Gram (X orthogonalised, y scaled, theta relative).
"""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import jax, jnp
from mixflow.likelihood.exact import Gram, Pieces, beta_cov_root, group_factor, pieces, pieces_of, system
from mixflow.likelihood.taylor import expand
from mixflow.linalg.arrow import ArrowFactor, factor, solve_blocks
from mixflow.linalg.ldl import inverse, solve_unit_upper
from mixflow.model.layout import Layout


class Summary(NamedTuple):
    """Estimates of one feature at theta."""

    objective: jax.Array
    sigma: jax.Array
    gamma: jax.Array  # (p,) coefficients on the orthogonalised X
    cov: jax.Array  # (p, p) (R_X' R_X)^-1: the covariance of gamma over sigma^2
    cov_deriv: jax.Array  # (q, p, p) its derivative by theta
    information: jax.Array  # (q + 1, q + 1) Hessian of -2 log-likelihood by (theta, sigma)


def summarise(layout: Layout, gram: Gram, theta: jax.Array) -> Summary:
    """Everything that tests of beta need, by exact derivatives (Kuznetsova et al. 2017, lmerTest)."""
    f = factor(system(layout, gram, theta))
    parts = pieces_of(layout, f)
    sigma = jnp.sqrt(parts.rss / gram.dof)

    def covariance(t: jax.Array) -> jax.Array:
        return inverse(*beta_cov_root(layout, factor(system(layout, gram, t))))

    deriv = jax.jacfwd(covariance)(theta) if theta.shape[0] else jnp.zeros((layout.n_coef, layout.n_coef, 0))
    value, gradient, hessian = expand(lambda t: pieces(layout, gram, t), theta)
    objective = parts.logdet + gram.dof * (1.0 + jnp.log(2 * jnp.pi * parts.rss / gram.dof))
    return Summary(
        objective,
        sigma,
        _solution(f)[layout.n_corner_effects :],
        inverse(*beta_cov_root(layout, f)),
        jnp.moveaxis(deriv, -1, 0),
        _information(gram.dof, sigma, value, gradient, hessian),
    )


def _information(
    dof: jax.Array, sigma: jax.Array, value: Pieces, gradient: Pieces, hessian: Pieces
) -> jax.Array:
    """Hessian by (theta, sigma) of D = logdet + rss / sigma^2 + 2 dof log sigma, sigma not profiled."""
    theta_theta = hessian.logdet + hessian.rss / sigma**2
    theta_sigma = -2.0 * gradient.rss / sigma**3
    sigma_sigma = 6.0 * value.rss / sigma**4 - 2.0 * dof / sigma**2
    top = jnp.concatenate([theta_theta, theta_sigma[:, None]], axis=1)
    bottom = jnp.concatenate([theta_sigma, sigma_sigma[None]])
    return jnp.concatenate([top, bottom[None, :]])


def _solution(f: ArrowFactor) -> jax.Array:
    """Corner random effects u and gamma: the normal equations solved backwards from the row of y."""
    lower = f.corner_lower[:-1, :-1]
    return solve_unit_upper(lower, f.corner_lower[-1, :-1][:, None])[:, 0]


class Modes(NamedTuple):
    """Conditional modes b and their conditional standard deviations over sigma: (L, k) for each group."""

    mode: tuple[jax.Array, ...]
    sd: tuple[jax.Array, ...]


def conditional_modes(layout: Layout, gram: Gram, theta: jax.Array) -> Modes:
    """b = Lambda u and the diagonal of Var(b | y, beta) = sigma^2 Lambda (Lambda' Z'WZ Lambda + I)^-1 Lambda'."""
    arrow = system(layout, gram, theta)
    f = factor(arrow)
    c = layout.n_corner_effects
    x = _solution(f)
    corner_cov = inverse(f.corner_lower[:c, :c], f.corner_pivots[:c]) if c else jnp.zeros((0, 0))
    modes, sds, first = [], [], 0
    for place, group in enumerate(layout.groups):
        lam = group_factor(layout, group, theta)
        shape = (group.n_levels, group.size)
        if place == 0:
            u, cov = _leading(arrow.border, f, x, corner_cov)
        else:
            part = slice(first, first + shape[0] * shape[1])
            u, cov = x[part].reshape(shape), _diagonal_blocks(corner_cov[part, part], *shape)
            first = part.stop
        modes.append(u @ lam.T)
        sds.append(jnp.sqrt(jnp.einsum("ia,lab,ib->li", lam, cov, lam)))
    return Modes(tuple(modes), tuple(sds))


def _leading(
    border: jax.Array, f: ArrowFactor, x: jax.Array, corner_cov: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """u (L, k) of the block-diagonal part, and the diagonal blocks of its conditional covariance."""
    rest = border[..., -1] - border[..., :-1] @ x
    u = solve_blocks(f, rest[..., None])[..., 0]
    k, c = border.shape[1], corner_cov.shape[0]
    own = solve_blocks(f, jnp.broadcast_to(jnp.eye(k), (border.shape[0], k, k)))
    if c == 0:
        return u, own
    through = solve_blocks(f, border[..., :c])
    return u, own + jnp.einsum("lac,cd,lbd->lab", through, corner_cov, through)


def _diagonal_blocks(a: jax.Array, n_levels: int, k: int) -> jax.Array:
    blocks = a.reshape(n_levels, k, n_levels, k)
    return jnp.moveaxis(jnp.diagonal(blocks, axis1=0, axis2=2), -1, 0)
