"""Features that a generalised model cannot fit, told before anything is computed."""

from __future__ import annotations

import numpy as np

from mixflow.design.observed import Observed
from mixflow.optimise.glmm_prepare import Generalised
from mixflow.optimise.screen import observed_levels
from mixflow.status import Status


def screen(
    prepared: Generalised, y: np.ndarray, weight: np.ndarray, observed: list[Observed]
) -> tuple[np.ndarray, np.ndarray]:
    """Status (N,) int8, NOT_RUN where the feature can be fitted, and observed levels (N, groups).

    One effect for each row is allowed: it is how counts and proportions are given overdispersion.
    """
    seen, groups = weight > 0, prepared.shape.layout.groups
    status = np.full(len(y), Status.NOT_RUN, dtype=np.int8)
    n_levels = np.zeros((len(y), len(groups)), dtype=np.int32)
    for g, (index, group) in enumerate(zip(prepared.index, groups, strict=True)):
        n_levels[:, g] = observed_levels(seen, index, len(prepared.levels[g]))
        if not all(effect.tied for effect in group.effects):
            status[n_levels[:, g] < 2] = Status.TOO_FEW_LEVELS
    status[constant(prepared.family.columns, y, seen)] = Status.NO_VARIATION
    status[observed[0].n_obs <= observed[0].rank] = Status.TOO_FEW_OBSERVATIONS
    return status, n_levels


def constant(columns: tuple[str, ...], y: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Features whose outcomes are all the same: one value, no success or no failure. Bool (N,)."""
    if columns == ("success", "failure"):
        total = np.where(seen[:, :, None], y, 0.0).sum(axis=1)
        return (total == 0).any(axis=1)
    low = np.where(seen[:, :, None], y, np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[:, :, None], y, -np.inf).max(axis=1, initial=-np.inf)
    return (low >= high).all(axis=1)
