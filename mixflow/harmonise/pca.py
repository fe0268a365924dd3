"""Principal components of the samples, for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixflow.slices import Matrix, blocks

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

ENOUGH = 30
"""Complete features that suffice to do without filling."""
MOSTLY = 0.5
"""Otherwise features observed in at least this fraction of the samples are mean-filled."""


@dataclass(frozen=True)
class Components:
    """``scores`` (sample, pc), ``share`` (pc,) of the variance, ``n_features`` used, ``note`` a sentence."""

    scores: Values
    share: Values
    n_features: int
    note: str


@dataclass(frozen=True)
class _Table:
    """Values (feature, sample) of an array, or read by slices; samples not ``shown`` count as missing."""

    values: Matrix
    shown: Mask

    def blocks(self) -> Iterator[Values]:
        """The values, block by block."""
        for part in blocks(len(self.values), self.values.shape[1]):
            yield np.where(self.shown, self.values[part], np.nan)


@dataclass(frozen=True)
class _Choice:
    """Samples with any value ``alive``; whether features must be complete; the samples that axes come from."""

    alive: Mask
    complete: bool
    note: str
    basis: Mask

    def of(self, values: Values) -> Values:
        """Features of a block that are used, without missing values."""
        x = values[~np.isnan(values).all(axis=1)][:, self.alive]
        observed = ~np.isnan(x)
        if self.complete:
            return x[observed.all(axis=1)]
        mostly = observed.mean(axis=1) >= MOSTLY
        rows, seen = x[mostly], observed[mostly]
        mean = np.where(seen, rows, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        return np.where(seen, rows, mean[:, None])

    def scaled(self, values: Values) -> Values:
        """The same centred and scaled to unit variance; features that do not vary are left out."""
        rows = self.of(values)
        centre = rows[:, self.basis].mean(axis=1, keepdims=True)
        sd = rows[:, self.basis].std(axis=1, keepdims=True)
        varies = sd[:, 0] > 1e-12 * np.maximum(np.abs(centre[:, 0]), 1e-300)
        return (rows[varies] - centre[varies]) / sd[varies]


def _choose(table: _Table, fit_on: Mask) -> _Choice:
    """Which features are fit for a decomposition without missing values, and how that is reached."""
    alive = np.zeros(len(fit_on), dtype=bool)
    for values in table.blocks():
        alive |= (~np.isnan(values)).any(axis=0)
    n_complete = n_all = n_mostly = n_missing = 0
    for values in table.blocks():
        observed = ~np.isnan(values)
        observed = observed[observed.any(axis=1)][:, alive]
        mostly = observed[observed.sum(axis=1) >= MOSTLY * observed.shape[1]]
        n_complete, n_all = n_complete + int(observed.all(axis=1).sum()), n_all + len(observed)
        n_mostly, n_missing = n_mostly + len(mostly), n_missing + int((~mostly).sum())
    if n_complete >= ENOUGH or n_complete == n_all:
        note = f"Principal components of the {n_complete} features without missing values"
        return _Choice(alive, True, note, fit_on[alive])
    share = n_missing / max(n_mostly * int(alive.sum()), 1)
    note = (
        f"Principal components of the {n_mostly} features observed in at least half of the samples; "
        f"for this picture only, missing values ({share:.1%}) stand at their feature's mean"
    )
    return _Choice(alive, False, note, fit_on[alive])


def principal_components(
    values: Matrix, fit_on: Mask | None = None, n: int = 5, shown: Mask | None = None
) -> Components:
    """Principal components of samples, features centred and scaled to unit variance.

    ``values`` (feature, sample), NaN missing, an array or read by slices; samples that are not ``shown`` count
    as missing. Axes come from the samples ``fit_on`` (role `sample`); others (QC) are projected. Features
    without missing values are used or, where these are fewer than 30, those observed in half of the samples,
    mean-filled; ``note`` says which. Samples without any value are NaN. The score that is largest in size is
    positive on each axis. Fewer than ``n`` components come back where the data have no more. Blocks of
    features add their cross-products up.
    """
    everyone = np.ones(values.shape[1], dtype=bool)
    fitted = everyone if fit_on is None else np.asarray(fit_on, dtype=bool)
    table = _Table(values, everyone if shown is None else np.asarray(shown, dtype=bool))
    choice = _choose(table, fitted)
    if choice.basis.sum() < 2:
        return Components(np.empty((values.shape[1], 0)), np.empty(0), 0, "Too few samples for components.")
    scores, share, count = _decompose(table, choice, n)
    out = np.full((values.shape[1], scores.shape[1]), np.nan)
    out[choice.alive] = scores
    return Components(out, share, count, f"{choice.note}, each scaled to unit variance.")


def _decompose(table: _Table, choice: _Choice, n: int) -> tuple[Values, Values, int]:
    """Scores of all samples on the axes of the basis, shares, number of features; by the smaller cross-product."""
    size, basis = int(choice.basis.sum()), choice.basis
    cross, count = np.zeros((size, size)), 0
    for values in table.blocks():
        inner = choice.scaled(values)[:, basis]
        cross, count = cross + inner.T @ inner, count + len(inner)
    if not count:
        return np.empty((len(basis), 0)), np.empty(0), 0
    if count < size:  # few features: their own cross-product
        z = np.concatenate([choice.scaled(values) for values in table.blocks()])
        inner = z[:, basis]
        cross = inner @ inner.T
    eigenvalues, vectors = np.linalg.eigh(cross)
    order = np.argsort(eigenvalues)[::-1][:n]
    order = order[eigenvalues[order] > 1e-10 * eigenvalues.sum()]
    scores = (
        z.T @ vectors[:, order] if count < size else _projected(table, choice, eigenvalues, vectors, order)
    )
    sign = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])
    return scores * sign, eigenvalues[order] / eigenvalues.sum(), count


def _projected(
    table: _Table, choice: _Choice, eigenvalues: Values, vectors: Values, order: NDArray[np.int64]
) -> Values:
    scores = np.zeros((len(choice.basis), len(order)))
    for values in table.blocks():
        z = choice.scaled(values)
        scores = scores + z.T @ (z[:, choice.basis] @ vectors[:, order] / np.sqrt(eigenvalues[order]))
    return scores
