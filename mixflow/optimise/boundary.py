"""Where a variance is zero, or a correlation one: settle such features exactly on the boundary."""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax
from mixflow.likelihood.exact import Gram
from mixflow.model.layout import Layout
from mixflow.optimise.mapped import Optimum, minimise

NEAR = 0.02
"""A boundary parameter below this (columns scaled to unit mean square) is tried at zero."""

NO_WORSE = 1e-9
"""Zero is taken if -2 log-likelihood does not rise by more than this."""


def settle(layout: Layout, gram: Gram, optimum: Optimum) -> Optimum:
    """Put parameters that are near the boundary on it where that is no worse, and optimise the others there.

    A boundary point whose one-sided derivative by the variance is negative does not survive: the optimiser
    leaves it (theta = 0 is stationary, but then a maximum).
    """
    theta = optimum.theta.copy()
    near = layout.boundary & (np.abs(theta) < NEAR) & (theta != 0)
    rows = np.flatnonzero(near.any(axis=1) & optimum.converged)
    theta[near] = 0.0
    theta = layout.canonical(theta)
    if not len(rows):
        return optimum._replace(theta=layout.canonical(optimum.theta))
    again = minimise(layout, jax.tree.map(lambda a: a[rows], gram), theta[rows])
    better = again.converged & (again.value <= optimum.value[rows] + NO_WORSE)
    out = jax.tree.map(np.copy, optimum)
    for target, source in zip(out, again._replace(iterations=again.iterations), strict=True):
        target[rows[better]] = source[better]
    out.iterations[rows] = optimum.iterations[rows] + again.iterations
    return out._replace(theta=layout.canonical(out.theta))


def singular(layout: Layout, theta: np.ndarray) -> np.ndarray:
    """Features whose estimate lies on the boundary. (N, q) -> bool (N,)."""
    return (layout.boundary & (theta == 0)).any(axis=1)
