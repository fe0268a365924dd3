"""The checks of `screen` for features that have their own rows."""

from __future__ import annotations

import numpy as np

from mixflow.design.ragged import Ragged
from mixflow.optimise.prepare import Prepared
from mixflow.status import Status


def screen(data: Ragged, prepared: Prepared) -> np.ndarray:
    """Status (F,) int8 of each feature with a row, NOT_RUN where it can be fitted."""
    n_obs, n_levels = data.segments.n_obs, data.n_levels
    status = np.full(len(n_obs), Status.NOT_RUN, dtype=np.int8)
    widest = np.array([max(e.size for e in group.effects) for group in prepared.layout.groups], dtype=int)
    size = np.array([group.size for group in prepared.layout.groups], dtype=int)
    status[(n_obs[:, None] <= n_levels * widest).any(axis=1)] = Status.ONE_OBSERVATION_PER_LEVEL
    effects = (n_levels * size).sum(axis=1)
    crowded = (effects > 0) & (n_obs <= effects) & (status == Status.NOT_RUN)
    for i in np.flatnonzero(crowded):
        if n_obs[i] <= _rank_of_random(data, int(i)):
            status[i] = Status.ONE_OBSERVATION_PER_LEVEL
    status[(n_levels == 1).any(axis=1)] = Status.TOO_FEW_LEVELS
    status[n_obs <= data.rank] = Status.TOO_FEW_OBSERVATIONS
    return status


def _rank_of_random(data: Ragged, i: int) -> int:
    """Rank of the feature's own Z."""
    first = data.segments.starts[i]
    rows = slice(first, first + data.segments.n_obs[i])
    parts = []
    for group in data.groups:
        member = np.equal.outer(group.local[rows], np.arange(group.n_levels[i])).astype(float)
        parts.append((member[:, :, None] * group.z[:, rows].T[:, None, :]).reshape(len(member), -1))
    return int(np.linalg.matrix_rank(np.concatenate(parts, axis=1)))
