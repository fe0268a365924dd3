"""New outcomes from a fitted generalised model: random effects drawn afresh, then the family's own draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from mixflow.backend import jax
from mixflow.family import Family
from mixflow.family.draws import Draw, host_draw, parameters
from mixflow.inference.family_rows import FamilyRows, family_rows, fixed_predictors, modes_part
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.random_numbers import normals, stream_of, words

STREAMS = 32
"""Replicates drawn at once; the last block is padded to it."""


def simulate(
    outcome: FittedFamily, seed: int, replicates: Sequence[int] | int = 1, *, conditional: bool = False
) -> np.ndarray:
    """Draw the family's columns (N, replicates, n, c); NaN where a feature was not observed or not fitted.

    Random effects are new, as in glmmTMB's `simulate`; ``conditional`` keeps them at their modes (smooths always
    stay). Trials and limits are the data's own; prior weights are not drawn from. Replicate r of a feature hangs
    on the seed, the feature's id and r alone.
    """
    fit, rows = outcome.fit, family_rows(outcome)
    wanted = np.arange(replicates) if isinstance(replicates, int) else np.asarray(replicates)
    eta = fixed_predictors(outcome, rows) + modes_part(outcome, rows, curves_alone=not conditional)
    n, count = len(fit.status), len(wanted)
    ids, numbers = np.repeat(fit.feature_ids, count), np.tile(wanted, n)
    draws = normals(seed, ids, numbers, 0 if conditional else rows.n_effects).reshape(n, count, -1)
    line = np.repeat(eta[:, None], count, axis=1)
    if not conditional:
        line += new_effects(outcome, rows, draws)
    seen = outcome.observed & fit.fitted[:, None]
    filler = np.array(outcome.family.filler)
    y = np.where(seen[:, :, None], outcome.y, filler)
    line = np.where(seen[:, None, :, None], line, 0.0).reshape(n * count, *eta.shape[1:])
    drawn = _drawn(
        outcome.family,
        seed,
        words(ids, numbers),
        np.repeat(y, count, axis=0),
        line,
        np.repeat(np.nan_to_num(fit.free), count, axis=0),
    )
    drawn = drawn.reshape(n, count, *y.shape[1:])
    return np.where(seen[:, None, :, None], drawn, np.nan)


def new_effects(outcome: FittedFamily, rows: FamilyRows, draws: np.ndarray) -> np.ndarray:
    """Z Lambda u of each predictor, u (N, R, E), curves left out. (N, R, n, d)."""
    theta = np.nan_to_num(outcome.fit.theta)
    total = np.zeros((*draws.shape[:2], len(rows.labels), len(rows.X)))
    for piece in rows.pieces:
        if piece.curve:
            continue
        factor, place = piece.effect.factor_many(theta[:, piece.part]), piece.place()
        for i in range(piece.effect.size):
            # Entry by entry: sums in an order that does not depend on the number of features.
            for j in range(piece.effect.size):
                part = draws[:, :, place + j] * factor[:, None, None, i, j]
                total[..., piece.predictor] += part * piece.z[:, i]
    return total


def values_of(family: Family, y: np.ndarray) -> np.ndarray:
    """The number (...) whose expectation is the family's mean, of columns (..., c): a share for a binomial."""
    if family.columns == ("success", "failure"):
        with np.errstate(invalid="ignore"):
            return y[..., 0] / y.sum(axis=-1)
    return y[..., 0]


def _drawn(
    family: Family, seed: int, streams: np.ndarray, y: np.ndarray, eta: np.ndarray, own: np.ndarray
) -> np.ndarray:
    draw = host_draw(family)
    if draw is not None:
        return _on_host(family, draw, seed, streams, y, eta)
    kernel, key = _kernel(family), jax.random.key(seed, impl="threefry2x32")
    out = np.empty(y.shape)
    for first in range(0, len(streams), STREAMS):
        rows = np.minimum(np.arange(first, first + STREAMS), len(streams) - 1)
        found = np.asarray(kernel(key, streams[rows], y[rows], eta[rows], own[rows]))
        out[first : first + STREAMS] = found[: len(streams) - first]
    return out


def _on_host(
    family: Family, draw: Draw, seed: int, streams: np.ndarray, y: np.ndarray, eta: np.ndarray
) -> np.ndarray:
    """Each stream by a counter-based generator of its own."""
    par, out = parameters(family, eta), np.empty(y.shape)
    for i, (first, second, number) in enumerate(streams.tolist()):
        out[i] = draw(stream_of(seed, first, second, number), y[i], par[i])
    return out


@lru_cache(maxsize=64)
def _kernel(family: Family) -> Callable[..., jax.Array]:
    def stream(key: jax.Array, word: jax.Array, y: jax.Array, eta: jax.Array, own: jax.Array) -> jax.Array:
        for place in range(3):
            key = jax.random.fold_in(key, word[place])
        keys = jax.random.split(
            jax.random.fold_in(key, 1), y.shape[0]
        )  # apart from the random effects' stream
        return jax.vmap(lambda k, a, b: family.simulate(k, a, b, own))(keys, y, eta)

    return jax.jit(jax.vmap(stream, in_axes=(None, 0, 0, 0, 0)))
