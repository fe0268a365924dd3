"""A likelihood with two minima: one where a variance is zero, another, perhaps lower, where it is not.

Seen for 3 of 1,187 proteins of CPTAC (peptides x runs, crossed): Newton's jump to zero ends in the wrong one.
"""

from __future__ import annotations

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data
from mixflow.likelihood.exact import objective, pieces
from mixflow.optimise import mapped
from mixflow.optimise.newton import State

TRIED = (0.5, 1.0, 2.0)
"""Values of a boundary parameter (columns scaled to unit mean square) at which the objective is looked at."""

LOWER = 1e-6
"""An optimum elsewhere must be lower by this on the scale of -2 log-likelihood."""


def elsewhere(layout: Layout, data: Data, state: State) -> State:
    """Features with a variance of zero, optimised again from where the objective is lower with it than without.

    Each boundary parameter in turn is set to the values of ``TRIED``, the others held.
    """
    for b in np.flatnonzero(layout.boundary):
        rows = np.flatnonzero((state.theta[:, b] == 0) & state.done)
        if not len(rows):
            continue
        tried = np.repeat(state.theta[rows, None], len(TRIED), axis=1)
        tried[:, :, b] = TRIED
        value = mapped.each(_objectives, layout, mapped.take(data, rows), tried)
        value = np.where(np.isfinite(value), value, np.inf)
        best = value.argmin(axis=1)
        promising = value.min(axis=1) < state.value[rows] - LOWER
        _again(layout, data, state, rows[promising], tried[promising, best[promising]])
    return state


def _again(layout: Layout, data: Data, state: State, rows: np.ndarray, start: np.ndarray) -> None:
    """Optimise these features from ``start``, and keep what is lower."""
    if not len(rows):
        return
    new = mapped.minimise(layout, mapped.take(data, rows), layout.canonical(start))
    better = new.done & (new.value < state.value[rows] - LOWER)
    new.iterations[:] += state.iterations[rows]
    jax.tree.map(lambda old, found: old.__setitem__(rows[better], found[better]), state, new)


def _objectives(layout: Layout, data: Data, theta: jax.Array) -> jax.Array:
    """The objective of one feature at several theta. (K, q) -> (K,)."""
    return jnp.stack([objective(data, pieces(layout, data, t)) for t in theta])
