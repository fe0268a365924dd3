"""Outcomes on a scale in units of their own spread while they are fitted, so that no answer depends on the unit.

The iteration's tolerances (least curvature, steps of differences, what is near a variance of zero) are those of
outcomes with a spread of about one. A power of two as the unit makes the way there and back exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixflow.covariance import Structured
from mixflow.optimise.glmm_prepare import Generalised

SPANNED = 1e-9
"""What the dispersion's columns may miss a constant by."""


def units_of(prepared: Generalised, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The unit of each feature (N,): 1 unless y / c has the family's distribution with mu / c and phi / c.

    Also 1 beside an offset of mu, with structures of correlations and where the dispersion has no constant.
    """
    family, effects = prepared.family, [effect for _, effect, _ in prepared.layout.slices]
    plain = family.location_scale and family.predictors[0].link.name == "identity"
    plain = plain and not any(isinstance(effect, Structured) for effect in effects)
    if not plain or np.any(prepared.designs[0].offset) or _constant(prepared) is None:
        return np.ones(len(y))
    known = np.where((weight > 0)[:, :, None] & np.isfinite(y), y, np.nan).reshape(
        len(y), y.shape[1] * y.shape[2]
    )
    some = np.isfinite(known).any(axis=1)
    spread = np.ones(len(y))
    spread[some] = np.nanstd(known[some], axis=1)
    return np.where(spread > 0, 2.0 ** np.round(np.log2(np.where(spread > 0, spread, 1.0))), 1.0)


def in_units(
    out: dict[str, Any], prepared: Generalised, unit: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> None:
    """All arrays of the `Fit` from outcomes y / unit to those of y: in place. ``y`` in either."""
    shape, by_theta = prepared.shape, _of_theta(prepared, unit)
    p, constant = shape.coefs[0], _constant(prepared)
    if constant is None or (unit == 1).all():
        return
    out["solution"] *= unit[:, None]
    out["beta_cov"] *= unit[:, None, None] ** 2
    out["theta"] *= by_theta
    q = by_theta.shape[1]
    out["par_cov"][:, :q, :q] *= by_theta[:, :, None] * by_theta[:, None, :]
    out["variance"] *= unit[:, None] ** 2
    every = np.ones((len(unit), shape.n_psi))
    every[:, :p], every[:, shape.theta] = unit[:, None], by_theta
    out["joint_cov"] *= every[:, :, None] * every[:, None, :]
    out["more"][:, : shape.coefs[1]] += np.log(unit)[:, None] * constant
    exact = np.where((y[..., 0] == y[..., -1]) & (weight > 0), weight, 0.0).sum(axis=1)
    out["loglik"] += (shape.restricted * out["rank"] - exact) * np.log(unit)
    for kind in ("modes", "mode_sds"):
        for name in out[kind]:
            out[kind][name] *= unit[:, None]


def _constant(prepared: Generalised) -> np.ndarray | None:
    """Coefficients of the dispersion that give 1 in every row, if its columns have any."""
    x = prepared.designs[1].X if len(prepared.designs) > 1 else np.zeros((1, 0))
    if not x.shape[1]:
        return None
    found = np.linalg.lstsq(x, np.ones(len(x)), rcond=None)[0]
    return found if np.abs(x @ found - 1).max() < SPANNED else None


def _of_theta(prepared: Generalised, unit: np.ndarray) -> np.ndarray:
    """By what each parameter of theta, a factor's entry, grows (N, q)."""
    return np.tile(unit[:, None], (1, prepared.layout.n_theta))
