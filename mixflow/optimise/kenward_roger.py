"""Kenward and Roger's adjusted covariance of many features, in the user's coordinates."""

from __future__ import annotations

import numpy as np

from mixflow.covariance.directions import natural_scaling
from mixflow.design import Design
from mixflow.design.observed import Observed
from mixflow.errors import MixflowError, Problem
from mixflow.likelihood.data import Data, Rows
from mixflow.likelihood.kenward_roger import Blocks
from mixflow.likelihood.kenward_roger_rows import residual_degrees
from mixflow.optimise import kenward_roger_rows, mapped
from mixflow.optimise.estimates import back_to_beta, inverse_with_curvature
from mixflow.optimise.prepare import Prepared


def require_reml(reml: bool) -> None:
    """Kenward and Roger's expansion is of the REML estimates."""
    if not reml:
        remedy = "Fit with reml=True, or use df='satterthwaite'."
        raise MixflowError(
            Problem("Kenward-Roger needs a REML fit", column="reml", value=reml, remedy=remedy)
        )


def _require_sigma(rows: Rows) -> None:
    if rows.sigma2 is not None:
        remedy = "Leave out residual and dispersion, or use df='satterthwaite'."
        message = "Kenward-Roger takes no residual structure beside known residual variances"
        raise MixflowError(Problem(message, column="variances", remedy=remedy))


def empty(prepared: Prepared, n: int) -> dict[str, np.ndarray]:
    """NaN for every feature. Arrays of `mixflow.model.KenwardRoger`."""
    p, r = prepared.layout.n_coef, len(_scaling(prepared)[0])
    shapes = {"cov": (p, p), "P": (r, p, p), "W": (r, r)}
    return {name: np.full((n, *shape), np.nan) for name, shape in shapes.items()}


def kenward_roger(
    design: Design, prepared: Prepared, data: Data, observed: Observed, theta: np.ndarray, sigma: np.ndarray
) -> dict[str, np.ndarray]:
    """Arrays of `mixflow.model.KenwardRoger` at ``theta`` (kernel's columns) and ``sigma`` (user's units)."""
    if isinstance(data, Rows):
        _require_sigma(data)
        found = kenward_roger_rows.blocks(prepared.layout, data, theta)
    else:
        found = mapped.kenward_roger(prepared.layout, data, theta)
    W = _covariance(found, known_sigma=data.sigma2 is not None)
    variance = sigma[:, None, None] ** 2
    back, _ = back_to_beta(design, observed)
    front = _front(design, observed)
    scale, degree = _scaling(prepared)
    f = scale * sigma[:, None] ** (-2.0 * degree)
    P = np.swapaxes(front, 1, 2)[:, None] @ found.P @ front[:, None]
    return {
        "cov": back @ _adjusted(found, W) @ np.swapaxes(back, 1, 2) * variance,
        "P": P * f[:, :, None, None] / variance[:, None],
        "W": W / f[:, :, None] / f[:, None, :],
    }


def _covariance(found: Blocks, known_sigma: bool) -> np.ndarray:
    """W: inverse of the expected information, on the directions that have any (pbkrtest). (N, r, r).

    Judged for parameters in units of the variances that they belong to. A sigma that is known has no error.
    """
    one = np.ones((len(found.size), found.P.shape[1] - found.size.shape[1]))
    size = np.concatenate([np.maximum(found.size, 1.0), one], axis=1)
    information = found.information * size[:, :, None] * size[:, None, :]
    if known_sigma:
        information[:, -1, :] = information[:, :, -1] = 0.0
    return inverse_with_curvature(information) * size[:, :, None] * size[:, None, :]


def _adjusted(found: Blocks, W: np.ndarray) -> np.ndarray:
    """Phi + 2 Phi {sum_ij W_ij (Q_ij - P_i Phi P_j - R_ij / 4)} Phi, over sigma^2. (N, p, p).

    The residual variance enters by V = sum_i weights_i G_i + W^-1, which has no part in Q - P Phi P.
    """
    n, p = found.phi.shape[:2]
    s = found.R.shape[1]
    T = np.broadcast_to(np.eye(s), (n, s, s))
    if s < found.P.shape[1]:
        T = np.concatenate([T, -found.weights[:, None, :]], axis=1)
    inner = _weighted(np.swapaxes(T, 1, 2) @ W @ T, found.R, p)
    if found.curve.shape[1]:
        inner = inner - _weighted(W[:, :s, :s], found.curve, p) / 4
    phi = found.phi
    adjusted = phi + 2 * phi @ inner @ phi
    return (adjusted + np.swapaxes(adjusted, 1, 2)) / 2


def _weighted(weights: np.ndarray, matrices: np.ndarray, p: int) -> np.ndarray:
    """sum_ij weights_ij matrices_ij. (N, s, s), (N, s, s, p, p) -> (N, p, p)."""
    n = len(weights)
    return (weights.reshape(n, 1, -1) @ matrices.reshape(n, -1, p * p)).reshape(n, p, p)


def _scaling(prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """`natural_scaling` of every random term, then of the residual side. (r,), (r,)."""
    scales, degrees = [], []
    columns = dict(zip((g.name for g in prepared.layout.groups), prepared.column_scale, strict=True))
    used = dict.fromkeys(columns, 0)
    for group, effect, _ in prepared.layout.slices:
        first = used[group.name]
        used[group.name] += effect.size
        u, degree = natural_scaling(effect, columns[group.name][first : first + effect.size])
        scales.append(u)
        degrees.append(degree)
    residual = prepared.layout.residual
    last = np.ones(1) if residual is None else residual_degrees(residual)
    size = np.ones(len(last))
    if residual is not None and residual.n_dispersion:
        size[-residual.n_dispersion :] = prepared.theta_scale[-residual.n_dispersion :]
    return np.concatenate([*scales, size]), np.concatenate([*degrees, last])


def _front(design: Design, observed: Observed) -> np.ndarray:
    """X of the user's coefficients = X of the kernel's times this; zero rows for inert ones. (N, p, p)."""
    p = len(design.coef_names)
    front = np.broadcast_to(design.R, (len(observed.rank), p, p)).copy()
    for i, v in observed.basis.items():
        keep = v.copy()
        keep[:, observed.rank[i] :] = 0.0
        front[i] = keep.T @ design.R
    return front
