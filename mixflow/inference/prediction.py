"""Predicted values of rows old and new, with standard errors for known and for new groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtri

from mixflow.covariance import Covariance, Known
from mixflow.design import Design, RandomColumns
from mixflow.design.frame import level_text
from mixflow.design.layout import Layout
from mixflow.errors import MixflowError, Problem
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import residual_matrix, residual_sd
from mixflow.model import Fit
from mixflow.optimise.prepare import as_one_level, prepare

GROUPS = ("known", "new", "none")

MOST_EFFECTS = 8000
"""Random effects up to which the mixed-model equations are inverted (dense: half a GB at most)."""

RANK = 1e-9
"""Singular values of a feature's own X below this share of the largest one count as zero."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to predict: ``X`` (m, p), ``offset`` (m,), and of each random term the level number (m,), -1 if
    new, and columns (m, k); ``labels`` (m,) of the table.
    """

    labels: list
    X: np.ndarray
    offset: np.ndarray
    random: tuple[tuple[RandomColumns, np.ndarray, np.ndarray], ...]
    old: bool


def rows_of(design: Design, frame: pd.DataFrame | None) -> Rows:
    """The rows of ``frame``, or of the design itself where it is None."""
    if frame is None:
        own = tuple((term, np.asarray(term.index), term.Z) for term in design.random)
        return Rows(list(design.frame.index), design.X, design.offset, own, True)
    random = []
    for term in design.random:
        place = {level: i for i, level in enumerate(term.levels)}
        keys = [":".join(map(level_text, row)) for row in frame[list(term.factors)].to_numpy(object)]
        random.append((term, np.array([place.get(key, -1) for key in keys], int), term.encoding.rows(frame)))
    return Rows(list(frame.index), design.matrix(frame), design.offsets(frame), tuple(random), False)


def point(fit: Fit, rows: Rows, groups: str = "known") -> np.ndarray:
    """X beta + offset, with the conditional modes of known levels and 0 for new ones. (N, m).

    ``groups`` new or none leave the modes out (smooths stay: they are curves, not groups). NaN where the
    feature's own rows cannot estimate the fixed part.
    """
    _check(groups)
    total = fit.solution @ rows.X.T + rows.offset
    for term, level, z in rows.random:
        if groups != "known" and term.covariance != "smooth":
            continue
        place = {effect: i for i, effect in enumerate(fit.effect_names[term.group])}
        for k, name in enumerate(term.terms):
            columns = np.array([-1 if i < 0 else place.get((term.levels[i], name), -1) for i in level], int)
            total = total + np.where(columns >= 0, fit.modes[term.group][:, columns], 0.0) * z[:, k]
    return np.where(fit.can_estimate(rows.X), total, np.nan)


def table(
    fitted: Fitted, frame: pd.DataFrame | None = None, groups: str = "known", level: float = 0.95
) -> pd.DataFrame:
    """Predictions with standard errors, one row for each feature and row.

    ``estimate, std_error, conf_low, conf_high`` of the mean of a row in its group (known), in a group drawn
    anew (new), or of the fixed part alone (none); ``pred_low, pred_high`` of a new observation there (of
    weight 1). Limits are normal, and take the variance components as known. Errors of beta and of the modes
    together: from the inverse of Henderson's mixed-model equations (Henderson 1975, Biometrics 31:423).
    """
    _check(groups)
    rows, fit = rows_of(fitted.design, frame), fitted.fit
    estimate = point(fit, rows, groups)
    effects = sum(len(names) for names in fit.effect_names.values())
    if effects > MOST_EFFECTS:
        message = f"Standard errors of predictions need at most {MOST_EFFECTS} random effects"
        raise MixflowError(Problem(message, value=effects, remedy="Predict without standard errors."))
    variance = np.full(estimate.shape, np.nan)
    layout = prepare(fitted.design, fit.reml).layout
    for i in np.flatnonzero(fit.fitted):
        variance[i] = _variance(fitted.take(np.array([i])), layout, rows, groups)
    variance = np.where(np.isnan(estimate), np.nan, variance)
    noise = fit.sigma[:, None] ** 2 * _spread(fitted, layout, rows) ** 2
    quantile = ndtri(0.5 + level / 2)
    half, wide = quantile * np.sqrt(variance), quantile * np.sqrt(variance + noise)
    numbers = {
        "estimate": estimate,
        "std_error": np.sqrt(variance),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
        "pred_low": estimate - wide,
        "pred_high": estimate + wide,
    }
    n, m = estimate.shape
    where = {"feature": np.repeat(fit.feature_ids, m), "row": rows.labels * n}
    return pd.DataFrame(where | {name: a.ravel() for name, a in numbers.items()})


def _check(groups: str) -> None:
    if groups not in GROUPS:
        remedy = f"Use one of: {', '.join(GROUPS)}."
        raise MixflowError(
            Problem("Unknown kind of prediction", column="groups", value=groups, remedy=remedy)
        )


def _spread(fitted: Fitted, layout: Layout, rows: Rows) -> np.ndarray:
    """Residual sd of the rows over sigma (N, m); not known for new rows where columns tell it."""
    known, weights = fitted.fit.sigma_known, fitted.recipe.weights
    if rows.old:
        spread = residual_sd(fitted.fit, fitted.design, layout)
        return spread if not known or weights is None else spread / np.sqrt(weights)
    hangs = layout.residual is not None and layout.residual.n_dispersion > 0
    return np.full((len(fitted.fit.status), len(rows.X)), np.nan if hangs or known else 1.0)


def _variance(one: Fitted, layout: Layout, rows: Rows, groups: str) -> np.ndarray:
    """Variance of the error of each row's prediction, for one feature. (m,)."""
    fit, design = one.fit, one.design
    parts = list(_terms(design, layout, rows))
    seen = np.flatnonzero(one.observed[0])
    x = design.X[seen]
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    keep = vt[s > RANK * s[0]].T
    left, new, extra = [x @ keep], [rows.X @ keep], np.zeros(len(rows.X))
    for term, effect, part, level, z in parts:
        factor = effect.factor_many(fit.theta[:, part])[0]
        own, theirs = np.asarray(term.index)[seen], level
        as_new = groups != "known" and term.covariance != "smooth"
        left.append(_spread_out(term.Z[seen] @ factor, own, len(term.levels)))
        known = np.zeros_like(level, dtype=bool) if as_new else level >= 0
        loading = z @ factor
        new.append(
            _spread_out(np.where(known[:, None], loading, 0.0), np.where(known, theirs, 0), len(term.levels))
        )
        if groups != "none":
            extra += np.where(known, 0.0, _own_variance(effect, loading, fit.theta[0, part]))
    root = np.linalg.cholesky(residual_matrix(one, layout, seen))
    a, b = solve_triangular(root, np.concatenate(left, axis=1), lower=True), np.concatenate(new, axis=1)
    system = a.T @ a
    effects = np.arange(keep.shape[1], len(system))
    system[effects, effects] += 1.0
    within = (b * cho_solve(cho_factor(system), b.T).T).sum(axis=1)
    return fit.sigma[0] ** 2 * (within + extra)


