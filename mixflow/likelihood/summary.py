"""What the likelihood says at its optimum: beta, its covariance and derivatives, and the random effects.

All for one feature, in the coordinates of its Gram (X orthogonalised, y scaled, theta relative).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data, gram_at
from mixflow.likelihood.exact import Pieces, beta_cov_root, group_factor, pieces_of, system
from mixflow.linalg.arrow import Arrow, ArrowFactor, factor, solve_blocks
from mixflow.linalg.ldl import inverse, solve_unit_upper


class Summary(NamedTuple):
    """Estimates of one feature at theta."""

    gamma: Array  # (p,) coefficients on the orthogonalised X
    cov: Array  # (p, p) (R_X' R_X)^-1: the covariance of gamma over sigma^2
    cov_deriv: Array  # (q, p, p) its derivative by theta
    pieces: Pieces
    modes: Modes


class Modes(NamedTuple):
    """Conditional modes b and their conditional standard deviations over sigma: (L, k) for each group."""

    mode: tuple[Array, ...]
    sd: tuple[Array, ...]


def summarise(layout: Layout, data: Data, theta: jax.Array) -> Summary:
    """Everything that tests of beta need, by exact derivatives (Kuznetsova et al. 2017, lmerTest)."""
    gram, log_det_r = gram_at(layout, data, theta)
    arrow = system(layout, gram, theta)
    f = factor(arrow)

    def covariance(t: jax.Array) -> jax.Array:
        return inverse(*beta_cov_root(layout, factor(system(layout, gram_at(layout, data, t)[0], t))))

    if theta.shape[0]:
        cov, deriv = _with_derivative(covariance, theta)
    else:
        cov, deriv = covariance(theta), jnp.zeros((0, layout.n_coef, layout.n_coef))
    gamma = solution_of(f)[layout.n_corner_effects :]
    found = pieces_of(layout, f)
    found = found._replace(logdet=found.logdet + log_det_r)
    return Summary(gamma, cov, deriv, found, _modes(layout, arrow, f, theta))


def _with_derivative(
    function: Callable[[jax.Array], jax.Array], theta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """f(theta) and its derivative with theta's axis first."""
    along = lambda v: jax.jvp(function, (theta,), (v,))  # noqa: E731
    return jax.vmap(along, out_axes=(None, 0))(jnp.eye(theta.shape[0]))


def solution_of(f: ArrowFactor) -> jax.Array:
    """Corner random effects u and gamma: the normal equations solved backwards from the row of y."""
    lower = f.corner_lower[:-1, :-1]
    return solve_unit_upper(lower, f.corner_lower[-1, :-1][:, None])[:, 0]


def _modes(layout: Layout, arrow: Arrow, f: ArrowFactor, theta: jax.Array) -> Modes:
    """b = Lambda u, and diag(Lambda (Lambda'Z'WZ Lambda + I)^-1 Lambda'): Var(b | y, beta) over sigma^2."""
    c = layout.n_corner_effects
    x = solution_of(f)
    corner_cov = inverse(f.corner_lower[:c, :c], f.corner_pivots[:c]) if c else jnp.zeros((0, 0))
    modes, sds, first = [], [], 0
    for place, group in enumerate(layout.groups):
        lam = group_factor(layout, group, theta)
        shape = (group.n_levels, group.size)
        if place == 0 and layout.n_leading:
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
