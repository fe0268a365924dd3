"""The checks of `screen` for features that have their own rows."""

from __future__ import annotations

import numpy as np

from mixflow.design.ragged import Ragged
from mixflow.optimise.prepare import Prepared
from mixflow.status import Status


def screen(data: Ragged, prepared: Prepared) -> np.ndarray:
    """Status (F,) int8 of each feature with a row, NOT_RUN where it can be fitted.

    As lme4 by default, each term is held against the number of values, not all terms together: crossed terms
    that span all values are usual where proteins have few peptides, and what is not identified shows later.
    """
    n_obs, n_levels = data.segments.n_obs, data.n_levels
    status = np.full(len(n_obs), Status.NOT_RUN, dtype=np.int8)
    widest = np.array([max(e.size for e in group.effects) for group in prepared.layout.groups], dtype=int)
    status[(n_obs[:, None] <= n_levels * widest).any(axis=1)] = Status.ONE_OBSERVATION_PER_LEVEL
    status[(n_levels == 1).any(axis=1)] = Status.TOO_FEW_LEVELS
    status[n_obs <= data.rank] = Status.TOO_FEW_OBSERVATIONS
    return status
