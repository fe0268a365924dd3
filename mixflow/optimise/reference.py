"""Features without a row of the reference to which their residual standard deviations are relative.

Variances by visit are relative to the first visit's, those of a dispersion formula to the reference group's, and
sigma is that reference's standard deviation. Where a feature has no row of it the likelihood is a ridge: any sigma
does, with ratios to match. Of its points this takes the one in which sigma is the standard deviation of the first
visit or group that the feature has, and parameters of which its rows say nothing are as at the start.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from mixflow.backend import jax
from mixflow.covariance import Covariance, Structured, UnstructuredByVisit
from mixflow.design.layout import Layout
from mixflow.design.residual import ResidualColumns
from mixflow.likelihood.data import Data
from mixflow.optimise.mapped import minimise, take
from mixflow.optimise.newton import State
from mixflow.optimise.prepare import Prepared

RANK = 1e-9
"""What is left of a column beside those before it, below this share of its length, is nothing."""


def settle_reference(
    prepared: Prepared, data: Data, residual: ResidualColumns, seen: np.ndarray, state: State
) -> State:
    """The state of each feature on its ridge as above, derivatives included; others stay as they are.

    ``seen`` (N, n): rows with values.
    """
    if data.sigma2 is not None:  # sigma is given: no ridge
        return state
    layout, d = prepared.layout, residual.dispersion.shape[1]
    scale = prepared.theta_scale[len(prepared.theta_scale) - d :]
    theta = rebased(layout, residual, scale, seen, state.theta)
    rows = np.flatnonzero((theta != state.theta).any(axis=1) & state.done & np.isfinite(theta).all(axis=1))
    if len(rows):
        again = minimise(layout, take(data, rows), theta[rows])
        again.iterations[:] += state.iterations[rows]
        fine = again.done & np.isfinite(again.value)
        jax.tree.map(lambda old, new: old.__setitem__(rows[fine], new[fine]), state, again)
    return state


def rebased(
    layout: Layout, residual: ResidualColumns, scale: np.ndarray, seen: np.ndarray, theta: np.ndarray
) -> np.ndarray:
    """theta (N, q) of the same covariances, sigma that of the first visit or group that each feature has.

    ``scale`` (d,): theta of the dispersion is this times the user's.
    """
    out, own = theta.copy(), layout.residual_part
    count = own.stop - own.start - residual.dispersion.shape[1]
    visits, spread = slice(own.start, own.start + count), slice(own.start + count, own.stop)
    for rows, present in _patterns(_visits_seen(residual, seen)):
        if isinstance(residual.correlation, UnstructuredByVisit) and not present.all():
            out[rows, visits], ratio = _first_visit(residual.correlation, theta[rows, visits], present)
            _rescale(layout, out, rows, ratio)
    for rows, columns in _spreads(residual.dispersion / scale, seen):
        kept = _independent(columns)
        if not kept.all():
            out[rows, spread], ratio = _first_group(columns, kept, theta[rows, spread])
            _rescale(layout, out, rows, ratio)
    return out


def n_unseen(residual: ResidualColumns, hidden: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How many parameters of the residual side no row of each feature speaks of. (N,).

    ``hidden`` (N, r) as `unseen.unseen` has it: relative to an absent reference all ratios but one are known.
    """
    found = np.zeros(len(seen), dtype=np.int32)
    d = residual.dispersion.shape[1]
    for rows, columns in _spreads(residual.dispersion, seen):
        found[rows] += int((~_independent(columns)).sum())
    own = hidden[:, : hidden.shape[1] - d]
    if not isinstance(residual.correlation, UnstructuredByVisit):
        return found + own.sum(axis=1, dtype=np.int32)
    i, j = (part[1:] for part in np.tril_indices(residual.correlation.size))
    pairs = own[:, i != j].sum(axis=1, dtype=np.int32)
    return found + pairs + (~_visits_seen(residual, seen)).sum(axis=1, dtype=np.int32)


