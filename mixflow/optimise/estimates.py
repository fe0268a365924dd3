"""From the kernels' coordinates (X orthogonalised, y scaled, columns scaled) back to the user's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixflow.design import Design
from mixflow.design.forms import BasisArrays
from mixflow.design.gram import GramArrays
from mixflow.design.observed import Observed
from mixflow.design.rows import RowArrays
from mixflow.likelihood.data import Data
from mixflow.likelihood.exact import Pieces
from mixflow.likelihood.summary import Summary
from mixflow.optimise import mapped
from mixflow.optimise.large import LargeArrays
from mixflow.optimise.newton import State
from mixflow.optimise.prepare import Prepared

CURVATURE = 1e-8
"""Eigenvalues of the information (of scaled parameters) below this carry nothing (lmerTest's rule)."""


class Estimates(NamedTuple):
    """Arrays of a `Fit`, for the features that were optimised."""

    solution: np.ndarray
    beta_cov: np.ndarray
    beta_cov_deriv: np.ndarray
    par_cov: np.ndarray
    null_space: np.ndarray
    theta: np.ndarray
    sigma: np.ndarray
    loglik: np.ndarray
    modes: dict[str, np.ndarray]
    mode_sds: dict[str, np.ndarray]


def estimates(
    design: Design,
    prepared: Prepared,
    data: Data | LargeArrays,
    arrays: GramArrays | BasisArrays | RowArrays | LargeArrays,
    observed: Observed,
    state: State,
    modes: bool,
    summary: Summary | None = None,
) -> Estimates:
    """Everything a `Fit` holds, at the optimum of the scaled columns that ``state`` describes.

    ``summary``: what the likelihood says there, where it is at hand (one big outcome).
    """
    theta, scale = state.theta, arrays.scale
    # Without random effects ML and REML differ in sigma only: tests use the unbiased one, as R's lm.
    layout = prepared.layout
    dof = data.dof if layout.n_theta else (observed.n_obs - observed.rank).astype(float)
    if summary is None:
        assert not isinstance(data, LargeArrays)
        summary = mapped.summaries(layout, data, theta)
    back, null = back_to_beta(design, observed)
    with np.errstate(invalid="ignore"):  # a feature without a minimum ends as a status
        unit_sigma = np.sqrt(summary.pieces.rss / dof if data.sigma2 is None else data.sigma2)
    sigma = unit_sigma * scale
    cov = back @ summary.cov @ np.swapaxes(back, 1, 2)
    by_theta = back[:, None] @ summary.cov_deriv @ np.swapaxes(back, 1, 2)[:, None]
    by_theta *= (sigma**2)[:, None, None, None] * prepared.theta_scale[:, None, None]
    by_sigma = 2 * sigma[:, None, None] * cov
    gamma = (summary.gamma * scale[:, None])[:, :, None]
    solution = (back @ gamma + np.linalg.inv(design.R) @ arrays.shift[:, :, None])[:, :, 0]
    units = np.concatenate([1 / prepared.theta_scale * np.ones_like(theta), scale[:, None]], axis=1)
    information = _information(dof, unit_sigma, summary.pieces.rss, state)
    if data.sigma2 is not None:  # sigma is known: it has no error
        information[:, -1, :] = information[:, :, -1] = 0.0
    par_cov = 2 * inverse_with_curvature(information) * units[:, :, None] * units[:, None, :]
    return Estimates(
        solution,
        cov * (sigma**2)[:, None, None],
        np.concatenate([by_theta, by_sigma[:, None]], axis=1),
        par_cov,
        null,
        theta / prepared.theta_scale,
        sigma,
        -0.5 * (_objective(data, summary.pieces) + arrays.constant),
        _modes(prepared, summary.modes.mode, scale) if modes else {},
        _modes(prepared, summary.modes.sd, sigma) if modes else {},
    )


def _objective(data: Data | LargeArrays, pieces: Pieces) -> np.ndarray:
    """`likelihood.exact.objective` of many features on the host."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if data.sigma2 is None:
            return pieces.logdet + data.dof * (1 + np.log(2 * np.pi * pieces.rss / data.dof))
        return pieces.logdet + data.dof * np.log(2 * np.pi * data.sigma2) + pieces.rss / data.sigma2


NULL = 1e-8
"""Entries of the null-space projector below this (columns of X scaled to length 1) are rounding."""


def back_to_beta(design: Design, observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    """beta = back gamma (N, p, p), and the null-space projector of each feature, zero where rank is full.

    Worked out for columns of X of length 1, so that the unit of a covariate does not decide what is zero.
    """
    p, n = len(design.coef_names), len(observed.rank)
    length = np.linalg.norm(design.R, axis=0)
    inverse = np.linalg.inv(design.R / length)
    back = np.broadcast_to(inverse / length[:, None], (n, p, p)).copy()
    null = np.zeros((n, p, p))
    for i, v in observed.basis.items():
        keep = v[:, : observed.rank[i]]
        back[i] = 0.0
        back[i, :, : observed.rank[i]] = inverse @ keep / length[:, None]
        scaled = inverse @ (np.eye(p) - keep @ keep.T) @ (design.R / length)
        null[i] = np.where(np.abs(scaled) < NULL, 0.0, scaled) / length[:, None] * length
    return back, null


def null_space(design: Design, observed: Observed) -> np.ndarray:
    """Projector on what each feature's own rows cannot tell, in the coordinates of beta. (N, p, p)."""
    return back_to_beta(design, observed)[1]


def _information(dof: np.ndarray, sigma: np.ndarray, rss: np.ndarray, state: State) -> np.ndarray:
    """Hessian (n, q + 1, q + 1) by (theta, sigma) of D = logdet + rss / sigma^2 + 2 dof log sigma."""
    _, slope, curve = state.pieces
    n, q = state.theta.shape
    out = np.empty((n, q + 1, q + 1))
    out[:, :q, :q] = curve.logdet + curve.rss / sigma[:, None, None] ** 2
    out[:, :q, q] = out[:, q, :q] = -2 * slope.rss / sigma[:, None] ** 3
    out[:, q, q] = 6 * rss / sigma**4 - 2 * dof / sigma**2
    return out


def inverse_with_curvature(information: np.ndarray) -> np.ndarray:
    """Inverse on the directions with curvature, zero on the others. (N, m, m)."""
    diagonal = np.abs(np.diagonal(information, axis1=1, axis2=2))
    dead = diagonal < CURVATURE
    size = np.sqrt(np.where(dead, 1.0, diagonal))
    scaled = information / size[:, :, None] / size[:, None, :]
    scaled = np.where(dead[:, :, None] | dead[:, None, :], 0.0, scaled)
    fine = np.isfinite(scaled).all(axis=(1, 2))
    scaled[~fine] = np.eye(scaled.shape[1])
    values, vectors = np.linalg.eigh(scaled)
    weight = np.where(values > CURVATURE, 1 / np.where(values > CURVATURE, values, 1.0), 0.0)
    inverse = (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    inverse = inverse / size[:, :, None] / size[:, None, :]
    inverse[~fine] = np.nan
    return inverse


def _modes(prepared: Prepared, found: tuple[np.ndarray, ...], unit: np.ndarray) -> dict[str, np.ndarray]:
    """Scaled modes (N, L, k) of each group -> (N, L * k) in the user's units."""
    return {
        group.name: (mode * unit[:, None, None] / scale).reshape(len(mode), -1)
        for group, mode, scale in zip(prepared.layout.groups, found, prepared.column_scale, strict=True)
    }
