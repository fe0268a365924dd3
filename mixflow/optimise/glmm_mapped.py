"""Kernels of a generalised model mapped over features: X and Z are shared, each feature brings y and weights.

As in `mapped`: blocks of one shape that follows from the model alone, so that a feature's bytes do not depend
on its neighbours, and finished features leave their block.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from mixflow.backend import jax
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Sample
from mixflow.optimise.mapped import by_block, take

BLOCK_FLOATS = 2**14
"""Rows of all features of a block: an array of them stays within the processor's cache."""

POINT_FLOATS = 2**16
"""The same for rows times points of a quadrature: they are passed over once, while modes are sought in rows alone."""

LARGEST = 64


def block_size(shape: Shape) -> int:
    """Features a block: a power of two that follows from the shape alone."""
    rows = shape.chunks[0] * shape.chunks[1]
    points = rows * shape.nodes ** (shape.layout.k_leading if shape.random else 0)
    layout = shape.layout
    dense = layout.n_corner_effects**2 + layout.n_leading * layout.k_leading * (1 + layout.n_corner_effects)
    fit = max(1, min(BLOCK_FLOATS // max(rows, dense, 1), POINT_FLOATS // max(points, 1)))
    return int(min(LARGEST, 2 ** int(np.log2(fit))))


def each(
    function: Callable[..., Any],
    shape: Shape,
    shared: Shared,
    samples: Sample,
    argument: Any,
    features: np.ndarray | None = None,
) -> Any:
    """``function(shape, shared, sample, argument)`` for every feature, or for ``features``; numpy in, numpy out.

    ``argument`` has a row for each of those, so that no sample is copied but into its block.
    """
    kernel = _compiled(function, shape)
    own = np.arange(len(samples.y)) if features is None else features
    run = lambda rows: kernel(shared, take(samples, own[rows]), take(argument, rows))  # noqa: E731
    return by_block(run, len(own), block_size(shape), serial=1)


@lru_cache(maxsize=64)
def _compiled(function: Callable[..., Any], shape: Shape) -> Callable[..., Any]:
    own = lambda shared, sample, argument: function(shape, shared, sample, argument)  # noqa: E731
    return jax.jit(jax.vmap(own, in_axes=(None, 0, 0)))