def _patterns(present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features (numbers) that have the same things present, and which (m,)."""
    patterns, of = np.unique(present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        yield np.flatnonzero(of.ravel() == number), pattern


def _spreads(dispersion: np.ndarray, seen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features (numbers) that have the same different rows of the dispersion, and these rows (r, d)."""
    if dispersion.shape[1]:
        different, which = np.unique(dispersion, axis=0, return_inverse=True)
        for rows, present in _patterns(_members(which.ravel(), seen)):
            yield rows, different[present]


def _members(which: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Whether a feature has a row of each class, ``which`` (n,) the classes of the rows. Bool (N, classes)."""
    member = sparse.csr_matrix((np.ones(len(which)), (which, np.arange(len(which)))))
    return (member @ seen.T.astype(float) > 0).T


def _visits_seen(residual: ResidualColumns, seen: np.ndarray) -> np.ndarray:
    if not isinstance(residual.correlation, UnstructuredByVisit):
        return np.ones((len(seen), 1), dtype=bool)
    return _members(residual.where.astype(int), seen)


def _first_visit(
    structure: UnstructuredByVisit, theta: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """theta (m, r) relative to the first visit that is present, and its sd over the present sigma (m,)."""
    place = np.flatnonzero(present)
    i, j = (part[1:] for part in np.tril_indices(structure.size))
    factor = np.zeros((len(theta), structure.size, structure.size))
    factor[:, 0, 0] = 1.0
    factor[:, i, j] = np.where(i == j, np.exp(theta), theta)
    matrix = (factor @ np.swapaxes(factor, 1, 2))[:, place][:, :, place]
    ratio = np.sqrt(matrix[:, 0, 0])
    own = np.linalg.cholesky(matrix / ratio[:, None, None] ** 2)
    whole = np.tile(np.eye(structure.size), (len(theta), 1, 1))
    whole[:, place[:, None], place[None, :]] = own
    entries = whole[:, i, j]
    return np.where(i == j, np.log(np.where(i == j, entries, 1.0)), entries), ratio


def _independent(columns: np.ndarray) -> np.ndarray:
    """Which columns (r, d) an intercept and the columns after them do not make up. Bool (d,).

    From the last on, so that of groups that an intercept makes up the first is the one to leave out.
    """
    kept = np.zeros(columns.shape[1], dtype=bool)
    basis = np.full((len(columns), 1), len(columns) ** -0.5)
    for j in reversed(range(columns.shape[1])):
        rest = columns[:, j] - basis @ (basis.T @ columns[:, j])
        rest = rest - basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length > RANK * max(float(np.linalg.norm(columns[:, j])), 1e-300):
            kept[j] = True
            basis = np.column_stack([basis, rest / length])
    return kept


def _first_group(columns: np.ndarray, kept: np.ndarray, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """delta (m, d) of the columns kept alone, and the sd that becomes sigma over the present one (m,)."""
    span = np.column_stack([np.ones(len(columns)), columns[:, kept]])
    found = delta @ columns.T @ np.linalg.pinv(span).T
    out = np.zeros_like(delta)
    out[:, kept] = found[:, 1:]
    return out, np.exp(found[:, 0])


def _rescale(layout: Layout, theta: np.ndarray, rows: np.ndarray, ratio: np.ndarray) -> None:
    """The random effects' part of theta, relative to a sigma that is ``ratio`` (m,) times the former."""
    for _, effect, part in layout.slices:
        theta[rows, part] = _relative(effect, theta[rows, part], ratio[:, None])


def _relative(effect: Covariance, theta: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    if not isinstance(effect, Structured):
        return theta / ratio  # entries of a factor
    sds, own = theta[:, : effect.n_sds], theta[:, effect.n_sds :]
    return np.concatenate([sds - np.log(ratio) if effect.hetero else sds / ratio, own], axis=1)
