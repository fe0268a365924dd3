"""Principal components of the samples, for pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

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


def _choose(x: Values) -> tuple[Values, str]:
    """Rows fit for a decomposition, without missing values, and how that was reached."""
    observed = ~np.isnan(x)
    complete = observed.all(axis=1)
    if complete.sum() >= ENOUGH or complete.all():
        return x[
            complete
        ], f"Principal components of the {int(complete.sum())} features without missing values"
    mostly = observed.mean(axis=1) >= MOSTLY
    rows, seen = x[mostly], observed[mostly]
    mean = np.where(seen, rows, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    note = (
        f"Principal components of the {int(mostly.sum())} features observed in at least half of the samples; "
        f"for this picture only, missing values ({(~seen).mean():.1%}) stand at their feature's mean"
    )
    return np.where(seen, rows, mean[:, None]), note


def principal_components(values: Values, fit_on: NDArray[np.bool_] | None = None, n: int = 5) -> Components:
    """Principal components of samples, features centred and scaled to unit variance.

    ``values`` (feature, sample), NaN missing. Axes come from the samples ``fit_on`` (role `sample`); others
    (QC) are projected. Features without missing values are used or, where these are fewer than 30, those
    observed in half of the samples, mean-filled; ``note`` says which. Samples without any value are NaN.
    The score that is largest in size is positive on each axis. Fewer than ``n`` components come back where
    the data have no more.
    """
    chosen = np.ones(values.shape[1], dtype=bool) if fit_on is None else np.asarray(fit_on, dtype=bool)
    alive = ~np.isnan(values).all(axis=0)
    rows, note = _choose(values[~np.isnan(values).all(axis=1)][:, alive])
    basis = chosen[alive]
    if basis.sum() < 2:
        return Components(np.empty((values.shape[1], 0)), np.empty(0), 0, "Too few samples for components.")
    centre = rows[:, basis].mean(axis=1, keepdims=True)
    sd = rows[:, basis].std(axis=1, keepdims=True)
    varies = sd[:, 0] > 1e-12 * np.maximum(np.abs(centre[:, 0]), 1e-300)
    z = (rows[varies] - centre[varies]) / sd[varies]
    scores, share = _decompose(z, basis, n)
    out = np.full((values.shape[1], scores.shape[1]), np.nan)
    out[alive] = scores
    return Components(out, share, int(varies.sum()), f"{note}, each scaled to unit variance.")


def _decompose(z: Values, basis: NDArray[np.bool_], n: int) -> tuple[Values, Values]:
    """Scores of all columns of ``z`` on the axes of the columns ``basis``, by the smaller cross-product."""
    if not z.shape[0]:
        return np.empty((z.shape[1], 0)), np.empty(0)
    inner = z[:, basis]
    wide = inner.shape[0] >= inner.shape[1]
    eigenvalues, vectors = np.linalg.eigh(inner.T @ inner if wide else inner @ inner.T)
    order = np.argsort(eigenvalues)[::-1][:n]
    order = order[eigenvalues[order] > 1e-10 * eigenvalues.sum()]
    axes = inner @ vectors[:, order] / np.sqrt(eigenvalues[order]) if wide else vectors[:, order]
    scores = z.T @ axes
    sign = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])
    return scores * sign, eigenvalues[order] / eigenvalues.sum()
