"""Optimum of every feature of a generalised model: start, quasi-Newton, Hessian, boundary."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Effects, Sample
from mixflow.likelihood.laplace import with_gradient
from mixflow.likelihood.penalty import penalty
from mixflow.likelihood.quadrature import objective_of
from mixflow.optimise import quasi
from mixflow.optimise.glmm_mapped import each
from mixflow.optimise.glmm_restricted import coefficient_cov, evaluate_restricted, with_coefficients
from mixflow.optimise.glmm_simpler import FAR, LEAST, MOST, simpler_directions, vanishing
from mixflow.optimise.glmm_start import first, start
from mixflow.optimise.mapped import take
from mixflow.optimise.modes import find_mode
from mixflow.optimise.quasi import Point

ROUNDS = 4
"""Quasi-Newton runs, each from the Hessian where the last one stopped."""

CLOSE = 1e-5
"""At the optimum a Newton step with the Hessian promises less than this on -2 log-likelihood."""

STEP = 1e-4
"""Step of the differences of exact gradients (columns of unit mean square): their relative error is its size."""

NEAR = 0.05
"""A boundary parameter below this (columns of unit mean square) is tried at zero."""

NO_WORSE = 1e-7
FLAT = 1e-3
"""Curvature of -2 log-likelihood (columns of unit mean square) below this is none: the optimum is at infinity."""

LEAST_CURVATURE = 0.05


class Optima(NamedTuple):
    """Where the features ended (N of each), with the Hessian (N, P, P); ``settled``: nothing more to gain."""

    point: Point
    hessian: np.ndarray
    evaluations: np.ndarray
    settled: np.ndarray

    @property
    def psi(self) -> np.ndarray:
        return self.point.psi

    @property
    def value(self) -> np.ndarray:
        return self.point.value


class Problem(NamedTuple):
    """The features at hand with what all share."""

    shape: Shape
    shared: Shared
    samples: Sample

    def some(self, rows: np.ndarray) -> Problem:
        """Some of the features."""
        return self._replace(samples=take(self.samples, rows))

    def evaluate(self, rows: np.ndarray, psi: np.ndarray, u: Effects) -> Point:
        """Value and gradient at the modes, for the features ``rows``."""
        return each(_evaluate, self.shape, self.shared, self.samples, (psi, u), rows)


def _evaluate(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]) -> Point:
    if shape.restricted:
        return evaluate_restricted(shape, shared, sample, at)
    psi, start = at
    u, found = find_mode(shape, shared, sample, psi, start)
    value, gradient = _penalised(shape, shared, sample, psi, u)
    fine = found & jnp.isfinite(value) & jnp.isfinite(gradient).all()
    u = jax.tree.map(lambda a, b: jnp.where(fine, a, b), u, start)
    return Point(psi, u, jnp.where(fine, value, jnp.inf), gradient)


def _penalised(
    shape: Shape, shared: Shared, sample: Sample, psi: jax.Array, u: Effects
) -> tuple[jax.Array, jax.Array]:
    """-2 log-likelihood with the penalty, and its gradient, u the mode."""
    value, gradient = with_gradient(objective_of(shape), shape, shared, sample, psi, u)
    if shape.penalty:
        more, slope = jax.value_and_grad(lambda p: penalty(shape, shared, sample, p))(psi)
        value, gradient = value + more, gradient + slope
    return value, gradient


def _gradients(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]) -> jax.Array:
    """Gradients where each parameter in turn has moved by `STEP`. (P, P). No value is computed for them."""
    psi, start = at

    def moved(by: jax.Array) -> jax.Array:
        u, _ = find_mode(shape, shared, sample, psi + by, start)
        return _penalised(shape, shared, sample, psi + by, u)[1]

    return jax.lax.map(moved, STEP * jnp.eye(shape.n_psi))


def optima(shape: Shape, shared: Shared, samples: Sample) -> Optima:
    """Every feature from its start to its optimum."""
    problem, n = Problem(shape, shared, samples), len(samples.y)
    psi, u = each(start, replace(shape, nodes=1), shared, samples, np.zeros(n))  # it knows nothing of points
    at = problem.evaluate(np.arange(n), psi, u)
    lost = np.flatnonzero(~np.isfinite(at.value))
    if len(lost):  # for example where two modes of a level meet
        psi, u = each(first, replace(shape, nodes=1), shared, samples, np.zeros(len(lost)), lost)
        at = jax.tree.map(np.array, at)
        quasi.put(at, lost, problem.evaluate(lost, psi, u))
    return _settled(problem, _with_hessian(problem, at, np.ones(n, dtype=int)))


def again(problem: Problem, at: Optima) -> Optima:
    """From points with a Hessian nearby (of another approximation) to this problem's optima."""
    return _settled(problem, _run(problem, at))


def _settled(problem: Problem, found: Optima) -> Optima:
    """Quasi-Newton until nothing more is to be gained, then the boundary, and a last step."""
    for _ in range(ROUNDS):
        lost = vanishing(problem.shape, problem.shared, problem.samples, found.psi)
        rows = np.flatnonzero(~found.settled & np.isfinite(found.value) & ~lost)
        if not len(rows):
            break
        put(found, rows, _run(problem.some(rows), take(found, rows)))
    return _polished(problem.shape, _simpler(problem, _boundary(problem, found)))


