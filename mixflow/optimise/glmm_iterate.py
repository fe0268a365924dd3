"""Optimum of every feature of a generalised model: start, quasi-Newton rounds, exact Hessian, boundary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixflow.backend import jax
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample
from mixflow.likelihood.laplace import second_derivatives
from mixflow.likelihood.quadrature import objective_of
from mixflow.optimise import quasi
from mixflow.optimise.glmm_mapped import each
from mixflow.optimise.glmm_start import start
from mixflow.optimise.mapped import take
from mixflow.optimise.modes import find_mode
from mixflow.optimise.quasi import Outer

MOST_EVALUATIONS = 300
ROUNDS = 4
"""Quasi-Newton runs, each from the exact Hessian where the last one stopped."""

CLOSE = 1e-6
"""At the optimum a Newton step with the exact Hessian promises less than this on -2 log-likelihood."""

NEAR = 0.05
"""A boundary parameter below this (columns of unit mean square) is tried at zero."""

NO_WORSE = 1e-7
FLAT = 2e-5
"""Curvature of -2 log-likelihood (columns of unit mean square) below this is none: the optimum is at infinity."""


class Optima(NamedTuple):
    """Where the features ended: psi (N, P), modes, -2 log-likelihood, gradient, exact Hessian, evaluations.

    ``settled``: a Newton step promises next to nothing.
    """

    psi: np.ndarray
    u: Effects
    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    evaluations: np.ndarray
    settled: np.ndarray


def optima(shape: Shape, shared: Shared, samples: Sample) -> Optima:
    """Every feature from its start to its optimum."""
    n = len(samples.y)
    psi, u = each(start, shape, shared, samples, np.zeros(n))
    found = _exact(shape, shared, samples, psi, u, np.zeros(n, dtype=int))
    for _ in range(ROUNDS):
        rows = np.flatnonzero(~found.settled & np.isfinite(found.value))
        if not len(rows):
            break
        _put(found, rows, _run(shape, shared, take(samples, rows), take(found, rows)))
    return _boundary(shape, shared, samples, found)


def _run(shape: Shape, shared: Shared, samples: Sample, at: Optima) -> Optima:
    """Quasi-Newton from points with their exact Hessians, and the exact Hessian where it stops."""
    inverse = _inverse(at.hessian, floor=0.05)
    direction = -np.einsum("nij,nj->ni", inverse, at.gradient)
    direction *= np.minimum(1.0, quasi.LONGEST / np.maximum(np.abs(direction).max(axis=1), 1e-300))[:, None]
    none = np.zeros(len(at.psi), dtype=bool)
    count = np.zeros(len(at.psi), dtype=int)
    state = Outer(at.psi.copy(), jax.tree.map(np.copy, at.u), at.value.copy(), at.gradient.copy(), inverse,
                  direction, np.ones(len(at.psi)), count, none, none.copy())  # fmt: skip
    active = np.arange(len(at.psi))
    while len(active) and state.evaluations[active[0]] < MOST_EVALUATIONS:
        new = each(quasi.advance, shape, shared, take(samples, active), take(state, active))
        _put(state, active, new)
        active = active[~new.done]
    return _exact(shape, shared, samples, state.psi, state.u, at.evaluations + state.evaluations)


def _exact(
    shape: Shape, shared: Shared, samples: Sample, psi: np.ndarray, u: Effects, evaluations: np.ndarray
) -> Optima:
    u, value, gradient, hessian = each(_look, shape, shared, samples, (psi, u))
    found = Optima(psi, u, value, gradient, hessian, evaluations, np.zeros(len(psi), dtype=bool))
    found.settled[:] = _promise(shape, found) < CLOSE
    return jax.tree.map(np.array, found)


def _look(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]):
    """The mode, -2 log-likelihood, gradient and Hessian of one feature."""
    u, _ = find_mode(shape, shared, sample, *at)
    found, hessian = second_derivatives(objective_of(shape), shape, shared, sample, at[0], u)
    return u, found.value, found.gradient, hessian


def _promise(shape: Shape, found: Optima) -> np.ndarray:
    """g' H^-1 g, indefinite directions by their size; NaN where not finite. (N,)."""
    inverse = _inverse(found.hessian, floor=FLAT)
    with np.errstate(invalid="ignore"):
        return np.einsum("ni,nij,nj->n", found.gradient, inverse, found.gradient)


def _inverse(hessian: np.ndarray, floor: float) -> np.ndarray:
    """Inverse with the sizes of eigenvalues, none below ``floor``: positive definite. (N, P, P)."""
    fine = np.isfinite(hessian).all(axis=(1, 2))
    safe = np.where(fine[:, None, None], hessian, np.eye(hessian.shape[1]))
    values, vectors = np.linalg.eigh(safe)
    weight = 1.0 / np.maximum(np.abs(values), floor)
    return (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _boundary(shape: Shape, shared: Shared, samples: Sample, found: Optima) -> Optima:
    """Canonical signs; standard deviations near zero put at zero where that is no worse."""
    layout, part = shape.layout, shape.theta
    if not layout.n_theta:
        return found
    theta = found.psi[:, part]
    near = layout.boundary & (np.abs(theta) < NEAR)
    for tried in (layout.canonical(np.where(near, 0.0, theta)), layout.canonical(theta)):
        rows = np.flatnonzero((tried != found.psi[:, part]).any(axis=1) & np.isfinite(found.value))
        if not len(rows):
            continue
        psi = found.psi[rows]
        psi[:, part] = tried[rows]
        own = take(samples, rows)
        at = _exact(shape, shared, own, psi, take(found.u, rows), found.evaluations[rows])
        again = np.flatnonzero(~at.settled & np.isfinite(at.value))
        if len(again):
            _put(at, again, _run(shape, shared, take(own, again), take(at, again)))
        better = at.value <= found.value[rows] + NO_WORSE
        _put(found, rows[better], take(at, better))
    return found


def _put(target, rows: np.ndarray, source) -> None:
    jax.tree.map(lambda old, new: old.__setitem__(rows, new), target, source)
