"""One feature of a generalised model: linear predictors, log density by row, and the Hessian as an arrow.

y | u ~ Family(eta), eta_j = offset_j + X_j beta_j + Z_j Lambda u, u ~ N(0, I). The minus log joint density is
J(psi, u) = -sum_i w_i log f(y_i | eta_i) + |u|^2 / 2, and H = d2J/du2 = I + Lambda' Z' W Z Lambda with W the
observed information of each row (as in TMB: Kristensen et al. 2016, J. Stat. Softw. 70(5)).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from mixflow.backend import Array, jax, jnp
from mixflow.design.generalised import Columns, Shape, Shared
from mixflow.likelihood.data import Gram
from mixflow.likelihood.exact import group_factor, system
from mixflow.linalg.arrow import Arrow


class Sample(NamedTuple):
    """One feature's own: ``y`` (S, r, c), ``weight`` (S, r), 0 where not observed.

    ``turn`` (p, p) for each predictor: X turn has columns that the feature's rows can see, zero for the others;
    ``constant``: the part of the log density that hangs on y alone, of all rows.
    """

    y: Array
    weight: Array
    turn: tuple[Array, ...]
    constant: Array


class Effects(NamedTuple):
    """Spherical random effects: ``lead`` (L, k) of the leading group, ``corner`` (C,) of the others."""

    lead: Array
    corner: Array


def zeros(shape: Shape) -> Effects:
    """u = 0."""
    layout = shape.layout
    return Effects(jnp.zeros((layout.n_leading, layout.k_leading)), jnp.zeros(layout.n_corner_effects))


def scaled_effects(shape: Shape, theta: jax.Array, u: Effects) -> Effects:
    """b = Lambda u."""
    layout = shape.layout
    if not layout.groups:
        return u
    lead = u.lead @ group_factor(layout, layout.groups[0], theta).T
    parts, first = [], 0
    for group in layout.corner_groups:
        own = u.corner[first : first + group.n_levels * group.size].reshape(group.n_levels, group.size)
        parts.append((own @ group_factor(layout, group, theta).T).ravel())
        first += group.n_levels * group.size
    return Effects(lead, jnp.concatenate(parts) if parts else u.corner)


def fixed_part(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array) -> tuple[jax.Array, ...]:
    """offset_j + X_j beta_j of each predictor: (S, r), or () where the shape says that it is one number."""
    found = []
    for j in range(len(shape.coefs)):
        if j in shape.single:
            x = shared.X[j]
            found.append(
                jnp.where(x.max() > 0, x.max(), x.min()) * sample.turn[j][0, 0] * psi[shape.starts[j]]
            )
            continue
        beta = sample.turn[j] @ psi[shape.starts[j] : shape.starts[j + 1]]
        found.append(shared.offset[j] + (shared.X[j].reshape(-1, len(beta)) @ beta).reshape(shape.chunks))
    return tuple(found)


def random_part(shape: Shape, shared: Shared, b: Effects) -> tuple[jax.Array, ...]:
    """Z_j b of each predictor that has random effects. (S, r) each."""
    columns, found = shared.effects, []
    for a in range(len(shape.used)):
        total = jnp.zeros(shape.chunks)
        if b.lead.shape[0]:
            rows = b.lead[shared.level]
            z = columns.lead[a]
            one = z.shape[-1] == 1
            total = total + (z[..., 0] * rows[:, :1] if one else (z * rows[:, None, :]).sum(axis=-1))
        if b.corner.shape[0]:
            z = columns.corner[a]
            total = total + (z.reshape(-1, z.shape[-1]) @ b.corner).reshape(shape.chunks)
        found.append(total)
    return tuple(found)


def predictors(
    shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects
) -> tuple[jax.Array, ...]:
    """eta of each predictor. (S, r) or () each."""
    eta = list(fixed_part(shape, shared, sample, psi))
    if shape.random:
        parts = random_part(shape, shared, scaled_effects(shape, psi[shape.theta], u))
        for j, part in zip(shape.used, parts, strict=True):
            eta[j] = eta[j] + part
    return tuple(eta)


@partial(jax.jit, static_argnums=0)
def log_density(shape: Shape, sample: Sample, eta: tuple[jax.Array, ...], own: jax.Array) -> jax.Array:
    """Log density of every row less its constant (S, r), weighted; rows not observed count nothing."""
    one = lambda y, *etas: shape.family.log_kernel(y, etas, own)  # noqa: E731
    axes = (0, *(0 if e.ndim else None for e in eta))
    return sample.weight * jax.vmap(jax.vmap(one, axes), axes)(sample.y, *eta)


class Slopes(NamedTuple):
    """Minus log density by the predictors used: first derivatives, and second by ordered pairs. (S, r) each."""

    first: tuple[jax.Array, ...]
    second: tuple[jax.Array, ...]


@partial(jax.jit, static_argnums=(0, 4))
def slopes(
    shape: Shape, sample: Sample, eta: tuple[jax.Array, ...], own: jax.Array, used: tuple[int, ...]
) -> Slopes:
    """Derivatives row by row: each row's density hangs on its own predictors alone."""

    def total(parts: tuple[jax.Array, ...]) -> jax.Array:
        full = list(eta)
        for j, part in zip(used, parts, strict=True):
            full[j] = part
        return -log_density(shape, sample, tuple(full), own).sum()

    at = tuple(jnp.broadcast_to(eta[j], shape.chunks) for j in used)
    gradient = jax.grad(total)
    first = gradient(at)
    second = []
    for a in range(len(used)):
        along = tuple(jnp.ones_like(e) if b == a else jnp.zeros_like(e) for b, e in enumerate(at))
        second += list(jax.jvp(gradient, (at,), (along,))[1])
    return Slopes(first, tuple(second))


