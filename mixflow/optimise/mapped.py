"""The one place that knows there are many features: code for one is mapped over blocks of one fixed shape.

The block's shape follows from the model's layout alone and every call is padded to it, so that a
feature's bytes do not depend on which or how many others it was fitted with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mixflow.backend import jax
from mixflow.likelihood.exact import Gram
from mixflow.likelihood.summary import conditional_modes, summarise
from mixflow.model.layout import Layout
from mixflow.optimise.newton import State, begin, iterate

BLOCK_FLOATS = 2**18
"""Numbers in the Gram of a block: keeps an iteration's working set near the processor's cache."""

STEPS = 3
"""Newton steps between two looks at which features are finished."""

MAX_ITERATIONS = 240


def block_size(layout: Layout) -> int:
    """Features a block: a power of two between 1 and 512, from the layout alone."""
    fit = max(1, BLOCK_FLOATS // max(layout.floats * (1 + layout.n_theta), 1))
    return int(min(512, 2 ** int(np.log2(fit))))


class Optimum(NamedTuple):
    """Where each feature's optimisation ended. Arrays (N, ...)."""

    theta: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


def minimise(layout: Layout, gram: Gram, start: np.ndarray) -> Optimum:
    """Iterate all features to convergence; finished ones leave their block (compaction)."""
    n = len(start)
    state = _mapped(begin, layout, gram, start)
    active = np.flatnonzero(~state.done)
    while len(active) and state.iterations[active].min() < MAX_ITERATIONS:
        part = jax.tree.map(lambda a: a[active], state)
        new = _mapped(_advance, layout, jax.tree.map(lambda a: a[active], gram), part)
        for target, source in zip(state, new, strict=True):
            target[active] = source
        active = active[~new.done]
    converged = np.ones(n, dtype=bool)
    converged[active] = False
    return Optimum(
        state.theta,
        state.value,
        state.gradient,
        state.hessian,
        state.iterations,
        converged & np.isfinite(state.value),
    )


def _advance(layout: Layout, gram: Gram, state: State) -> State:
    return jax.lax.fori_loop(0, STEPS, lambda _, s: iterate(layout, gram, s), state)


def at(layout: Layout, gram: Gram, theta: np.ndarray) -> State:
    """Objective, gradient and Hessian of every feature at its theta."""
    return _mapped(begin, layout, gram, theta)


def summaries(layout: Layout, gram: Gram, theta: np.ndarray) -> Any:
    """`summarise` for every feature."""
    return _mapped(summarise, layout, gram, theta)


def modes(layout: Layout, gram: Gram, theta: np.ndarray) -> Any:
    """`conditional_modes` for every feature."""
    return _mapped(conditional_modes, layout, gram, theta)


@lru_cache(maxsize=64)
def _compiled(function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    return jax.jit(jax.vmap(lambda gram, argument: function(layout, gram, argument)))


def _mapped(function: Callable[..., Any], layout: Layout, gram: Gram, argument: Any) -> Any:
    """function(layout, gram, argument) over the leading axis, block by block; numpy in, numpy out."""
    kernel, size, n = _compiled(function, layout), block_size(layout), len(gram.dof)
    blocks = list(_blocks(n, size))
    run = lambda rows: jax.tree.map(np.asarray, kernel(*jax.tree.map(lambda a: a[rows], (gram, argument))))  # noqa: E731
    if len(blocks) > 2:
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(run, blocks))
    else:
        parts = [run(rows) for rows in blocks]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)


def _blocks(n: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers of each block, the last one padded with its own last feature."""
    for first in range(0, n, size):
        yield np.minimum(np.arange(first, first + size), n - 1)
