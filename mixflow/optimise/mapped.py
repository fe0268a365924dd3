"""The one place that knows there are many features: code for one is mapped over blocks of one fixed shape.

The block's shape follows from the model's layout alone and every call is padded to it, so that a
feature's bytes do not depend on which or how many others it was fitted with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from mixflow.backend import jax
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Data
from mixflow.likelihood.kenward_roger import Blocks, blocks
from mixflow.likelihood.summary import Summary, summarise
from mixflow.optimise.newton import State, fresh, iterate

Tree = TypeVar("Tree")

BLOCK_FLOATS = 2**18
"""Numbers in the Gram of a block: keeps an iteration's working set near the processor's cache."""

FIRST, STEPS = 6, 2
"""Newton steps before the first look at which features are finished, and between two such looks."""

MAX_ITERATIONS = 240


def block_size(layout: Layout) -> int:
    """Features a block: a power of two between 1 and the layout's ``block``, from the layout alone.

    Larger ones cost the same a feature, but the last rounds, with few features left, are mostly padding.
    """
    fit = max(1, BLOCK_FLOATS // max(layout.floats * (1 + layout.n_theta), 1))
    return int(min(layout.block, 2 ** int(np.log2(fit))))


def minimise(layout: Layout, data: Data, start: np.ndarray) -> State:
    """Iterate all features (start (N, q)) to convergence; finished ones leave their block (compaction).

    ``done`` marks those that converged, with a finite ``value``.
    """
    state = fresh(layout, start)
    active, until = np.arange(len(start)), FIRST
    while len(active) and until <= MAX_ITERATIONS:
        limit = np.full(len(active), until)
        new = _mapped(_advance, layout, take(data, active), (take(state, active), limit))
        jax.tree.map(lambda target, source, rows=active: _put(target, rows, source), state, new)
        active, until = active[~new.done], until + STEPS
    return state


def take(tree: Tree, rows: np.ndarray) -> Tree:
    """Some features of a tree of arrays."""
    return jax.tree.map(lambda a: a[rows], tree)


def _put(target: np.ndarray, rows: np.ndarray, source: np.ndarray) -> None:
    target[rows] = source


def _advance(layout: Layout, data: Data, argument: tuple[State, jax.Array]) -> State:
    """Iterate to the end, or until so many iterations."""
    state, until = argument
    return jax.lax.while_loop(
        lambda s: ~s.done & (s.iterations < until), lambda s: iterate(layout, data, s), state
    )


def summaries(layout: Layout, data: Data, theta: np.ndarray) -> Summary:
    """`summarise` for every feature."""
    return _mapped(summarise, layout, data, theta)


def kenward_roger(layout: Layout, data: Data, theta: np.ndarray) -> Blocks:
    """Kenward and Roger's matrices for every feature."""
    return _mapped(blocks, layout, data, theta)


def each(function: Callable[..., Any], layout: Layout, data: Data, argument: Any) -> Any:
    """``function(layout, data, argument)`` for every feature; give the same function object each time."""
    return _mapped(function, layout, data, argument)


@lru_cache(maxsize=128)
def _compiled(function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    return jax.jit(jax.vmap(lambda data, argument: function(layout, data, argument)))


def _mapped(function: Callable[..., Any], layout: Layout, data: Data, argument: Any) -> Any:
    """function(layout, data, argument) over the leading axis, block by block; numpy in, numpy out."""
    kernel = _compiled(function, layout)
    return by_block(lambda rows: kernel(*take((data, argument), rows)), len(data.dof), block_size(layout))


def by_block(run: Callable[[np.ndarray], Any], n: int, size: int, serial: int = 2) -> Any:
    """``run`` on the row numbers of each block, on two threads beyond ``serial`` blocks; numpy out, n rows."""
    on_host = lambda rows: jax.tree.map(np.asarray, run(rows))  # noqa: E731
    blocks = list(_blocks(n, size))
    if len(blocks) > serial:
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(on_host, blocks))
    else:
        parts = [on_host(rows) for rows in blocks]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)


def _blocks(n: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers of each block, the last one padded with its own last feature."""
    for first in range(0, n, size):
        yield np.minimum(np.arange(first, first + size), n - 1)
