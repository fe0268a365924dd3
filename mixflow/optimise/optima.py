"""Maximum-likelihood optima of many features with their data, for what looks around the optimum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from mixflow.design import Design
from mixflow.design.observed import observe
from mixflow.errors import MixflowError, Problem
from mixflow.likelihood.data import Data
from mixflow.optimise import mapped
from mixflow.optimise.estimates import back_to_beta as back_of
from mixflow.optimise.fitting import CHUNK_FLOATS, data_of, optimum_of, take_observed
from mixflow.optimise.large import LargeBuilder
from mixflow.optimise.prepare import Prepared, prepare
from mixflow.optimise.reference import settle_reference
from mixflow.optimise.screen import screen
from mixflow.status import FITTED, Status


@dataclass(frozen=True, eq=False)
class Optimum:
    """Maximum-likelihood optimum of the features ``rows`` that could be fitted, in the kernels' units.

    ``theta`` (n, q), ``deviance`` (n,), ``sigma`` (n,), ``scale`` (n,) of y; beta = scale back gamma + shift,
    with ``gamma`` (n, p), its covariance over sigma^2 ``cov`` (n, p, p), ``back`` (n, p, p), ``shift`` (n, p);
    ``null`` (n, p, p): a coefficient whose row is not zero cannot be estimated.
    """

    prepared: Prepared
    rows: np.ndarray
    data: Data
    theta: np.ndarray
    deviance: np.ndarray
    sigma: np.ndarray
    scale: np.ndarray
    gamma: np.ndarray
    cov: np.ndarray
    back: np.ndarray
    null: np.ndarray
    shift: np.ndarray

    def take(self, rows: np.ndarray) -> Optimum:
        """Some of the features."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("prepared", "data")}
        some = {name: array[rows] for name, array in arrays.items()}
        return Optimum(prepared=self.prepared, data=mapped.take(self.data, rows), **some)


def optima(
    design: Design, values: np.ndarray, weights: np.ndarray | None, known_sigma: bool = False
) -> Iterator[Optimum]:
    """Fit every feature of ``values`` (N, n) by maximum likelihood, in chunks that bound memory."""
    prepared = prepare(design, False, known_sigma)
    if isinstance(prepared.builder, LargeBuilder):
        remedy = "Use Wald limits, or profile a model with fewer levels."
        raise MixflowError(Problem("The likelihood of a model this large is not profiled", remedy=remedy))
    values = np.asarray(values, dtype=float) - design.offset
    size = mapped.block_size(prepared.layout)
    chunk = max(size, CHUNK_FLOATS // prepared.layout.floats // size * size)
    for first in range(0, len(values), chunk):
        part = slice(first, first + chunk)
        own = weights[part] if weights is not None and weights.ndim == 2 else weights
        yield from _optimum(design, prepared, values[part], own, first)


def _optimum(
    design: Design, prepared: Prepared, values: np.ndarray, weights: np.ndarray | None, first: int
) -> Iterator[Optimum]:
    observed = observe(values, design.Q, design.R, weights)
    run = np.flatnonzero(screen(prepared, observed)[0] == Status.NOT_RUN)
    if not len(run):
        return
    seen = take_observed(observed, run)
    assert not isinstance(prepared.builder, LargeBuilder)
    arrays = prepared.builder.build(values[run], seen)
    data, layout = data_of(prepared, arrays), prepared.layout
    state, ending = optimum_of(layout, data, arrays.flat)
    if design.residual is not None:
        state = settle_reference(prepared, data, design.residual, seen.weights > 0, state)
    good = np.flatnonzero(np.isin(ending, [int(status) for status in FITTED]))
    if not len(good):
        return
    data, theta = mapped.take(data, good), state.theta[good]
    found = mapped.summaries(layout, data, theta)
    back, null = back_of(design, take_observed(seen, good))
    sigma2 = found.pieces.rss / data.dof if data.sigma2 is None else np.asarray(data.sigma2)
    yield Optimum(
        prepared,
        first + run[good],
        data,
        theta,
        found.pieces.logdet + data.dof * np.log(2 * np.pi * sigma2) + found.pieces.rss / sigma2,
        np.sqrt(sigma2),
        arrays.scale[good],
        found.gamma,
        found.cov,
        back,
        null,
        arrays.shift[good] @ np.linalg.inv(design.R).T,
    )
