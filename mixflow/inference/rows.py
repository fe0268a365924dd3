"""A fitted model on the rows of its design: fixed part, random part and residual, as (N, n) arrays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from mixflow.backend import jax
from mixflow.covariance import Correlation
from mixflow.design import Design
from mixflow.design.layout import GroupBlock, Layout
from mixflow.design.observed import times
from mixflow.inference.refit import Fitted
from mixflow.model import Fit
from mixflow.optimise.prepare import as_one_level

BLOCK = 64
"""Features whose correlations are computed at once, padded to it."""


def effect_columns(design: Design, layout: Layout) -> Iterator[tuple[GroupBlock, np.ndarray, np.ndarray]]:
    """Each group of the layout with its level numbers (n,) and columns (n, k)."""
    for group in layout.groups:
        terms = [as_one_level(term) for term in design.random if term.group == group.name]
        yield group, np.asarray(terms[0].index), np.concatenate([term.Z for term in terms], axis=1)


def fixed_part(fit: Fit, design: Design) -> np.ndarray:
    """X beta and the offset on the design's rows. (N, n)."""
    return times(np.nan_to_num(fit.solution), design.X.T) + design.offset


def modes_part(fit: Fit, design: Design, layout: Layout) -> np.ndarray:
    """Z b at the conditional modes, on the design's rows. (N, n)."""
    total = np.zeros((len(fit.status), len(design.X)))
    for group, index, columns in effect_columns(design, layout):
        b = fit.modes[group.name].reshape(len(total), group.n_levels, group.size)
        for j in range(group.size):
            total += b[:, index, j] * columns[:, j]
    return total


def residual_sd(fit: Fit, design: Design, layout: Layout) -> np.ndarray:
    """Residual standard deviation of each row of weight 1 over sigma: exp(x' delta). (N, n)."""
    if layout.residual is None or design.residual is None:
        return np.ones((len(fit.status), len(design.X)))
    theta = np.nan_to_num(fit.theta[:, layout.residual_part])[:, layout.residual.n_correlation :]
    return np.exp(times(theta, design.residual.dispersion.T))


def mean_residual(fitted: Fitted, layout: Layout) -> np.ndarray:
    """Mean residual variance over each feature's rows: of rows of weight 1, or the known variances. (N,)."""
    seen = fitted.observed
    variance = residual_sd(fitted.fit, fitted.design, layout) ** 2
    if fitted.fit.sigma_known and fitted.recipe.weights is not None:
        variance = variance / np.where(seen, fitted.recipe.weights, 1.0)
    total = np.where(seen, variance, 0.0).sum(axis=1)
    return total / np.maximum(seen.sum(axis=1), 1) * fitted.fit.sigma**2


def residual_root(fit: Fit, design: Design, layout: Layout, draws: np.ndarray) -> np.ndarray:
    """Independent standard normal draws (N, R, n) as residuals over sigma: correlated, and spread by row."""
    if layout.residual is None or design.residual is None:
        return draws
    out = draws.copy()
    correlation = layout.residual.correlation
    if correlation is not None:
        own = slice(layout.n_random, layout.n_random + layout.residual.n_correlation)
        theta, unit = np.nan_to_num(fit.theta[:, own]), design.residual.unit
        for number in np.unique(unit):
            rows = np.flatnonzero(unit == number)
            root = np.linalg.cholesky(_matrices(correlation, theta, design.residual.where[rows]))
            out[:, :, rows] = draws[:, :, rows] @ np.swapaxes(root, 1, 2)
    return out * residual_sd(fit, design, layout)[:, None, :]


def _matrices(correlation: Correlation, theta: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Correlation of one unit's rows for every feature. (N, T, T)."""
    kernel, parts = _mapped(correlation), []
    for first in range(0, len(theta), BLOCK):
        rows = np.minimum(np.arange(first, first + BLOCK), len(theta) - 1)
        parts.append(np.asarray(kernel(theta[rows], where))[: len(theta) - first])
    return np.concatenate(parts) if parts else np.zeros((0, len(where), len(where)))


@lru_cache(maxsize=16)
def _mapped(correlation: Correlation):
    return jax.jit(jax.vmap(correlation.matrix, in_axes=(0, None)))


def residual_matrix(one: Fitted, layout: Layout, rows: np.ndarray) -> np.ndarray:
    """Covariance of one feature's residuals at ``rows`` over sigma^2, with its prior weights. (r, r)."""
    fit, design, weights = one.fit, one.design, one.recipe.weights
    sd = residual_sd(fit, design, layout)[0, rows]
    if weights is not None:
        sd = sd / np.sqrt(np.broadcast_to(weights, (1, len(design.X)))[0, rows])
    out = np.eye(len(rows))
    if (
        layout.residual is not None
        and layout.residual.correlation is not None
        and design.residual is not None
    ):
        own = slice(layout.n_random, layout.n_random + layout.residual.n_correlation)
        unit = design.residual.unit[rows]
        for number in np.unique(unit):
            at = np.flatnonzero(unit == number)
            where = design.residual.where[rows[at]]
            out[np.ix_(at, at)] = _matrices(layout.residual.correlation, fit.theta[:, own], where)[0]
    return sd[:, None] * out * sd[None, :]