def _terms(
    design: Design, layout: Layout, rows: Rows
) -> Iterator[tuple[RandomColumns, Covariance, slice, np.ndarray, np.ndarray]]:
    """Each random term as the kernels see it, its structure and part of theta, levels and columns of the rows."""
    for group in layout.groups:
        own = [entry for entry in rows.random if entry[0].group == group.name]
        slices = [(effect, part) for g, effect, part in layout.slices if g is group]
        for (term, level, z), (effect, part) in zip(own, slices, strict=True):
            if isinstance(effect, Known):
                marks = np.equal.outer(level, np.arange(len(term.levels))).astype(float)
                yield as_one_level(term), effect, part, np.where(level < 0, -1, 0), marks
            else:
                yield term, effect, part, level, z


def _own_variance(effect: Covariance, loading: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Variance over sigma^2 of a new level's effects; of a known relationship: one unrelated, not inbred."""
    if isinstance(effect, Known):
        return np.full(len(loading), theta[0] ** 2)
    return (loading**2).sum(axis=1)


def _spread_out(values: np.ndarray, level: np.ndarray, n_levels: int) -> np.ndarray:
    """(r, k) values of each row at its level's columns. (r, n_levels k)."""
    r, k = values.shape
    out = np.zeros((r, n_levels, k))
    out[np.arange(r), level] = values
    return out.reshape(r, n_levels * k)
