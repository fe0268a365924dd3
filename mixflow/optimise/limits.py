"""Profile-likelihood limits for many features: where the deviance has risen by the quantile asked for.

The signed root zeta(c) = +-sqrt(D(c) - D_min) of the profiled deviance is close to a line in c (Bates et al.
2015, section 5.1); Newton's steps on it, kept within a bracket, find the limit in a few evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax
from mixflow.optimise import mapped
from mixflow.optimise.optima import Optimum
from mixflow.optimise.profile import Held, Pin, encode, hold

MOST_EVALUATIONS = 60

CLOSE = 1e-7
"""A limit is found where the signed root is so close to the quantile."""

FALLEN = 1e-4
"""The deviance fell below its minimum by more: the fit had not reached it, and no limit is given."""

NUDGE = 0.05
"""Variance parameters start at least so far from zero, where the gradient vanishes whether or not it is best."""

OK, BOUNDARY, NOT_FOUND = "ok", "at the boundary", "not found"


@dataclass(frozen=True, eq=False)
class Search:
    """A pin met with an optimum: the held value's ``centre`` (n,), where the deviance is least, and ``x`` (n, q).

    ``lowest``, ``highest``: ends of the range; ``step`` (n,): a first step away from the centre; ``weights``
    (n, p): of a coefficient, else zero.
    """

    optimum: Optimum
    pin: Pin
    centre: np.ndarray
    x: np.ndarray
    step: np.ndarray
    weights: np.ndarray
    lowest: float = -np.inf
    highest: float = np.inf

    def evaluate(self, rows: np.ndarray, x: np.ndarray, c: np.ndarray) -> Held:
        """The rest at its best with c (m,) held, for the features ``rows``, from x (m, q)."""
        layout = self.optimum.prepared.layout
        away = layout.boundary & (np.arange(x.shape[1]) != self.pin.place)
        code = encode(layout, self.pin)
        start = np.where((away | code.positive) & (np.abs(x) < NUDGE), NUDGE, x)
        code = jax.tree.map(lambda a: np.broadcast_to(a, (len(rows), *np.shape(a))), code)
        data = mapped.take(self.optimum.data, rows)
        return mapped.each(hold, layout, data, (start, c, self.weights[rows], code))


def limit(search: Search, side: int, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """The lower (``side`` -1) or upper (+1) limit of each feature, NaN where not found, and how it ended."""
    n, end = len(search.centre), search.lowest if side < 0 else search.highest
    out, status = np.full(n, np.nan), np.full(n, NOT_FOUND, dtype=object)
    inner, outer = search.centre.copy(), np.full(n, side * np.inf)
    c, x, active = search.centre + side * search.step, search.x.copy(), np.arange(n)
    if n and np.isfinite(end):
        found = search.evaluate(active, x, np.full(n, end))
        root = _root(search, active, found)
        reached = found.done & (root <= quantile) | (search.centre == end)
        out[reached], status[reached] = end, BOUNDARY
        outer[:] = end
        share = quantile / np.where(root > quantile, root, 2 * quantile)
        c = search.centre + (end - search.centre) * share
        active = np.flatnonzero(~reached)
    for _ in range(MOST_EVALUATIONS):
        if not len(active):
            break
        found = search.evaluate(active, x[active], c[active])
        root = _root(search, active, found)
        fine = found.done & np.isfinite(root)
        x[active[fine]] = found.x[fine]
        near = fine & (np.abs(root - quantile) < CLOSE)
        out[active[near]], status[active[near]] = c[active[near]], OK
        inside = fine & (root < quantile)
        inner[active[inside]] = c[active[inside]]
        outer[active[~inside]] = c[active[~inside]]
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = c[active] + (quantile - root) * 2 * root / found.slope
        centre, first = search.centre[active], search.step[active]
        newton = np.where(fine, newton, np.nan)
        c[active] = _next(newton, inner[active], outer[active], centre, first, side)
        active = active[~(near | (found.done & np.isnan(root)))]
    return out, status


def _root(search: Search, rows: np.ndarray, found: Held) -> np.ndarray:
    """zeta >= 0 on the side searched; NaN where the deviance fell below its minimum."""
    rise = found.value - search.optimum.deviance[rows]
    return np.where(rise < -FALLEN, np.nan, np.sqrt(np.maximum(rise, 0.0)))


def _next(
    newton: np.ndarray, inner: np.ndarray, outer: np.ndarray, centre: np.ndarray, first: np.ndarray, side: int
) -> np.ndarray:
    """Newton's point where it lies within the bracket, else the middle; beyond it while there is no outer end."""
    further = inner + side * np.maximum(2 * np.abs(inner - centre), first)
    middle = np.where(np.isfinite(outer), (inner + np.where(np.isfinite(outer), outer, 0.0)) / 2, further)
    inside = (side * (newton - inner) > 0) & (side * (outer - newton) > 0)
    return np.where(inside & np.isfinite(newton), newton, middle)
