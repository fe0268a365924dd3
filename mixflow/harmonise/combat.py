"""ComBat: parametric empirical Bayes batch correction.

Johnson, Li & Rabinovic 2007, Biostatistics 8:118-127.
Where R's sva::ComBat gives a number this gives the same, to 1e-6 with sva's inner solver run to
conv = 1e-12. Where sva stops, because a feature misses a whole batch or has one value in it, this
goes on: see `combat`.
Symbols as in the paper: gamma and delta are a batch's shift and scale of the standardised data,
gamma_bar and tau2 their normal prior, the inverse-gamma prior of delta enters by its mean and variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem
from mixflow.harmonise.columns import covariate_matrix, levels_of, refuse_missing, rows_of
from mixflow.harmonise.masked import Mask, MaskedFit, Values, centred, fit, ranks

TOLERANCE = 1e-14
MAX_ITERATIONS = 10_000
CONSTANT = "constant within a batch: left as it was"
TOO_FEW = "too few values"
NOT_ESTIMABLE = "batch differences not estimable in the samples observed"
NO_VARIATION = "no variation within batches"
NO_CONVERGENCE = "no convergence"
RESOLVED = 1e-12
"""A residual below this part of the total sum of squares is rounding."""


@dataclass(frozen=True)
class Harmonised:
    """``values`` (feature, sample) corrected; ``reason`` (feature,) '' where corrected, else why not.

    Features that could not be corrected are NaN, except those constant within a batch, which sva leaves as
    they are. ``gamma`` and ``delta`` (feature, batch) are the posterior shifts and scales of the levels
    ``batches``.
    """

    values: Values
    reason: NDArray[np.object_]
    gamma: Values
    delta: Values
    batches: list[str]
    notes: list[str]


@dataclass(frozen=True)
class _Layout:
    """Samples the parameters come from: batch codes (sample,), sizes (batch,), B dummies, Z covariates."""

    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    B: Values
    Z: Values


def combat(
    values: Values,
    batch: pd.Series,
    keep: pd.DataFrame | None = None,
    *,
    fit_on: Mask | None = None,
    samples: Sequence[str] | None = None,
) -> Harmonised:
    """Remove the shift and scale of each batch, keeping the effects of the columns ``keep``.

    ``values`` (feature, sample), NaN missing; ``batch`` and ``keep`` one row a sample. ``fit_on`` (sample,)
    names the samples that the parameters come from (role `sample`); others (QC) are corrected with the
    parameters of their batch, standing at the covariates' mean; where their batch has none they are NaN.
    Beyond sva: the priors leave out what a feature cannot tell; a single value in a batch takes its scale
    from the prior; a batch in which a feature is never observed drops out of its grand mean; a feature
    whose own samples cannot tell batches from ``keep`` is NaN. Raises MixflowError naming the columns where
    batch and ``keep`` are confounded, where their values are missing, or where there is a single batch.
    """
    chosen = np.ones(values.shape[1], dtype=bool) if fit_on is None else np.asarray(fit_on, dtype=bool)
    keep = pd.DataFrame(index=batch.index) if keep is None else keep
    if len(values) < 2:
        raise MixflowError(
            Problem(
                "ComBat shares information across features and needs two at least.",
                column="batch.method",
                value="combat",
                remedy="Use batch.method: mixed.",
            )
        )
    ids = None if samples is None else [str(samples[i]) for i in np.flatnonzero(chosen).tolist()]
    layout, levels = _layout(batch.loc[chosen], rows_of(keep, chosen), ids)
    return _correct(values, chosen, layout, levels, _codes_of_all(batch, levels))


def _correct(
    values: Values, chosen: Mask, layout: _Layout, levels: list[str], codes: NDArray[np.int64]
) -> Harmonised:
    y = values[:, chosen]
    deviations, mean = centred(y)
    fitted = fit(deviations, np.hstack([layout.B, layout.Z]))
    reason = _reasons(deviations, fitted, layout)
    good = reason == ""
    any_missing = bool(np.isnan(y[reason != CONSTANT]).any())
    state = _standardise(deviations[good], mean[good], fitted.take(good), layout, any_missing)
    mean_only = bool((layout.sizes == 1).any())
    gamma, delta, converged = _posterior(*_moments(y[good], state, layout, mean_only), mean_only)
    reason[np.flatnonzero(good)[~converged]] = NO_CONVERGENCE
    out = np.full(values.shape, np.nan)
    out[reason == CONSTANT] = values[reason == CONSTANT]
    out[good] = _adjust(values[good], state, gamma, delta, codes, chosen, layout)
    out[reason == NO_CONVERGENCE] = np.nan
    notes = _notes(reason, mean_only, levels, layout)
    return Harmonised(out, reason, _spread(gamma, good), _spread(delta, good), levels, notes)


def _spread(part: Values, good: Mask) -> Values:
    whole = np.full((len(good), part.shape[1]), np.nan)
    whole[good] = part
    return whole


def _codes_of_all(batch: pd.Series, levels: list[str]) -> NDArray[np.int64]:
    """Batch number of every sample, -1 where its batch has no parameters."""
    number = {level: i for i, level in enumerate(levels)}
    return np.array([-1 if pd.isna(b) else number.get(str(b), -1) for b in batch], dtype=np.int64)


def _notes(reason: NDArray[np.object_], mean_only: bool, levels: list[str], layout: _Layout) -> list[str]:
    notes = []
    if mean_only:
        single = ", ".join(np.asarray(levels, dtype=object)[layout.sizes == 1])
        notes.append(f"Only means were corrected, as these batches have a single sample: {single}.")
    for why in (CONSTANT, TOO_FEW, NOT_ESTIMABLE, NO_VARIATION, NO_CONVERGENCE):
        n = int((reason == why).sum())
        if n:
            notes.append(f"{n} features were not corrected: {why}.")
    return notes


def _layout(batch: pd.Series, keep: pd.DataFrame, samples: Sequence[str] | None) -> tuple[_Layout, list[str]]:
    name = str(batch.name)
    refuse_missing(batch.to_frame(name), "batch.factors", samples)
    refuse_missing(keep, "batch.keep", samples)
    codes, levels = levels_of(batch)
    if len(levels) < 2:
        raise MixflowError(
            Problem(
                "A batch factor needs two levels at least.",
                column=name,
                value=levels[0] if levels else None,
                remedy="Take it out of batch.factors.",
            )
        )
    B = np.eye(len(levels))[codes]
    Z, names = covariate_matrix(keep)
    _refuse_confounded(B, Z, names, name)
    return _Layout(codes, np.bincount(codes), B, Z), levels


def _rank(X: Values) -> int:
    return int(np.linalg.matrix_rank(X)) if X.shape[1] else 0


def _refuse_confounded(B: Values, Z: Values, names: list[str], batch: str) -> None:
    """Raise where [B Z] is rank deficient, naming each kept column that the rest of the design contains."""
    if _rank(np.hstack([B, Z])) == B.shape[1] + Z.shape[1]:
        return
    source = np.asarray(names, dtype=object)
    problems = []
    for name in dict.fromkeys(names):
        own, others = Z[:, source == name], Z[:, source != name]
        if _rank(np.hstack([B, own])) < B.shape[1] + own.shape[1]:
            with_what = f"batch factor '{batch}'"
        elif _rank(np.hstack([B, others, own])) < _rank(np.hstack([B, others])) + own.shape[1]:
            with_what = f"batch factor '{batch}' together with the other columns of batch.keep"
        else:
            continue
        problems.append(
            Problem(
                f"Column '{name}' is confounded with {with_what}: their effects cannot be told apart.",
                column=name,
                value=batch,
                remedy=f"Take '{name}' out of batch.keep, or use batch.method: none or mixed.",
            )
        )
    raise MixflowError(problems)


def _reasons(deviations: Values, fitted: MaskedFit, layout: _Layout) -> NDArray[np.object_]:
    """Why each feature (feature,) stays out of the correction; '' where it does not."""
    observed = ~np.isnan(deviations)
    reason = np.full(len(deviations), "", dtype=object)
    for i in np.flatnonzero(layout.sizes > 1):
        block = deviations[:, layout.codes == i]
        reason[(block == block[:, [0]]).all(axis=1)] = CONSTANT
    one_and_Z = np.hstack([np.ones((len(layout.Z), 1)), layout.Z])
    n_batches = ((observed @ layout.B) > 0).sum(axis=1)
    confounded = fitted.rank - ranks(observed, one_and_Z) < n_batches - 1
    total = np.where(observed, deviations, 0.0) ** 2
    for why, where in (
        (NOT_ESTIMABLE, confounded),
        (TOO_FEW, fitted.n_obs <= fitted.rank),
        (NO_VARIATION, fitted.rss <= RESOLVED * total.sum(axis=1)),
    ):
        reason[(reason == "") & where] = why
    return reason


@dataclass(frozen=True)
class _State:
    """Standardisation: ``centre`` (feature,) grand mean, ``slopes`` (feature, q) of Z, ``sd`` (feature,)."""

    centre: Values
    slopes: Values
    sd: Values


def _standardise(
    deviations: Values, mean: Values, fitted: MaskedFit, layout: _Layout, any_missing: bool
) -> _State:
    """Grand mean, covariate effects and pooled sd of each feature.

    sva divides the residual sum of squares by n, but by n - 1 for all features once a value is missing.
    """
    n_batch = layout.B.shape[1]
    weight = np.where((~np.isnan(deviations)) @ layout.B > 0, layout.sizes, 0.0)
    centre = (weight * fitted.beta[:, :n_batch]).sum(axis=1) / weight.sum(axis=1)
    variance = fitted.rss / (fitted.n_obs - int(any_missing))
    return _State(mean + centre, fitted.beta[:, n_batch:], np.sqrt(variance))


def _moments(
    y: Values, state: _State, layout: _Layout, mean_only: bool
) -> tuple[Values, Values, NDArray[np.int64]]:
    """Mean and variance of the standardised values in each batch, and their number: all (feature, batch)."""
    s = (y - state.centre[:, None] - state.slopes @ layout.Z.T) / state.sd[:, None]
    observed = ~np.isnan(s)
    s0 = np.where(observed, s, 0.0)
    n = (observed @ layout.B).astype(np.int64)
    gamma = np.divide(s0 @ layout.B, n, out=np.full(n.shape, np.nan), where=n > 0)
    if mean_only:
        return gamma, np.ones(n.shape), n
    squares = np.where(observed, s0 - np.nan_to_num(gamma)[:, layout.codes], 0.0) ** 2 @ layout.B
    return gamma, np.divide(squares, n - 1, out=np.full(n.shape, np.nan), where=n > 1), n


def _posterior(
    gamma_hat: Values, delta_hat: Values, n: NDArray[np.int64], mean_only: bool
) -> tuple[Values, Values, Mask]:
    """Posterior gamma and delta (feature, batch) and which features converged (feature,)."""
    gamma, delta = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    converged = np.ones(len(n), dtype=bool)
    for i in range(n.shape[1]):
        has = n[:, i] > 0
        if not has.any():
            continue
        g, d, k = gamma_hat[has, i], delta_hat[has, i], n[has, i]
        gamma_bar, tau2 = g.mean(), g.var(ddof=1) if len(g) > 1 else 0.0
        if mean_only:
            gamma[has, i], delta[has, i] = (tau2 * g + gamma_bar) / (tau2 + 1), 1.0
            continue
        gamma[has, i], delta[has, i], converged[has] = _solve(g, d, k, gamma_bar, tau2, converged[has])
    return gamma, delta, converged


def _solve(
    g: Values, d: Values, n: NDArray[np.int64], gamma_bar: float, tau2: float, converged: Mask
) -> tuple[Values, Values, Mask]:
    """Alternate the two posterior means of one batch until each feature stands still (paper, section 3.1)."""
    known = d[~np.isnan(d)]
    m, s2 = (known.mean() if known.size else 1.0), (known.var(ddof=1) if known.size > 1 else 0.0)
    squares = np.where(n > 1, (n - 1) * d, 0.0)
    gamma, delta = g.copy(), np.where(np.isnan(d), m, d)
    todo = np.arange(len(g))
    for _ in range(MAX_ITERATIONS):
        k, before = n[todo], delta[todo]
        gamma[todo] = (tau2 * k * g[todo] + before * gamma_bar) / np.maximum(
            tau2 * k + before, np.finfo(float).tiny
        )
        sum2 = squares[todo] + k * (g[todo] - gamma[todo]) ** 2
        # (sum2 / 2 + b) / (n / 2 + a - 1) with a = (2 s2 + m^2) / s2 and b = (m s2 + m^3) / s2
        delta[todo] = (sum2 / 2 * s2 + m * s2 + m**3) / (k / 2 * s2 + s2 + m**2)
        todo = todo[np.abs(delta[todo] - before) > TOLERANCE * delta[todo]]
        if not todo.size:
            return gamma, delta, converged
    converged = converged.copy()
    converged[todo] = False
    return gamma, delta, converged


def _adjust(
    values: Values,
    state: _State,
    gamma: Values,
    delta: Values,
    codes: NDArray[np.int64],
    chosen: Mask,
    layout: _Layout,
) -> Values:
    """Take gamma and delta out of all samples; those outside the fit have 0 in Z, the mean."""
    Z = np.zeros((len(chosen), layout.Z.shape[1]))
    Z[chosen] = layout.Z
    stand_mean = state.centre[:, None] + state.slopes @ Z.T
    shift, scale = gamma[:, codes], np.sqrt(delta[:, codes])
    out = (values - stand_mean - shift * state.sd[:, None]) / scale + stand_mean
    return np.where(codes >= 0, out, np.nan)
