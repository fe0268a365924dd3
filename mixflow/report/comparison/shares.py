"""Which choice matters: the share of the variance over combinations that each key of a sweep explains."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from mixflow.report.comparison.cube import Cube, Space

MOST_KEYS = 10
"""Orders of entry are averaged over up to so many keys."""
OUTCOMES = {
    "estimate": "estimates",
    "evidence": "evidence (p-values with their sign)",
    "hit": "which features are called",
}
TOGETHER = "together"
"""What no key explains alone: choices that act upon each other."""


def shares(cube: Cube, space: Space) -> pd.DataFrame:
    """For each outcome and key the share of the variance; rows `outcome`, `key`, `share`.

    They sum to 1 (but for more than `MOST_KEYS` keys whose combinations were not all run: then each key alone counts).

    The variance is that over combinations, of all features together (estimates in standard errors of the
    reference). A key's share is its part of R^2 of the model with all keys as factors, averaged over the orders in
    which they may enter (Lindeman, Merenda and Gold 1980; Shapley's value); where every combination of the values
    was run that is its sum of squares in the analysis of variance. What is left is told as `together`.
    """
    keys = [key for key in space.labels if space.labels[key][cube.there].nunique() > 1]
    rows = []
    for outcome in OUTCOMES:
        gram = _gram(cube, outcome)
        if gram is None or not keys:
            continue
        found = _shapley(space.labels[cube.there], keys, gram)
        rest = max(0.0, 1 - sum(found.values()))
        told = {**found, TOGETHER: rest}
        rows += [{"outcome": outcome, "key": key, "share": _rounded(share)} for key, share in told.items()]
    return pd.DataFrame(rows, columns=["outcome", "key", "share"])


def _rounded(share: float) -> float:
    """Six digits; what rounding left below zero is zero."""
    return max(0.0, round(share, 6))


def _gram(cube: Cube, outcome: str) -> np.ndarray | None:
    """Cross-products of combinations, centred, over the features that all of them have; None without variance."""
    values = np.asarray(getattr(cube, outcome), dtype=float)[cube.there]
    if outcome == "estimate":
        values = values / cube.std_error[cube.reference]
    values = values[:, np.isfinite(values).all(axis=0)]
    values = values - values.mean(axis=0)
    gram = values @ values.T
    return gram if np.trace(gram) > 1e-12 * max(values.size, 1) else None


def _shapley(labels: pd.DataFrame, keys: list[str], gram: np.ndarray) -> dict[str, float]:
    if len(keys) > MOST_KEYS:  # then each key alone, which is the same where all combinations were run
        return {key: _explained(labels, (key,), gram) for key in keys}
    explained = {
        chosen: _explained(labels, chosen, gram)
        for size in range(len(keys) + 1)
        for chosen in itertools.combinations(keys, size)
    }
    return {key: _value(key, keys, explained) for key in keys}


def _value(key: str, keys: list[str], explained: dict[tuple[str, ...], float]) -> float:
    """Mean gain in R^2 by ``key`` over all orders of entry."""
    others, total = [other for other in keys if other != key], 0.0
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(keys))
        for before in itertools.combinations(others, size):
            joined = tuple(each for each in keys if each in (*before, key))
            total += weight * (explained[joined] - explained[before])
    return total


def _explained(labels: pd.DataFrame, keys: tuple[str, ...], gram: np.ndarray) -> float:
    """R^2 of the factors ``keys``: the trace of the projected cross-products."""
    if not keys:
        return 0.0
    columns = pd.get_dummies(labels[list(keys)], dtype=float).to_numpy()
    columns = columns - columns.mean(axis=0)
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, size > 1e-9 * size[0]]
    return float(np.trace(basis.T @ gram @ basis) / np.trace(gram))


def leading(found: pd.DataFrame, outcome: str = "hit") -> tuple[str, float] | None:
    """The key that explains most of an outcome, with its share; None where nothing varies."""
    own = found[(found["outcome"] == outcome) & (found["key"] != TOGETHER)]
    if own.empty:
        own = found[(found["outcome"] == "evidence") & (found["key"] != TOGETHER)]
    if own.empty:
        return None
    best = own.loc[own["share"].idxmax()]
    return str(best["key"]), float(best["share"])
