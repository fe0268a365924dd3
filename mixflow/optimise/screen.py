"""Features that cannot be fitted, told before anything is computed (the checks of lme4's `lmerControl`)."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mixflow.design.observed import Observed
from mixflow.optimise.prepare import Prepared
from mixflow.status import Status


def screen(prepared: Prepared, observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    """Status (N,) int8, NOT_RUN where the feature can be fitted, and observed levels (N, groups).

    Each term is held against the number of values, not all terms together, as lme4 does by default.
    """
    seen = observed.weights > 0
    status = np.full(len(seen), Status.NOT_RUN, dtype=np.int8)
    n_levels = np.zeros((len(seen), len(prepared.index)), dtype=np.int32)
    lone = np.zeros(len(seen), dtype=bool)
    known = prepared.model.sigma == "fixed"  # then one row a level tells its variance from the residual's
    for g, index in enumerate(prepared.index):
        n_levels[:, g] = observed_levels(seen, index, len(prepared.levels[g]))
        free = [e.size for e in prepared.layout.groups[g].effects if not e.tied]
        if free and not known:
            status[observed.n_obs <= n_levels[:, g] * max(free)] = Status.ONE_OBSERVATION_PER_LEVEL
        lone |= (n_levels[:, g] == 1) & bool(free)
    status[lone] = Status.TOO_FEW_LEVELS
    status[observed.n_obs <= observed.rank] = Status.TOO_FEW_OBSERVATIONS
    return status, n_levels


def observed_levels(seen: np.ndarray, index: np.ndarray, n_levels: int) -> np.ndarray:
    """How many levels of a group each feature has seen. (N, n), (n,) -> (N,)."""
    shape = (n_levels, len(index))
    member = sparse.csr_matrix((np.ones(len(index)), (index, np.arange(len(index)))), shape)
    return (member @ np.ascontiguousarray(seen.T, dtype=float) > 0).sum(axis=0)