def _polished(shape: Shape, found: Optima) -> Optima:
    """One Newton step with the Hessian at hand, whose promise is next to nothing, and what it gains."""
    inverse = _inverse(found.hessian, LEAST_CURVATURE)
    step = -(inverse * found.point.gradient[:, None, :]).sum(axis=2)
    held = np.zeros(step.shape, dtype=bool)
    held[:, shape.theta] = found.psi[:, shape.theta] == 0
    step = np.where(held | ~found.settled[:, None], 0.0, step)
    gain = -0.5 * (step * np.where(held, 0.0, found.point.gradient)).sum(axis=1)
    return found._replace(point=found.point._replace(psi=found.psi + step, value=found.value - gain))


def _run(problem: Problem, at: Optima) -> Optima:
    """Quasi-Newton from points with their Hessians, and the Hessian where it stops."""
    point, count = quasi.minimise(problem.evaluate, at.point, _inverse(at.hessian, LEAST_CURVATURE))
    return _with_hessian(problem, point, at.evaluations + count)


def _with_hessian(problem: Problem, at: Point, evaluations: np.ndarray) -> Optima:
    """The Hessian by differences of the exact gradient, u followed from its mode."""
    if problem.shape.restricted:
        hessian = _restricted_hessian(problem, at)
    else:
        with np.errstate(invalid="ignore"):
            hessian = (each(_gradients, *problem, (at.psi, at.u)) - at.gradient[:, None, :]) / STEP
        hessian = 0.5 * (hessian + np.swapaxes(hessian, 1, 2))
    inverse = _inverse(hessian, FLAT)
    with np.errstate(invalid="ignore"):
        promise = ((inverse * at.gradient[:, None, :]).sum(axis=2) * at.gradient).sum(axis=1)
    return Optima(jax.tree.map(np.array, at), hessian, evaluations + at.psi.shape[1], promise < CLOSE)


def _restricted_hessian(problem: Problem, at: Point) -> np.ndarray:
    """The same by the parameters that are not integrated out, with beta's part beside it."""
    (n, p), first = at.psi.shape, problem.shape.coefs[0]
    hessian, slope, rows = np.zeros((n, p, p)), np.zeros((n, first, p)), np.arange(n)
    for i in range(first, p):
        moved = problem.evaluate(rows, at.psi + STEP * np.eye(p)[i], at.u)
        with np.errstate(invalid="ignore"):
            hessian[:, i] = (moved.gradient - at.gradient) / STEP
            slope[:, :, i] = (moved.psi - at.psi)[:, :first] / STEP
    hessian = 0.5 * (hessian + np.swapaxes(hessian, 1, 2))
    given = each(coefficient_cov, *problem, (at.psi, at.u))
    return with_coefficients(hessian, slope[:, :, first:], given)


def _inverse(hessian: np.ndarray, floor: float) -> np.ndarray:
    """Inverse with the sizes of eigenvalues, none below ``floor``: positive definite. (N, P, P)."""
    fine = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    safe = np.where(fine[:, None, None], hessian, np.eye(hessian.shape[1]))
    values, vectors = np.linalg.eigh(safe)
    weight = 1.0 / np.maximum(np.abs(values), floor)
    return (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _boundary(problem: Problem, found: Optima) -> Optima:
    """Canonical signs; standard deviations near zero put at zero where that is no worse."""
    layout, part = problem.shape.layout, problem.shape.theta
    if not layout.n_theta:
        return found
    for limit in (NEAR, 0.0):
        theta = found.psi[:, part]
        near = layout.boundary & (np.abs(theta) < limit)
        tried = layout.canonical(np.where(near, 0.0, theta))
        rows = np.flatnonzero((tried != theta).any(axis=1) & np.isfinite(found.value))
        if not len(rows):
            continue
        psi = found.psi[rows].copy()
        psi[:, part] = tried[rows]
        _moved(problem, found, rows, psi)
    return found


def _simpler(problem: Problem, found: Optima) -> Optima:
    """Parameters without a finite estimate carried far enough that the answer is that of the limit."""
    for _ in range(0 if problem.shape.restricted else MOST):
        direction, slope = simpler_directions(problem.shape, found.hessian, found.point.gradient, FLAT)
        rows = np.flatnonzero((slope > LEAST) & np.isfinite(found.value))
        if not len(rows):
            break
        _moved(problem, found, rows, found.psi[rows] + FAR * direction[rows])
    return found


def _moved(problem: Problem, found: Optima, rows: np.ndarray, psi: np.ndarray) -> None:
    """Features started again from ``psi``; kept where they end no worse."""
    own = problem.some(rows)
    at = own.evaluate(np.arange(len(rows)), psi, take(found.point.u, rows))
    new = _with_hessian(own, at, found.evaluations[rows])
    again = np.flatnonzero(~new.settled & np.isfinite(new.value))
    if len(again):
        put(new, again, _run(own.some(again), take(new, again)))
    better = new.value <= found.value[rows] + NO_WORSE
    put(found, rows[better], take(new, better))


def put(target: Optima, rows: np.ndarray, source: Optima) -> None:
    """Write the features of ``source`` into their rows of ``target``."""
    jax.tree.map(lambda old, new: old.__setitem__(rows, new), target, source)
