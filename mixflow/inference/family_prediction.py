"""Predictions of generalised models: conditional, of the fixed part, and averaged over the random effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixflow.backend import jax
from mixflow.errors import MixflowError, Problem
from mixflow.family.links import Link
from mixflow.inference.family_means import answers, expected, plain, scale_of
from mixflow.inference.family_rows import (
    FamilyRows,
    family_rows,
    fixed_predictors,
    modes_part,
    random_variance,
    variance_of,
)
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.mode_errors import ModeEquations, loadings
from mixflow.inference.prediction import MOST_EFFECTS
from mixflow.status import MEANING, Status

GROUPS = ("known", "none", "average")
TYPES = ("link", "response")
CHUNK = 2**18
"""Rows of all features that are predicted at once."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Arrays (N, m, r): estimates, standard errors and limits; ``labels`` (m,), ``names`` (r,) of the answers."""

    labels: list
    names: tuple[str, ...]
    estimate: np.ndarray
    std_error: np.ndarray
    low: np.ndarray
    high: np.ndarray


def predict(
    outcome: FittedFamily,
    frame: pd.DataFrame | None = None,
    *,
    type: str = "response",
    groups: str = "known",
    std_error: bool = True,
    level: float = 0.95,
) -> Predicted:
    """Predictions of every feature on the rows of ``frame``, or of the data where it is None.

    ``groups``: ``known`` takes the conditional modes of known levels and 0 for new ones, whose variance is part
    of the standard error; ``none`` the fixed part alone (u = 0); ``average`` the mean over the random effects'
    distribution (population-averaged; Gauss-Hermite over the variance of each row's predictor). Smooths always
    stay. ``type``: ``link`` (the predictor of mu) or ``response`` (the mean, zero inflation counted in; of a
    cumulative model each category's probability). Standard errors by the delta method over the joint covariance
    of all parameters and of the modes; limits on the link scale, carried over. NaN where the feature's own rows
    cannot estimate the fixed part of mu, or where it was not fitted.
    """
    _check(type, groups)
    rows = family_rows(outcome, frame)
    names = ("",) if type == "link" else answers(outcome.family)
    if std_error and groups == "known" and rows.n_effects > MOST_EFFECTS:
        message = f"Standard errors of predictions need at most {MOST_EFFECTS} random effects"
        raise MixflowError(Problem(message, value=rows.n_effects, remedy="Predict without standard errors."))
    n, m = len(outcome.fit.status), len(rows.labels)
    shape = (n, m, len(names))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    run = np.flatnonzero(outcome.fit.fitted)
    size = max(1, CHUNK // max(m, 1))
    for first in range(0, len(run), size):
        part = run[first : first + size]
        found = _some(outcome.take(part), rows, type, groups, std_error, ndtri(0.5 + level / 2))
        value[part], error[part], low[part], high[part] = found
    lost = ~outcome.fit.can_estimate(rows.X[0])
    for array in (value, error, low, high):
        array[lost] = np.nan
    return Predicted(rows.labels, names, value, error, low, high)


def table(outcome: FittedFamily, found: Predicted) -> pd.DataFrame:
    """One row for each feature and row (and category): estimate, std_error, conf_low, conf_high, status."""
    fit, (n, m, r) = outcome.fit, found.estimate.shape
    where = {"feature": np.repeat(fit.feature_ids, m * r), "row": np.tile(np.repeat(_objects(found), r), n)}
    if r > 1:
        where["category"] = np.tile(np.array(found.names, dtype=object), n * m)
    numbers = {
        "estimate": found.estimate,
        "std_error": found.std_error,
        "conf_low": found.low,
        "conf_high": found.high,
    }
    status = np.array([MEANING[Status(s)].label for s in fit.status], dtype=object)
    told = np.repeat(status, m).reshape(n, m)
    lost = fit.fitted[:, None] & np.isnan(found.estimate).all(axis=2)
    told = np.where(lost, MEANING[Status.NOT_ESTIMABLE].label, told)
    numbers = {name: a.ravel() for name, a in numbers.items()}
    return pd.DataFrame(where | numbers | {"status": np.repeat(told.ravel(), r)})


def _objects(found: Predicted) -> np.ndarray:
    out = np.empty(len(found.labels), dtype=object)
    out[:] = found.labels
    return out


def _check(type: str, groups: str) -> None:
    for name, value, known in (("type", type, TYPES), ("groups", groups, GROUPS)):
        if value not in known:
            remedy = f"Use one of: {', '.join(known)}."
            raise MixflowError(Problem("Unknown kind of prediction", column=name, value=value, remedy=remedy))
    if type == "link" and groups == "average":
        remedy = "Use type='response', or groups='none': on the link scale the average is the fixed part."
        raise MixflowError(Problem("Averages are on the response scale", column="type", remedy=remedy))


def _some(
    outcome: FittedFamily, rows: FamilyRows, type: str, groups: str, std_error: bool, quantile: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Estimates, errors and limits of fitted features. (N, m, r) each."""
    family, fit = outcome.family, outcome.fit
    eta = fixed_predictors(outcome, rows) + modes_part(outcome, rows, curves_alone=groups != "known")
    spread = by_theta = None
    if groups == "average":
        variance, by_theta = random_variance(outcome, rows)
        spread = np.sqrt(variance)
    if not std_error:
        value = eta[:, :, :1] if type == "link" else expected(family, eta, fit.free, spread, False)[0]
        nothing = np.full(value.shape, np.nan)
        return value, nothing, nothing, nothing
    if type == "link" or (plain(family) and groups != "average"):
        return _by_link(outcome, rows, eta, type, groups, quantile)
    value, by_eta, by_sd, by_own = expected(family, eta, fit.free, spread)
    theta = np.zeros((*value.shape, fit.theta.shape[1]))
    if by_theta is not None and spread is not None:
        sds = np.where(spread > 0, spread, 1.0)[..., None]
        slope = np.where(spread[..., None] > 0, by_theta / (2 * sds), 0.0)
        theta = np.einsum("nmrd,nmdq->nmrq", by_sd, slope)
    error = np.sqrt(_variance(outcome, rows, by_eta, theta, by_own, groups))
    return value, error, *_limits(scale_of(family), value, error, quantile)


def _by_link(
    outcome: FittedFamily, rows: FamilyRows, eta: np.ndarray, type: str, groups: str, quantile: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """On the link scale, and carried over where asked."""
    n, m, d = eta.shape
    by_eta = np.zeros((n, m, 1, d))
    by_eta[:, :, :, 0] = 1.0
    zero = np.zeros((n, m, 1, outcome.fit.theta.shape[1]))
    own = np.zeros((n, m, 1, outcome.fit.free.shape[1]))
    error = np.sqrt(_variance(outcome, rows, by_eta, zero, own, groups))
    line = eta[:, :, :1]
    low, high = line - quantile * error, line + quantile * error
    if type == "link":
        return line, error, low, high
    link = outcome.family.predictors[0].link
    ends = inverse(link, low), inverse(link, high)
    return (
        inverse(link, line),
        error * np.abs(inverse_slope(link, line)),
        np.minimum(*ends),
        np.maximum(*ends),
    )


def inverse(link: Link, eta: np.ndarray) -> np.ndarray:
    """The mean at eta, elementwise."""
    return np.asarray(jax.jit(link.inverse)(eta))


def inverse_slope(link: Link, eta: np.ndarray) -> np.ndarray:
    """d mean / d eta, elementwise."""
    return np.asarray(jax.jit(jax.vmap(jax.grad(link.inverse)))(eta.ravel())).reshape(eta.shape)


def _limits(
    link: Link, value: np.ndarray, error: np.ndarray, quantile: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limits on the scale of a link, carried over."""
    place = np.asarray(jax.jit(link.link)(value))
    slope = np.abs(inverse_slope(link, place))
    half = quantile * error / np.where(slope > 0, slope, np.nan)
    ends = inverse(link, place - half), inverse(link, place + half)
    return np.minimum(*ends), np.maximum(*ends)


def _variance(
    outcome: FittedFamily,
    rows: FamilyRows,
    by_eta: np.ndarray,
    by_theta: np.ndarray,
    by_own: np.ndarray,
    groups: str,
) -> np.ndarray:
    """Variance of answers whose derivatives by eta (N, m, r, d), theta and own are given. (N, m, r)."""
    fit, out = outcome.fit, np.zeros(by_eta.shape[:3])
    curves = any(piece.curve for piece in rows.pieces)
    moving = rows.pieces and (groups == "known" or curves)
    equations = ModeEquations.of(outcome) if moving else None
    extra = _new_levels(outcome, rows, by_eta) if groups == "known" else 0.0
    for i in range(len(fit.status)):
        errors = equations.errors(i) if equations else None
        for r in range(by_eta.shape[2]):
            parts = [by_eta[i, :, r, [j]].T * x for j, x in enumerate(rows.X)]
            gradient = np.concatenate([*parts, by_theta[i, :, r], by_own[i, :, r]], axis=1)
            if errors is not None:
                load = sum(
                    loadings(rows, j, by_eta[i, :, r, j], curves_alone=groups != "known")
                    for j in range(len(rows.X))
                )
                gradient = gradient + load @ errors.slope
                out[i, :, r] = errors.variance(load)
            out[i, :, r] += ((gradient @ fit.joint_cov[i]) * gradient).sum(axis=1)
    return out + extra


def _new_levels(outcome: FittedFamily, rows: FamilyRows, by_eta: np.ndarray) -> np.ndarray:
    """What levels that the fit has not seen add to the variance. (N, m, r)."""
    total = np.zeros(by_eta.shape[:3])
    for piece in rows.pieces:
        if (piece.level < 0).any():
            own = np.where(piece.level < 0, variance_of(piece, outcome.fit.theta)[0], 0.0)
            total += by_eta[:, :, :, piece.predictor] ** 2 * own[:, :, None]
    return total
