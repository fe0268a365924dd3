"""Batch as a random effect: its conditional modes taken out of the values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def remove_modes(
    values: Values, modes: Mapping[str, Values], index: Mapping[str, NDArray[np.int64]]
) -> Values:
    """Values (feature, sample) less the conditional modes of each batch factor.

    ``modes[factor]`` (feature, level) come from each feature's fit of `~ keep + (1 | factor) ...`, NaN where
    it has none; ``index[factor]`` (sample,) is each sample's level, -1 for a level that was not in the fit,
    whose BLUP is 0 (Robinson 1991, Statistical Science 6:15-32). A feature without
    a fit becomes NaN in full: it was not corrected.
    """
    if set(modes) != set(index):
        raise ValueError("modes and index must name the same factors")
    out = values.copy()
    for factor, mode in modes.items():
        level = np.asarray(index[factor])
        if mode.shape[0] != len(values) or level.shape != (values.shape[1],):
            raise ValueError(f"modes of '{factor}' must be (feature, level) and its index (sample,)")
        out -= np.where(level >= 0, mode[:, level], 0.0)
        out[np.isnan(mode).any(axis=1)] = np.nan
    return out
