"""From the optimum of a generalised model to estimates, their covariance and how each feature ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance import Unstructured
from mixflow.design.generalised import Shape, Shared
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed
from mixflow.family import Cumulative
from mixflow.family.cumulative import HELD
from mixflow.likelihood.exact import group_factor
from mixflow.likelihood.generalised import Effects, Sample, scaled_effects
from mixflow.likelihood.laplace import curvature
from mixflow.linalg.arrow_inverse import inverse_on
from mixflow.optimise.estimates import back_to_beta
from mixflow.optimise.glmm_iterate import FLAT, Optima
from mixflow.optimise.glmm_prepare import Generalised
from mixflow.optimise.modes import find_mode
from mixflow.status import Status

NEGATIVE = 1e-4
"""An eigenvalue of the Hessian below minus this is a direction in which the likelihood still rises."""

INFINITE = 1e-2
"""Entries of a direction to infinity below this share of its largest (columns of length 1) are none."""


@dataclass(frozen=True, eq=False)
class Directions:
    """What the exact Hessian says: covariance of psi (N, P, P) over its curved directions, and the others.

    ``flat`` (N, P, P): directions without curvature as columns, zero for the others; ``rising`` (N,): the
    Hessian is not positive definite; ``bound`` (N, P): parameters on their boundary.
    """

    covariance: np.ndarray
    flat: np.ndarray
    rising: np.ndarray
    bound: np.ndarray


def directions(shape: Shape, found: Optima, observed: list[Observed]) -> Directions:
    """Sort the directions of psi. Parameters on the boundary, or that no row sees, are left out."""
    out = np.zeros(found.psi.shape, dtype=bool)
    for j, seen in enumerate(observed):
        for i, rank in zip(np.flatnonzero(seen.deficient), seen.rank[seen.deficient], strict=True):
            out[i, shape.starts[j] + rank : shape.starts[j + 1]] = True
    bound = on_boundary(shape.layout, found.psi[:, shape.theta])
    out[:, shape.theta] |= bound
    if isinstance(shape.family, Cumulative):
        out[:, shape.own] |= found.psi[:, shape.own] > HELD - 1.0  # gaps above categories that are not there
    hessian = np.where(out[:, :, None] | out[:, None, :], np.eye(shape.n_psi), found.hessian)
    fine = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    values, vectors = np.linalg.eigh(np.where(fine[:, None, None], hessian, np.eye(shape.n_psi)))
    curved = values > FLAT
    weight = np.where(curved, 2.0 / np.where(curved, values, 1.0), 0.0)
    covariance = (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    covariance = np.where(out[:, :, None] | out[:, None, :], 0.0, covariance)
    flat = np.where((~curved)[:, None, :], vectors, 0.0)
    return Directions(covariance, flat, np.asarray((values < -NEGATIVE).any(axis=1)), out)


def on_boundary(layout: Layout, theta: np.ndarray) -> np.ndarray:
    """Parameters held at zero by a variance of zero: its own, and those that hang on it. Bool (N, q)."""
    out = layout.boundary & (theta == 0)
    for _, effect, part in layout.slices:
        own = out[:, part]
        if isinstance(effect, Unstructured):
            column = np.triu_indices(effect.size)[0]  # of Lambda, in theta's order
            diagonal = np.flatnonzero(effect.boundary)
            out[:, part] = own[:, diagonal[column]]
    hangs = layout.hangs_on
    return out | ((hangs >= 0) & out[:, np.maximum(hangs, 0)])


def endings(shape: Shape, found: Optima, told: Directions) -> np.ndarray:
    """How each feature ended (N,) int8."""
    status = np.full(len(found.psi), Status.OK, dtype=np.int8)
    at = found.psi[:, shape.theta]
    status[(shape.layout.boundary & (at == 0)).any(axis=1)] = Status.SINGULAR
    mass = told.flat**2
    mu, theta = mass[:, : shape.starts[1]].sum(axis=1), mass[:, shape.theta].sum(axis=1)
    status[(mass.sum(axis=1) - mu - theta > 0.5).any(axis=1)] = Status.SIMPLER_FAMILY
    status[(theta > 0.5).any(axis=1)] = Status.NO_CURVATURE
    status[(mu > 0.5).any(axis=1)] = (
        Status.SEPARATION
    )  # where all is foretold, nothing is known of theta either
    status[told.rising] = Status.NOT_DEFINITE
    status[~found.settled] = Status.NO_CONVERGENCE
    status[~np.isfinite(found.value)] = Status.NOT_FINITE
    return status


def to_user(
    prepared: Generalised, observed: list[Observed], found: Optima, told: Directions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of all predictors (N, B), the matrix from psi to (beta, theta) (N, P, P), directions of
    X that no row sees, or that go to infinity (N, p, p) of the first predictor.
    """
    shape, n = prepared.shape, len(found.psi)
    turn = np.tile(np.eye(shape.n_psi), (n, 1, 1))
    null = np.zeros((n, shape.coefs[0], shape.coefs[0]))
    for j, (design, seen) in enumerate(zip(prepared.designs, observed, strict=True)):
        part = slice(shape.starts[j], shape.starts[j + 1])
        back, unseen = back_to_beta(design, seen)
        turn[:, part, part] = back * np.sqrt(len(design.X))
        if j == 0:
            null = unseen + _infinite(design.R, turn[:, part, part], told.flat[:, part])
    turn[:, shape.theta, shape.theta] = np.diag(1 / prepared.theta_scale)
    beta = (turn[:, : shape.n_beta] @ found.psi[:, :, None])[:, :, 0]
    return beta, turn, null


def _infinite(r: np.ndarray, turn: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Directions of beta to infinity as columns, entries that are none put to zero. (N, p, p)."""
    p = turn.shape[1]
    length = np.linalg.norm(r, axis=0)
    moved = (turn @ flat)[:, :, :] * length[None, :, None]
    size = np.abs(moved).max(axis=1, keepdims=True)
    some = (flat**2).sum(axis=1, keepdims=True) > 0.5
    kept = np.where(some & (np.abs(moved) > INFINITE * size), moved, 0.0) / length[None, :, None]
    order = np.argsort(~some[:, 0], axis=1, kind="stable")[:, :p]
    return np.take_along_axis(kept, order[:, None, :], axis=2)


def conditional_modes(
    shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """b = Lambda u and the roots of diag(Lambda H^-1 Lambda'), beta and theta as known: (L, k) by group."""
    psi, near = at
    theta, layout = psi[shape.theta], shape.layout
    u, _ = find_mode(shape, shared, sample, psi, near)  # the last step of psi left u a step behind
    b = scaled_effects(shape, theta, u)
    own = inverse_on(curvature(shape, shared, sample, psi, u))
    modes, sds, first = [], [], 0
    for place, group in enumerate(layout.groups):
        shape_ = (group.n_levels, group.size)
        if place == 0:
            mode, cov = b.lead, own.blocks
        else:
            part = slice(first, first + group.n_levels * group.size)
            blocks = own.corner[part, part].reshape(*shape_, *shape_)
            mode, cov = (
                b.corner[part].reshape(shape_),
                jnp.moveaxis(jnp.diagonal(blocks, axis1=0, axis2=2), -1, 0),
            )
            first = part.stop
        lam = group_factor(layout, group, theta)
        modes.append(mode)
        sds.append(jnp.sqrt(jnp.einsum("ia,lab,ib->li", lam, cov, lam)))
    return tuple(modes), tuple(sds)
