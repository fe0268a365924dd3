"""Value, gradient and Hessian of the likelihood's two pieces by closed forms: one factorisation of the corner.

With V at sigma = 1 and V_i, V_ij its derivatives by theta (Lindstrom and Bates 1988, J. Am. Stat. Assoc.
83:1014; under ML V^-1 stands for P in the traces):

    log-determinants   tr(P V_i)       tr(P V_ij) - tr(P V_i P V_j)
    y' P y             -y' P V_i P y   2 y' P V_i P V_j P y - y' P V_ij P y
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.covariance.directions import by_theta
from mixflow.design.layout import Layout
from mixflow.likelihood import near_derivatives, taylor
from mixflow.likelihood.data import Data, Gram, Near
from mixflow.likelihood.exact import Pieces, group_factor, pieces
from mixflow.likelihood.traces import Leading, Moved, eliminate, forms, parts, solve, stacked, traces


def expand(layout: Layout, data: Data, theta: jax.Array) -> tuple[Pieces, Pieces, Pieces]:
    """The two pieces of the likelihood at theta (q,) with their gradients (q,) and Hessians (q, q).

    Where theta makes the cross-products themselves, nested forward derivatives see to all of it.
    """
    if isinstance(data, Gram):
        return closed(layout, data, theta)
    if isinstance(data, Near):
        return near_derivatives.expand(layout, data, theta)
    return taylor.expand(lambda t: pieces(layout, data, t), theta)


def closed(layout: Layout, gram: Gram, theta: jax.Array) -> tuple[Pieces, Pieces, Pieces]:
    """The same by closed forms."""
    moved = _moved(layout, theta)
    firsts = [m.first for m in moved]
    leading = eliminate(layout, gram, theta, firsts)
    corner = solve(layout, leading, theta)
    counted = corner.pivots if layout.reml else corner.pivots[: layout.n_corner_effects]
    value = Pieces(leading.logdet + jnp.log(counted).sum(), corner.rss)
    trace = traces(layout, leading, corner.N if layout.reml else corner.K, firsts)
    residual = jnp.concatenate([-corner.solution, jnp.ones(1)])[:, None]
    form = forms(layout, leading, corner.N, firsts, residual)
    squares = [jnp.einsum("lar,lbr->ab", y, y) for y in form.seen]
    half = corner.N_half if layout.reml else corner.K_half
    gradient = Pieces(
        _gradient(layout, theta, trace.sums, _within(layout, leading, half)),
        -_gradient(layout, theta, squares, _seen(layout, form.seen, corner.spherical)),
    )
    hessian = Pieces(
        _curvature(trace.sums, moved) - trace.pairs, 2.0 * form.pairs[..., 0, 0] - _curvature(squares, moved)
    )
    return value, gradient, hessian


def _gradient(layout: Layout, theta: jax.Array, sums: list[jax.Array], corner: list[jax.Array]) -> jax.Array:
    """2 <sums Lambda, Lambda_i> of all parameters, (q,); ``corner`` has sums Lambda of the groups in the corner.

    There the product is at hand without the cancellation of `traces`, which would leave a gradient of a large
    Lambda (a residual variance near zero) without correct digits.
    """
    total = jnp.zeros(layout.n_theta)
    for group, own in zip(layout.groups, [None] * (len(sums) - len(corner)) + corner, strict=True):
        factor = lambda t, group=group: group_factor(layout, group, t)  # noqa: E731
        weights = sums[0] @ factor(theta) if own is None else own
        total = total + 2.0 * jnp.einsum("ab,abq->q", weights, jax.jacfwd(factor)(theta))
    return total


def _within(layout: Layout, leading: Leading, half: jax.Array) -> list[jax.Array]:
    """sum_l Z_gl' P Z_gl Lambda (k, k) of the groups in the corner."""
    c, n = layout.n_corner_effects, half.shape[0]
    whole = leading.F[:c, :n] @ half
    found = []
    for group, part in zip(layout.groups, parts(layout), strict=True):
        if part is not None:
            own = whole[part, part].reshape(group.n_levels, group.size, group.n_levels, group.size)
            found.append(jnp.trace(own, axis1=0, axis2=2))
    return found


def _seen(layout: Layout, seen: list[jax.Array], spherical: jax.Array) -> list[jax.Array]:
    """sum_l (Z_gl' P y) (Z_gl' P y)' Lambda (k, k) of the groups in the corner."""
    found = []
    for group, part, y in zip(layout.groups, parts(layout), seen, strict=True):
        if part is not None:
            modes = spherical[part].reshape(group.n_levels, group.size)
            found.append(jnp.einsum("la,lb->ab", y[..., 0], modes))
    return found


def _moved(layout: Layout, theta: jax.Array) -> list[Moved]:
    """How the Gamma of each group moves with theta."""
    found = []
    for group in layout.groups:
        own = [by_theta(effect, theta[part]) for owner, effect, part in layout.slices if owner is group]
        found.append(stacked(group, own))
    return found


def _curvature(weights: list[jax.Array], moved: list[Moved]) -> jax.Array:
    """<weights, Gamma_ij>, zero for parameters of two structures. (q, q)."""
    each = [
        (w * second).sum(axis=(2, 3)) for w, m in zip(weights, moved, strict=True) for _, second in m.second
    ]
    return jax.scipy.linalg.block_diag(*each) if each else jnp.zeros((0, 0))
