"""The outer iteration over features: quasi-Newton on psi; a kernel gives value and gradient at the mode of u.

BFGS of the inverse Hessian (Nocedal and Wright 2006, chapter 6) with backtracking, on the host: matrices are
P x P, while an evaluation passes over all rows of a feature. The objective is even in theta, so that a
variance of zero is an ordinary minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mixflow.backend import Array, jax
from mixflow.likelihood.generalised import Effects

DECREMENT = 1e-6
"""Converged when a quasi-Newton step promises less than this on the scale of -2 log-likelihood."""

LONGEST = 2.0
"""Longest step of any parameter (columns of unit mean square)."""

SHORTEST = 1e-8
"""A step this much shortened is none: the feature stops."""

MOST_EVALUATIONS = 200


class Point(NamedTuple):
    """psi (N, P), modes, -2 log-likelihood (N,), +inf where it cannot be computed, and gradient (N, P)."""

    psi: Array
    u: Effects
    value: Array
    gradient: Array


Evaluate = Callable[[np.ndarray, np.ndarray, Effects], Point]
"""(features, psi, u to start from) -> what is found there."""


def minimise(evaluate: Evaluate, at: Point, inverse: np.ndarray) -> tuple[Point, np.ndarray]:
    """From points with an inverse curvature (N, P, P) each to where steps promise nothing; evaluations (N,)."""
    at, inverse = jax.tree.map(np.array, at), inverse.copy()
    direction = _direction(inverse, at.gradient)
    length, count = np.ones(len(at.psi)), np.zeros(len(at.psi), dtype=int)
    active = np.flatnonzero(_promise(direction, at.gradient) >= DECREMENT)
    while len(active):
        step = length[active, None] * direction[active]
        tried = evaluate(active, at.psi[active] + step, jax.tree.map(lambda a, r=active: a[r], at.u))
        count[active] += 1
        slope = (at.gradient[active] * step).sum(axis=1)
        noise = 1e-10 * (1.0 + np.abs(at.value[active]))
        taken = tried.value <= at.value[active] + 1e-4 * slope + noise
        rows, yes = active[taken], np.flatnonzero(taken)
        inverse[rows] = bfgs(inverse[rows], step[yes], tried.gradient[yes] - at.gradient[rows])
        put(at, rows, jax.tree.map(lambda a, y=yes: a[y], tried))
        direction[rows], length[rows] = _direction(inverse[rows], at.gradient[rows]), 1.0
        back = active[~taken]
        length[back] *= _shrink(at.value[back], slope[~taken], tried.value[~taken])
        stopped = (length[active] < SHORTEST) | (count[active] >= MOST_EVALUATIONS)
        stopped |= taken & (_promise(direction[active], at.gradient[active]) < DECREMENT)
        active = active[~stopped]
    return at, count


def _direction(inverse: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """-B g, shortened where a parameter would move too far. (N, P)."""
    step = -(inverse * gradient[:, None, :]).sum(axis=2)
    return (
        step * np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1, initial=0.0), 1e-300))[:, None]
    )


def _promise(direction: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return -(direction * gradient).sum(axis=1)


def _shrink(before: np.ndarray, slope: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By the parabola through value, slope and the value tried; between 0.1 and 0.5."""
    with np.errstate(invalid="ignore", divide="ignore"):
        best = -slope / (2.0 * (after - before - slope))
    return np.clip(np.where(np.isfinite(best), best, 0.1), 0.1, 0.5)


def bfgs(inverse: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Updated inverses (N, P, P); unchanged where the curvature along the step is not positive."""
    sy = (s * y).sum(axis=1)
    hy = (inverse * y[:, None, :]).sum(axis=2)
    good = sy > 1e-8 * np.sqrt((s**2).sum(axis=1) * (y**2).sum(axis=1))
    rho = 1.0 / np.where(good, sy, 1.0)
    cross = hy[:, :, None] * s[:, None, :] * rho[:, None, None]
    weight = rho**2 * (y * hy).sum(axis=1) + rho
    new = inverse - cross - np.swapaxes(cross, 1, 2) + weight[:, None, None] * s[:, :, None] * s[:, None, :]
    return np.where(good[:, None, None], new, inverse)


def put(target: Point, rows: np.ndarray, source: Point) -> None:
    """Write the features of ``source`` into their rows of ``target``."""
    jax.tree.map(lambda old, new: old.__setitem__(rows, new), target, source)
