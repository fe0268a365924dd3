"""Variance components, and tests, that borrow from all features: empirical Bayes with an atom at zero.

The estimator is defined in docs/moderating-components.md; the names are its names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixflow.design import Design
from mixflow.design.layout import Layout
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast
from mixflow.inference.mixture_t import MixtureT
from mixflow.inference.moderation import not_known, residual_df
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.theta_prior import Evidence, ThetaPrior, fit_theta_prior, grid, posterior
from mixflow.inference.variance_prior import fit_prior
from mixflow.likelihood.grid import Places, Seen, evaluate
from mixflow.model import Fit
from mixflow.optimise import mapped
from mixflow.optimise.components import components
from mixflow.optimise.estimates import back_to_beta
from mixflow.optimise.observed_grams import Chunk, chunks
from mixflow.status import Status

LEAST = 20
"""Features below which a prior cannot be fitted."""

GRID = {0: 1, 1: 41, 2: 21, 3: 10}
"""Values of each parameter, zero among them, by the number of parameters."""

NO_WEIGHT = 1e-7
"""Weights of theta below this are left out of intervals."""


def moderate_components(
    fit: Fit,
    design: Design,
    values: np.ndarray,
    contrasts: Sequence[Contrast] = (),
    *,
    covariate: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    level: float = 0.95,
) -> dict[str, Any]:
    """Moderated variance components and tests of the t contrasts; arrays, NaN for features not fitted.

    ``values`` (N, n), ``weights``: what was fitted; ``covariate`` (N,): trend of s0^2. Gives ``prior``
    (`ThetaPrior`, theta in units of the fit), ``variance`` (N, components) as ``fit.variance``,
    ``s2_prior`` (N,) and, (N, contrasts), ``estimate, std_error, p_value, q_value, conf_low, conf_high,
    status``. Raises MixflowError where the model is none of those covered, or
    features are fewer than `LEAST`.
    """
    not_known(fit)
    single = [c for c in contrasts if c.kind == "t"]
    if fit.fitted.sum() < LEAST:
        message = "Variance components are moderated over features, and too few were fitted"
        raise MixflowError(Problem(message, value=int(fit.fitted.sum()), remedy=f"Needed: {LEAST}."))
    share = lambda: chunks(design, values, fit.fitted, reml=True, weights=weights)  # noqa: E731
    shape = _trend(fit, covariate)
    axes, evidence = _evidence(fit, share, shape, weights)
    start = fit_prior(fit.sigma**2 / shape, residual_df(fit))
    prior = fit_theta_prior(axes, evidence, (float(start.df[0]), float(start.variance[0])))
    chance = posterior(evidence, prior)
    out = _empty(fit, len(single))
    rows = np.concatenate([c.L for c in single]) if single else np.zeros((0, len(fit.coef_names)))
    done = 0
    for chunk in share():
        part = slice(done, done + len(chunk.rows))
        own = Evidence(*(a[part] for a in evidence))
        _finish(out, chunk, design, rows, prior, chance[part], own, shape[chunk.rows], level)
        done = part.stop
        out["prior"] = prior._replace(values=prior.values / chunk.prepared.theta_scale)
    _judge(out, fit, single)
    out["s2_prior"] = np.where(fit.fitted, prior.variance * shape, np.nan)
    return out


def _trend(fit: Fit, covariate: np.ndarray | None) -> np.ndarray:
    """By what factor s0^2 of each feature differs from that of all. (N,)."""
    if covariate is None:
        return np.ones(len(fit.sigma))
    found = fit_prior(fit.sigma**2, residual_df(fit), covariate).variance
    return found / np.exp(np.nanmean(np.log(found)))


def _evidence(
    fit: Fit, share: Any, shape: np.ndarray, weights: np.ndarray | None
) -> tuple[list[np.ndarray], Evidence]:
    """The grid, in the kernels' units, and what every feature says on it; r^2 over the trend's factor."""
    axes: list[np.ndarray] | None = None
    parts = []
    for chunk in share():
        axes = axes or _axes(fit, chunk, weights)
        seen = _look(chunk, grid(axes)[0], np.zeros((len(chunk.rows), 0, chunk.prepared.layout.n_coef)))
        rss = seen.pieces.rss * (chunk.arrays.scale**2 / shape[chunk.rows])[:, None]
        parts.append(Evidence(seen.pieces.logdet, rss, chunk.gram.dof))
    assert axes is not None  # LEAST features gave at least one chunk
    return axes, Evidence(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _axes(fit: Fit, chunk: Chunk, weights: np.ndarray | None) -> list[np.ndarray]:
    """For each parameter zero, and values from next to nothing to twice the largest estimate.

    Next to nothing: a quarter of the theta at which a level's rows tell as much of its effect as the prior.
    """
    layout = chunk.prepared.layout
    _require_scalars(layout)
    largest = np.abs(fit.theta[fit.fitted]).max(axis=0) * chunk.prepared.theta_scale
    row = None if weights is None else weights if weights.ndim == 1 else weights.mean(axis=0)
    axes = []
    for index, (_, _, part) in zip(_indices(chunk), layout.slices, strict=True):
        unit = 1 / np.sqrt(np.bincount(index, row).max())
        for top in largest[part]:
            ladder = np.geomspace(unit / 4, 2 * max(top, unit), GRID[layout.n_theta] - 1)
            axes.append(np.concatenate([[0.0], ladder]))
    return axes


def _indices(chunk: Chunk) -> list[np.ndarray]:
    """Level numbers of the rows, for each structure of the layout."""
    place = {group.name: i for i, group in enumerate(chunk.prepared.layout.groups)}
    return [chunk.prepared.index[place[group.name]] for group, _, _ in chunk.prepared.layout.slices]


def _require_scalars(layout: Layout) -> None:
    """One variance for each parameter, none of them correlated, and no more than the grid can hold."""
    if not (layout.boundary & layout.even).all():
        remedy = "Write (x || g) for uncorrelated random effects, or leave this analysis out."
        raise MixflowError(Problem("Correlated random effects are not moderated", remedy=remedy))
    if layout.n_theta not in GRID:
        remedy = f"Use at most {max(GRID)}, or leave this analysis out."
        raise MixflowError(
            Problem("Too many random effects to moderate", value=layout.n_theta, remedy=remedy)
        )


def _look(chunk: Chunk, theta: np.ndarray, rows: np.ndarray) -> Seen:
    """`evaluate` for every feature of a chunk; rows (m, r, p) in the coordinates of its Gram."""
    places = Places(np.broadcast_to(theta, (len(chunk.rows), *theta.shape)), rows)
    return mapped.each(evaluate, chunk.prepared.layout, chunk.gram, places)


def _empty(fit: Fit, n_contrasts: int) -> dict[str, Any]:
    n = len(fit.status)
    names = ("estimate", "std_error", "p_value", "conf_low", "conf_high")
    out: dict[str, Any] = {name: np.full((n, n_contrasts), np.nan) for name in names}
    out["variance"] = np.full(fit.variance.shape, np.nan)
    return out


def _finish(
    out: dict[str, Any],
    chunk: Chunk,
    design: Design,
    rows: np.ndarray,
    prior: ThetaPrior,
    chance: np.ndarray,
    evidence: Evidence,
    shape: np.ndarray,
    level: float,
) -> None:
    """Posterior means of the variances, and the mixtures of t of the contrasts, of one chunk."""
    nu = evidence.nu
    if np.isinf(prior.df):
        s2 = np.broadcast_to(prior.variance, chance.shape) * shape[:, None]
    else:
        s2 = (evidence.rss + prior.df * prior.variance) / (nu + prior.df)[:, None] * shape[:, None]
    parts = components(chunk.prepared)
    unit = parts.variance(prior.values / chunk.prepared.theta_scale, np.ones(len(prior.values)))
    out["variance"][chunk.rows] = (chance * s2) @ unit
    if not len(rows):
        return
    seen, shift = _contrasts(chunk, design, rows, prior)
    scale = np.sqrt(seen.variance * s2[:, :, None])
    centre = seen.estimate * chunk.arrays.scale[:, None, None] + shift[:, None]
    mixture = MixtureT(chance, centre, scale, nu + prior.df)
    mean = np.einsum("ng,ngr->nr", chance, centre)
    spread = np.einsum("ng,ngr->nr", chance, scale**2 + (centre - mean[:, None]) ** 2)
    half, heavy = (1 - level) / 2, mixture.heaviest(NO_WEIGHT)
    out["estimate"][chunk.rows] = mean
    out["std_error"][chunk.rows] = np.sqrt(spread)
    out["p_value"][chunk.rows] = mixture.two_sided()
    out["conf_low"][chunk.rows] = heavy.quantile(half)
    out["conf_high"][chunk.rows] = heavy.quantile(1 - half)


def _contrasts(chunk: Chunk, design: Design, rows: np.ndarray, prior: ThetaPrior) -> tuple[Seen, np.ndarray]:
    """Contrasts on the grid in the Gram's units, and what of them the Gram's y left out (m, r)."""
    back, _ = back_to_beta(design, chunk.observed)
    seen = _look(chunk, prior.values, np.einsum("rp,npk->nrk", rows, back))
    shift = np.linalg.solve(design.R, chunk.arrays.shift.T).T @ rows.T
    return seen, shift


def _judge(out: dict[str, Any], fit: Fit, contrasts: Sequence[Contrast]) -> None:
    """Status of every contrast, NaN where it cannot be estimated, and q-values."""
    status = np.tile(fit.status[:, None], (1, len(contrasts)))
    for j, contrast in enumerate(contrasts):
        status[fit.fitted & ~fit.can_estimate(contrast.L).all(axis=1), j] = Status.NOT_ESTIMABLE
    status[fit.fitted[:, None] & (status == Status.SINGULAR)] = Status.OK  # no estimate is on the boundary
    for name in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        out[name][status != Status.OK] = np.nan
    out["status"] = status
    columns = [benjamini_hochberg(column) for column in out["p_value"].T]
    out["q_value"] = np.column_stack(columns) if columns else np.zeros(status.shape)