def cross_products(shape: Shape, shared: Shared, columns: Columns, second: tuple[jax.Array, ...]) -> Arrow:
    """Z' W Z of the columns, unscaled."""
    k, m = shape.layout.k_leading, columns.corner[0].shape[-1]
    pairs = len(columns.lead)
    blocks = jnp.zeros((shape.layout.n_leading, k, k))
    border, corner = jnp.zeros((shape.layout.n_leading, k, m)), jnp.zeros((m, m))
    for number, w in enumerate(second):
        if shape.layout.n_leading:
            blocks = blocks + _by_level(shared, w, columns.lead2[number]).reshape(blocks.shape)
        if m and shape.layout.n_leading:
            border = border + _by_level(shared, w, columns.border2[number]).reshape(border.shape)
        if m:
            a, b = divmod(number, pairs)
            corner = corner + _corner(columns, number, w, a, b, m)
    return Arrow(blocks, border, corner)


def _corner(columns: Columns, number: int, w: jax.Array, a: int, b: int, m: int) -> jax.Array:
    if columns.corner2:
        return (w.reshape(-1) @ columns.corner2[number].reshape(-1, m * m)).reshape(m, m)
    left, right = columns.corner[a].reshape(-1, m), columns.corner[b].reshape(-1, m)
    return left.T @ (w.reshape(-1, 1) * right)


def _by_level(shared: Shared, w: jax.Array, products: jax.Array) -> jax.Array:
    """Sums over the rows of each level. w (S, r), products (S, r, c) -> (L, c)."""
    if products.shape[-1] == 1:
        own = (w * products[..., 0]).sum(axis=1)[:, None]
    else:
        own = jnp.einsum("sr,src->sc", w, products)
    return shared.member[0] @ own if shared.member else own


def back_to_effects(shape: Shape, shared: Shared, columns: Columns, first: tuple[jax.Array, ...]) -> Effects:
    """Z' g: (L, k) and (m,)."""
    m = columns.corner[0].shape[-1]
    lead = jnp.zeros((shape.layout.n_leading, shape.layout.k_leading))
    corner = jnp.zeros(m)
    for a, g in enumerate(first):
        if shape.layout.n_leading:
            lead = lead + _by_level(shared, g, columns.lead[a])
        if m:
            corner = corner + g.reshape(-1) @ columns.corner[a].reshape(-1, m)
    return Effects(lead, corner)


def hessian(shape: Shape, theta: jax.Array, products: Arrow) -> Arrow:
    """I + Lambda' (Z'WZ) Lambda; columns beyond those of the random effects stay as they are."""
    more = products.corner.shape[0] - shape.layout.n_corner_effects
    layout = replace(shape.layout, n_coef=more - 1)  # `system` counts a column of y, and there is none
    return system(layout, Gram(*products, dof=jnp.zeros(())), theta)


def spherical(shape: Shape, theta: jax.Array, g: Effects) -> Effects:
    """Lambda' g of the random effects; columns beyond theirs stay as they are."""
    layout = shape.layout
    lead = g.lead @ group_factor(layout, layout.groups[0], theta) if layout.n_leading else g.lead
    parts, first = [], 0
    for group in layout.corner_groups:
        own = g.corner[first : first + group.n_levels * group.size].reshape(group.n_levels, group.size)
        parts.append((own @ group_factor(layout, group, theta)).ravel())
        first += group.n_levels * group.size
    return Effects(lead, jnp.concatenate([*parts, g.corner[first:]]))
