"""Contrasts of estimated marginal means, in the words of R's emmeans, and p-values over a family of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from mixflow.errors import MixflowError, Problem

Weights = tuple[tuple[str, ...], np.ndarray]
"""Names of contrasts (c) and their weights on the levels (c, k)."""


def pairwise(levels: Sequence[str]) -> Weights:
    """Every earlier level minus every later one."""
    k = len(levels)
    found = [(i, j) for j in range(k) for i in range(j)]
    return _differences(levels, sorted(found))


def revpairwise(levels: Sequence[str]) -> Weights:
    """Every later level minus every earlier one."""
    return _differences(levels, [(j, i) for j in range(len(levels)) for i in range(j)])


def treatment_vs_control(levels: Sequence[str]) -> Weights:
    """Every level minus the first."""
    return _differences(levels, [(j, 0) for j in range(1, len(levels))])


def consecutive(levels: Sequence[str]) -> Weights:
    """Every level minus the one before it."""
    return _differences(levels, [(j, j - 1) for j in range(1, len(levels))])


def effects(levels: Sequence[str]) -> Weights:
    """Every level minus the mean of all."""
    k = len(levels)
    return tuple(f"{level} effect" for level in levels), np.eye(k) - 1.0 / k


def polynomial(levels: Sequence[str]) -> Weights:
    """Orthogonal polynomials over equally spaced levels, as whole numbers (emmeans' poly.emmc)."""
    k = len(levels)
    degree = min(6, k - 1)
    q, _ = np.linalg.qr(np.vander(np.arange(k) - (k - 1) / 2, degree + 1, increasing=True))
    rows = []
    for j in range(1, degree + 1):
        row = q[:, j] * (1.0 if q[-1, j] > 0 else -1.0)
        row = row / row[row > 0.01].min()
        rest = np.abs(row - np.round(row)).max()
        while rest > 0.05:
            row = row / rest
            rest = np.abs(row - np.round(row)).max()
        rows.append(np.round(row))
    names = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")
    return names[:degree], np.array(rows)


METHODS: dict[str, Callable[[Sequence[str]], Weights]] = {
    "pairwise": pairwise,
    "revpairwise": revpairwise,
    "trt.vs.ctrl": treatment_vs_control,
    "consec": consecutive,
    "eff": effects,
    "poly": polynomial,
}
"""emmeans' words."""

ADJUST = ("none", "tukey", "sidak", "bonferroni", "holm")
"""Ways to adjust p over the contrasts of one feature (q-values, over features, stand beside them)."""


def _differences(levels: Sequence[str], pairs: Sequence[tuple[int, int]]) -> Weights:
    rows = np.zeros((len(pairs), len(levels)))
    for r, (i, j) in enumerate(pairs):
        rows[r, i], rows[r, j] = 1.0, -1.0
    return tuple(f"{levels[i]} - {levels[j]}" for i, j in pairs), rows


def weights(method: str, levels: Sequence[str]) -> Weights:
    """Contrasts of a method; raises with the known ones."""
    if method not in METHODS:
        known = f"Known methods: {', '.join(METHODS)}."
        raise MixflowError(Problem("This way to compare means is not known", value=method, remedy=known))
    return METHODS[method](levels)


def interaction(methods: Sequence[str], levels: Sequence[Sequence[str]]) -> Weights:
    """Products of one contrast of each factor, on cells with the last factor's level running fastest."""
    if len(methods) != len(levels):
        remedy = "Give one method for each factor of the means."
        raise MixflowError(
            Problem("Methods and factors differ in number", value=list(methods), remedy=remedy)
        )
    names, rows = ("",), np.ones((1, 1))
    for method, own in zip(methods, levels, strict=True):
        more, w = weights(method, own)
        names = tuple(f"{a} | {b}" if a else b for a in names for b in more)
        rows = np.kron(rows, w)
    return names, rows


def adjusted(p: np.ndarray, t: np.ndarray, df: np.ndarray, how: str, n_means: int) -> np.ndarray:
    """p of each feature's contrasts adjusted for their number. (N, c) -> (N, c).

    ``tukey``: the studentised range of ``n_means`` means (for pairwise contrasts, as emmeans' default).
    """
    if how not in ADJUST:
        known = f"Known ways: {', '.join(ADJUST)}."
        raise MixflowError(Problem("This adjustment is not known", value=how, remedy=known))
    count = p.shape[1]
    if how == "tukey":
        with np.errstate(invalid="ignore"):
            return stats.studentized_range.sf(np.abs(t) * np.sqrt(2), n_means, df)
    if how == "sidak":
        return -np.expm1(count * np.log1p(-p))
    if how == "bonferroni":
        return np.minimum(1.0, count * p)
    return _holm(p) if how == "holm" else p


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, axis=1)
    sorted_p = np.take_along_axis(p, order, axis=1)
    left = (np.isfinite(p).sum(axis=1)[:, None] - np.arange(p.shape[1])).clip(1)
    stepped = np.minimum(
        1.0, np.maximum.accumulate(np.where(np.isfinite(sorted_p), sorted_p * left, 0.0), axis=1)
    )
    out = np.empty_like(p)
    np.put_along_axis(out, order, stepped, axis=1)
    return np.where(np.isfinite(p), out, np.nan)
