"""Profile-likelihood limits of linear functions of psi of a generalised model, for many features at once.

A value of a'psi is held by beginning there with an inverse curvature that has no a in it: every step of the
quasi-Newton iteration, and every update of that inverse, then stays within a'psi = const. The signed root of
the profiled deviance is close to a line (Bates et al. 2015, J. Stat. Softw. 67(1), section 5.1): secants find it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax
from mixflow.optimise import quasi
from mixflow.optimise.glmm_iterate import FLAT, Optima, Problem
from mixflow.optimise.limits import BOUNDARY, NOT_FOUND, OK
from mixflow.optimise.mapped import take

MOST = 12
"""Values tried for a limit."""

CLOSE = 1e-4
"""A limit is found where the signed root is so close to the quantile."""

NUDGE = 0.05
"""Standard deviations at zero start from here: the gradient vanishes at zero whether or not it is best."""


@dataclass(frozen=True, eq=False)
class Line:
    """M limits asked for: ``rows`` (M,) features, ``weights`` (M, P) of psi, ``side`` (M,) -1 or 1.

    ``from_zero`` (M,): the function is a standard deviation, whose range begins at zero.
    """

    rows: np.ndarray
    weights: np.ndarray
    side: np.ndarray
    from_zero: np.ndarray


def limits(problem: Problem, found: Optima, line: Line, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the deviance has risen by the squared ``quantile`` (M,), and how each search ended (M,)."""
    search = _Search(problem, take(found, line.rows), line, quantile)
    for _ in range(MOST):
        if not search.going.any():
            break
        search.advance(np.flatnonzero(search.going))
    return search.ends()


class _Search:
    """The state of all searches; t is the distance from the estimate."""

    def __init__(self, problem: Problem, at: Optima, line: Line, quantile: float) -> None:
        self.problem, self.at, self.line, self.quantile = problem, at, line, quantile
        values, vectors = np.linalg.eigh(at.hessian)
        weight = np.where(values > FLAT, 1.0 / np.where(values > FLAT, values, 1.0), 0.0)
        inverse = (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        along = (inverse * line.weights[:, None, :]).sum(axis=2)
        size = (along * line.weights).sum(axis=1)
        seen = size > 0
        self.direction = along / np.where(seen, size, 1.0)[:, None]
        self.inverse = inverse - along[:, :, None] * self.direction[:, None, :]
        self.centre = (line.weights * at.psi).sum(axis=1)
        self.room = np.where(line.from_zero & (line.side < 0), np.abs(self.centre), np.inf)
        error = np.sqrt(2.0 * np.where(seen, size, np.nan))
        self.t = np.minimum(quantile * error, self.room)
        self.point = jax.tree.map(np.array, at.point)
        self.placed = np.zeros(len(self.t))
        self.root, self.before = np.zeros(len(self.t)), (np.zeros(len(self.t)), np.zeros(len(self.t)))
        self.word = np.where(seen & at.settled, "", NOT_FOUND).astype(object)
        self._nudge()

    @property
    def going(self) -> np.ndarray:
        return np.asarray(self.word == "")

    def _nudge(self) -> None:
        layout, part = self.problem.shape.layout, self.problem.shape.theta
        held = np.abs(self.line.weights[:, part]) > 0
        theta = self.point.psi[:, part]
        self.point.psi[:, part] = np.where(layout.boundary & (theta == 0) & ~held, NUDGE, theta)

    def advance(self, rows: np.ndarray) -> None:
        """One value of t for each search that goes on."""
        problem = self.problem.some(self.line.rows[rows])
        move = self.line.side[rows] * (self.t[rows] - self.placed[rows])
        psi = self.point.psi[rows] + move[:, None] * self.direction[rows]
        start = problem.evaluate(np.arange(len(rows)), psi, take(self.point.u, rows))
        found, _ = quasi.minimise(problem.evaluate, start, self.inverse[rows])
        risen = found.value - self.at.value[rows]
        self.placed[rows] = self.t[rows]
        jax.tree.map(lambda old, new: old.__setitem__(rows, new), self.point, found)
        with np.errstate(invalid="ignore"):
            self.root[rows] = np.sqrt(np.maximum(risen, 0.0))
        self._next(rows, np.isfinite(risen))

    def _next(self, rows: np.ndarray, fine: np.ndarray) -> None:
        t, root = self.t[rows], self.root[rows]
        off = root - self.quantile
        word = np.where(np.abs(off) < CLOSE, OK, "").astype(object)
        word[(off < -CLOSE) & (t >= self.room[rows])] = BOUNDARY
        word[~fine] = NOT_FOUND
        t0, root0 = (part[rows] for part in self.before)
        rise = root - root0
        with np.errstate(divide="ignore", invalid="ignore"):
            step = -off * (t - t0) / rise
        new = np.clip(np.where(np.isfinite(step) & (rise > 0), t + step, 2 * t), 0.2 * t, 4 * t)
        self.before[0][rows], self.before[1][rows] = t, root
        self.word[rows] = word
        self.t[rows] = np.where(word == "", np.minimum(new, self.room[rows]), t)

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Values of the function at the limits, and the words."""
        word = np.where(self.word == "", NOT_FOUND, self.word)
        value = self.centre + self.line.side * self.t
        value = np.where(word == BOUNDARY, 0.0, value)
        return np.where(word == NOT_FOUND, np.nan, value), word
