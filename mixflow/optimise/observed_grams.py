"""Cross-products of features that were fitted, for what is worked out after the fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixflow.design import Design
from mixflow.design.gram import GramArrays, GramBuilder
from mixflow.design.observed import Observed, observe
from mixflow.errors import MixflowError, Problem
from mixflow.likelihood.exact import Gram
from mixflow.optimise import mapped
from mixflow.optimise.prepare import Prepared, prepare

CHUNK_FLOATS = 2**22


class Chunk(NamedTuple):
    """Some features: their places (m,), what the engine knows of them, and their cross-products."""

    rows: np.ndarray
    prepared: Prepared
    observed: Observed
    arrays: GramArrays
    gram: Gram


def chunks(
    design: Design, values: np.ndarray, which: np.ndarray, *, reml: bool, weights: np.ndarray | None = None
) -> Iterator[Chunk]:
    """Features ``which`` (bool (N,)) of ``values`` (N, n), a bounded number at a time.

    Raises MixflowError for residuals that are correlated or have a model of their variance: there the
    cross-products hang on theta.
    """
    prepared = prepare(design, reml)
    if prepared.layout.residual is not None:
        remedy = "Leave this analysis out, or `residual` and `dispersion`."
        raise MixflowError(Problem("This analysis is written for independent residuals", remedy=remedy))
    builder = prepared.builder
    if not isinstance(builder, GramBuilder):
        remedy = "Leave this analysis out."
        raise MixflowError(Problem("This analysis is not written for so large a model", remedy=remedy))
    size = mapped.block_size(prepared.layout)
    step = max(size, CHUNK_FLOATS // max(prepared.layout.floats, 1) // size * size)
    places = np.flatnonzero(which)
    for first in range(0, len(places), step):
        rows = places[first : first + step]
        own = weights[rows] if weights is not None and weights.ndim == 2 else weights
        y = np.asarray(values, dtype=float)[rows] - design.offset
        observed = observe(y, design.Q, design.R, own)
        arrays = builder.build(y, observed)
        gram = Gram(arrays.blocks, arrays.border, arrays.corner, arrays.dof)
        yield Chunk(rows, prepared, observed, arrays, gram)
