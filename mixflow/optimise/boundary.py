"""Where a variance is zero, or a correlation one: settle such features exactly on the boundary."""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data
from mixflow.optimise.mapped import minimise, take
from mixflow.optimise.newton import State

NEAR = 0.02
"""A boundary parameter below this (columns scaled to unit mean square) is tried at zero."""

ROUNDING = 1e-9
"""A boundary parameter below this is zero: where zero is no exact symmetry of the arithmetic, steps leave it so."""

NO_WORSE = 1e-9
"""Zero is taken if -2 log-likelihood does not rise by more than this."""


FLAT = 1e-6
"""A second derivative below this, for columns of unit mean square, is no curvature."""


def settle(layout: Layout, data: Data, state: State) -> State:
    """Canonical signs, and parameters near the boundary put on it where that is no worse.

    A boundary point whose one-sided derivative by the variance is negative does not survive: the optimiser
    leaves it (theta = 0 is stationary, but then a maximum). Derivatives belong to the sign of theta, hence
    whatever moved is evaluated again.
    """
    near = layout.boundary & (np.abs(state.theta) < NEAR)
    tried = layout.canonical(np.where(near, 0.0, state.theta))
    _replace(layout, data, state, tried)
    state.theta[layout.boundary & (np.abs(state.theta) < ROUNDING)] = 0.0
    _replace(layout, data, state, layout.canonical(state.theta))
    return state


def _replace(layout: Layout, data: Data, state: State, theta: np.ndarray) -> None:
    """Optimise on from ``theta`` where it differs, and keep what is no worse."""
    rows = np.flatnonzero((theta != state.theta).any(axis=1) & state.done)
    if not len(rows):
        return
    again = minimise(layout, take(data, rows), theta[rows])
    better = again.done & (again.value <= state.value[rows] + NO_WORSE)
    again.iterations[:] += state.iterations[rows]
    jax.tree.map(lambda old, new: old.__setitem__(rows[better], new[better]), state, again)


def mute(layout: Layout, data: Data, state: State) -> np.ndarray:
    """Parameters about which the likelihood of a feature says nothing. Bool (N, n_theta).

    Those of the residual covariance are then harmless (no two rows of one unit were observed, or none of a
    group whose variance is its own), and so is what an effect of variance zero hides.
    """
    value, slope, curve = state.pieces
    diagonal = np.diagonal(curve.rss, axis1=1, axis2=2)
    second = np.diagonal(curve.logdet, axis1=1, axis2=2)
    if data.sigma2 is None:
        relative = slope.rss / value.rss[:, None]
        second = second + data.dof[:, None] * (diagonal / value.rss[:, None] - relative**2)
    else:
        second = second + diagonal / data.sigma2[:, None]
    return (np.abs(second) * np.maximum(1.0, state.theta**2) < FLAT) & (
        (state.theta != 0) | (np.arange(layout.n_theta) >= layout.n_random)
    )


def no_curvature(layout: Layout, data: Data, state: State) -> np.ndarray:
    """Features whose likelihood says nothing about a variance that is not on the boundary. Bool (N,).

    Happens where the rows observed cannot tell a random effect from the residual (K'ZZ'K proportional to I
    after the fixed effects are swept out): the estimate would be wherever the optimiser started.
    """
    hidden = (layout.hangs_on >= 0) & (state.theta[:, np.maximum(layout.hangs_on, 0)] == 0)
    return (mute(layout, data, state) & ~hidden)[:, : layout.n_random].any(axis=1)


def sigma_known(state: State) -> np.ndarray:
    """Features whose residual sum of squares does not move with theta at all. Bool (N,).

    Where such a feature has no curvature, the random effect is swept out by the fixed effects altogether:
    sigma, and every contrast whose variance does not depend on theta, are known all the same.
    """
    value, slope, _ = state.pieces
    return (np.abs(slope.rss) < FLAT * value.rss[:, None]).all(axis=1)


def singular(layout: Layout, theta: np.ndarray) -> np.ndarray:
    """Features whose estimate lies on the boundary. (N, q) -> bool (N,)."""
    return (layout.boundary & (theta == 0)).any(axis=1)
