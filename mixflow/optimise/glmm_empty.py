"""Ordered categories that a feature never has: fitted without them, told with them.

With flexible thresholds the likelihood has its maximum where an empty category has no width: its thresholds are
one (in the middle) or lie at infinity (at an end). So a feature is fitted on the categories that it has, as if the
others were not there (what clmm does after `droplevels`), and its thresholds are then those of all categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixflow.family import Cumulative, Family
from mixflow.family.cumulative import HELD

FAR = np.log(50.0)
"""log gap from a finite threshold to one that stands for infinity, on the free scale."""


def without_empty(family: Family, y: np.ndarray) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """``y`` (N, n, 1) with each feature's categories numbered anew, and the categories of those that lack some."""
    found: dict[int, np.ndarray] = {}
    if not isinstance(family, Cumulative) or family.thresholds != "flexible":
        return y, found
    anew = y.copy()
    for i, own in enumerate(y[:, :, 0]):
        numbers, _, present = family.without_empty(own)
        if 1 < len(present) < family.levels:
            anew[i, :, 0], found[i] = numbers, present
    return anew, found


def with_empty(out: dict[str, Any], family: Family, present: dict[int, np.ndarray]) -> None:
    """The arrays of a `Fit` of features with empty categories, from the observed thresholds to all of them."""
    for i, own in present.items():
        assert isinstance(family, Cumulative)
        place = _place(family, own)
        finite = place >= 0
        natural, cov = out["more"][i].copy(), out["more_cov"][i].copy()
        at = np.where(finite, place, 0)
        ends = np.where(np.arange(len(place)) < own[0], -np.inf, np.inf)
        known = np.isfinite(natural[0])
        out["more"][i] = np.where(finite, natural[at], ends) if known else np.nan
        both = finite[:, None] & finite[None, :]
        out["more_cov"][i] = np.where(both, cov[np.ix_(at, at)], np.nan)
        out["more_rank"][i] -= family.levels - len(own)
        _free(out, i, family, own, place)


def _place(family: Cumulative, present: np.ndarray) -> np.ndarray:
    """Which observed threshold each of all thresholds is, -1 for those at infinity. (levels - 1,)"""
    place = np.searchsorted(present, np.arange(family.levels - 1), side="right") - 1
    return np.where(place < len(present) - 1, place, -1)


def _free(out: dict[str, Any], i: int, family: Cumulative, present: np.ndarray, place: np.ndarray) -> None:
    """The free parameters of all thresholds: each is one of those fitted, or stands for no gap or a wide one."""
    free, source = out["free"][i].copy(), np.full(family.n_own, -1)
    values = np.full(family.n_own, np.nan)
    values[0], source[0] = (free[0], 0) if place[0] == 0 else (free[0] - present[0] * np.exp(FAR), 0)
    for k in range(1, family.levels - 1):
        before, here = place[k - 1], place[k]
        if before >= 0 and here == before:
            values[k] = -HELD
        elif before >= 0 and here > before:
            values[k], source[k] = free[here], here
        else:
            values[k] = FAR
    out["free"][i] = values if np.isfinite(free[0]) else np.nan
    cov, first = out["joint_cov"][i], out["joint_cov"].shape[1] - family.n_own
    index = np.concatenate([np.arange(first), first + np.maximum(source, 0)])
    some = np.concatenate([np.ones(first, dtype=bool), source >= 0])
    out["joint_cov"][i] = np.where(some[:, None] & some[None, :], cov[np.ix_(index, index)], 0.0)
