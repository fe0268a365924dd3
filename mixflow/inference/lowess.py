"""Cleveland's robust local straight lines, with the interpolation that makes them cheap."""

from __future__ import annotations

import numpy as np


def lowess(x: np.ndarray, y: np.ndarray, span: float, rounds: int = 3) -> np.ndarray:
    """Smooth y (n,) over x (n,); fitted values in the order given.

    Cleveland (1979), J. Am. Stat. Assoc. 74:829, in the form of his program of 1981, which R's ``lowess``
    runs: ``span`` is the share of points in a neighbourhood, ``rounds`` the number of robust refits; lines
    are fitted at points at least 1 % of the range apart and joined by straight lines.
    """
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    n = len(xs)
    out = np.empty(n)
    if n < 2:
        return y.astype(float).copy()
    near = max(min(int(span * n + 1e-7), n), 2)
    anchors, left = _anchors(xs, near)
    robust = np.ones(n)
    fitted = ys
    for turn in range(rounds + 1):
        fitted = _smooth(xs, ys, robust, anchors, left, near)
        if turn == rounds or not _reweigh(robust, ys - fitted, np.abs(ys).mean()):
            break
    out[order] = fitted
    return out


def _anchors(x: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """Points at which lines are fitted, and where the ``near`` nearest points of each begin."""
    step, n = 0.01 * (x[-1] - x[0]), len(x)
    anchors = [0]
    while anchors[-1] < n - 1:
        beyond = int(np.searchsorted(x, x[anchors[-1]] + step, side="right"))
        same = int(np.searchsorted(x, x[anchors[-1]], side="right")) - 1
        anchors.append(max(anchors[-1] + 1, same, beyond - 1))
    left, first = [], 0
    for i in anchors:
        while first + near < n and x[i] - x[first] > x[first + near] - x[i]:
            first += 1
        left.append(first)
    return np.array(anchors), np.array(left)


def _smooth(
    x: np.ndarray, y: np.ndarray, robust: np.ndarray, anchors: np.ndarray, left: np.ndarray, near: int
) -> np.ndarray:
    """Local lines at the anchors, joined by straight lines. (n,)."""
    heights = [_line(x, y, robust, int(i), int(first), near) for i, first in zip(anchors, left, strict=True)]
    distinct, place = np.unique(x[anchors], return_index=True)
    return np.interp(x, distinct, np.array(heights)[place])


def _line(x: np.ndarray, y: np.ndarray, robust: np.ndarray, place: int, first: int, near: int) -> float:
    """Height at the point ``place`` of a line fitted to its neighbours, weights tricube times ``robust``."""
    at = float(x[place])
    width = max(at - x[first], x[first + near - 1] - at)
    last = int(np.searchsorted(x, at + 0.999 * width, side="right"))
    part = slice(first, max(last, first + 1))
    distance = np.abs(x[part] - at)
    weight = np.where(distance <= 0.001 * width, 1.0, (1 - (distance / max(width, 1e-300)) ** 3) ** 3)
    weight = np.where(distance <= 0.999 * width, weight, 0.0) * robust[part]
    if width == 0:
        weight = (distance == 0) * robust[part]
    if weight.sum() <= 0:
        return float(y[place])
    weight = weight / weight.sum()
    centre = (weight * x[part]).sum()
    spread = (weight * (x[part] - centre) ** 2).sum()
    if np.sqrt(spread) > 0.001 * (x[-1] - x[0]):
        weight = weight * (1 + (at - centre) / spread * (x[part] - centre))
    return float((weight * y[part]).sum())


def _reweigh(robust: np.ndarray, residual: np.ndarray, size: float) -> bool:
    """Bisquare weights from residuals, in place; False where they are all but zero."""
    size_of = np.abs(residual)
    cut = 6 * float(np.median(size_of))
    if cut < 1e-7 * max(size_of.mean(), 0.0) or cut == 0:
        return False
    inner, outer = 0.001 * cut, 0.999 * cut
    robust[:] = np.where(size_of <= inner, 1.0, (1 - np.minimum(size_of / cut, 1.0) ** 2) ** 2)
    robust[size_of > outer] = 0.0
    return True
