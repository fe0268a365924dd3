"""How many quadrature points each feature needs: those whose Laplace answer would move are fitted again.

At the optimum by n points the log-likelihood and its gradient are computed once with more points. The gradient
says how far the estimates would move (one Newton step, in standard errors). Where they would move too far the
feature is fitted by that many points, and looked at again with more, until more points change nothing. What
one feature needs hangs on its own rows alone.

A density that is not log-concave (Student's t) can leave Laplace without a maximum: log|H| falls without bound where
two modes of a level meet, and quasi-Newton steps follow it there. Such features are fitted by quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from mixflow.backend import jax
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Sample
from mixflow.optimise.glmm_iterate import FLAT, Optima, Problem, again, optima, put
from mixflow.optimise.glmm_simpler import vanishing
from mixflow.optimise.mapped import take

AUTO = "auto"
Nodes = int | Literal["auto"] | np.ndarray

LADDERS = {1: (9, 25, 51), 2: (7, 15, 31), 3: (5, 9, 15)}
"""Numbers of points tried, by the number of effects of a level; more effects stay with Laplace."""

MOVES = 0.1
"""Estimates that would move by more than this share of their standard error are not Laplace's to give."""

SETTLED = 0.01
"""With quadrature: estimates that would move by less than this share of their standard error stand."""

LIKELIHOOD = 0.5
SETTLED_LIKELIHOOD = 0.01
"""The same of -2 log-likelihood: criteria and likelihood ratios hang on it."""


def solve(shape: Shape, shared: Shared, samples: Sample, nodes: Nodes) -> tuple[Optima, np.ndarray]:
    """Optima of all features and the number of points each was fitted with (N,).

    ``nodes``: one number for all, one for each feature (N,), or "auto".
    """
    n = len(samples.y)
    if isinstance(nodes, str) or (np.ndim(nodes) == 0 and nodes == 1):
        laplace = replace(shape, nodes=1)
        found, used = _without_folds(laplace, shared, samples, optima(laplace, shared, samples))
        return escalated(laplace, shared, samples, found, used) if isinstance(nodes, str) else (found, used)
    asked = np.broadcast_to(np.asarray(nodes, dtype=np.int32), (n,))
    if len(np.unique(asked)) <= 1:
        number = int(asked[0]) if n else shape.nodes
        return optima(replace(shape, nodes=number), shared, samples), asked.copy()
    parts = []
    for number in np.unique(asked):
        rows = np.flatnonzero(asked == number)
        parts.append((rows, optima(replace(shape, nodes=int(number)), shared, take(samples, rows))))
    return _joined(parts, n), asked.copy()


def _without_folds(shape: Shape, shared: Shared, samples: Sample, found: Optima) -> tuple[Optima, np.ndarray]:
    """Features that ended nowhere because their density is not log-concave, by quadrature; points of each (N,)."""
    nodes = np.ones(len(found.psi), dtype=np.int32)
    lost = vanishing(shape, shared, samples, found.psi)
    rows = np.flatnonzero((~found.settled | ~np.isfinite(found.value)) & ~lost)
    if shape.family.log_concave or not can_escalate(shape) or not len(rows):
        return found, nodes
    _, number, *more = LADDERS.get(shape.layout.k_leading, (1, 1))
    if number > 1:
        put(found, rows, optima(replace(shape, nodes=number), shared, take(samples, rows)))
        nodes[rows] = number
        _climb(shape, shared, samples, found, nodes, (rows, more, SETTLED, SETTLED_LIKELIHOOD))
    return found, nodes


def escalated(
    shape: Shape, shared: Shared, samples: Sample, found: Optima, nodes: np.ndarray
) -> tuple[Optima, np.ndarray]:
    """From Laplace's optima to those that more points do not change, and the points of each (N,)."""
    ladder = LADDERS.get(shape.layout.k_leading, ()) if can_escalate(shape) else ()
    fine = found.settled & np.isfinite(found.value) & (found.psi[:, shape.theta] != 0).any(axis=1)
    rows = np.flatnonzero(fine & (nodes == 1))
    _climb(shape, shared, samples, found, nodes, (rows, ladder, MOVES, LIKELIHOOD))
    return found, nodes


def _climb(
    shape: Shape,
    shared: Shared,
    samples: Sample,
    found: Optima,
    nodes: np.ndarray,
    plan: tuple[np.ndarray, Sequence[int], float, float],
) -> None:
    """The features, numbers of points, and first tolerances of a plan: ``found`` and ``nodes`` in place."""
    rows, ladder, moves, differs = plan
    for number in ladder:
        if not len(rows):
            break
        problem = Problem(replace(shape, nodes=number), shared, take(samples, rows))
        here = take(found, rows)
        at = problem.evaluate(np.arange(len(rows)), here.psi, here.point.u)
        with np.errstate(invalid="ignore"):
            off = (shift(here.hessian, at.gradient) > moves) | (np.abs(at.value - here.value) > differs)
        off &= np.isfinite(at.value)
        rows, kept = rows[off], np.flatnonzero(off)
        if len(rows):
            put(found, rows, again(problem.some(kept), take(here._replace(point=at), kept)))
            nodes[rows] = number
        moves, differs = SETTLED, SETTLED_LIKELIHOOD


def can_escalate(shape: Shape) -> bool:
    """Whether quadrature takes the model: one grouping factor, few effects a level."""
    return shape.random and len(shape.layout.groups) == 1 and not shape.restricted


def shift(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Largest move of a parameter by one Newton step, in standard errors; directions without curvature do not count.

    (N, P, P), (N, P) of -2 log-likelihood -> (N,).
    """
    fine = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    safe = np.where(fine[:, None, None], hessian, np.eye(hessian.shape[1]))
    values, vectors = np.linalg.eigh(safe)
    weight = np.where(values > FLAT, 1.0 / np.where(values > FLAT, values, 1.0), 0.0)
    inverse = (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    move = np.abs((inverse * gradient[:, None, :]).sum(axis=2))
    error = np.sqrt(2.0 * np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 0.0))
    return np.where(error > 0, move / np.where(error > 0, error, 1.0), 0.0).max(axis=1, initial=0.0)


def _joined(parts: list[tuple[np.ndarray, Optima]], n: int) -> Optima:
    """Optima of parts of the features as those of all."""
    order = np.concatenate([rows for rows, _ in parts])
    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(found for _, found in parts))
    back = np.empty(n, dtype=int)
    back[order] = np.arange(n)
    return take(whole, back)
