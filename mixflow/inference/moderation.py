"""Residual variances that borrow from all features, and the tests that follow (limma's empirical Bayes).

Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3(1):3. The residual variance of feature i, s_i^2 on d_i degrees
of freedom, is drawn towards a prior variance s0^2 worth d0 degrees of freedom, both fitted over all features:
s~^2 = (d s^2 + d0 s0^2) / (d + d0).

In a linear model every contrast's variance is v s^2 with v known: it becomes v s~^2, on d + d0 degrees of
freedom. In a mixed model the variance V of a contrast hangs on (theta, sigma), and the prior knows sigma
only. So it enters as what it is, d0 more observations of sigma. With A the covariance of (theta, sigma), g
the derivative of V, and e the direction of sigma:

    V~ = V (s~^2 / s^2)^k,  k = g'Ae sigma / (2 V e'Ae)             the regression of log V on log sigma^2
    df~ = df g'Ag / g'A~g,  A~ = (A^-1 + 2 d0 / sigma^2 e e')^-1    Satterthwaite, sigma known better

Without random effects this is limma to the last digit, and nearly so for comparisons within groups; one
between the groups of a balanced design (k = 0) rests on the mean square between them, of which sigma says
nothing, and stays as it is. ``rule="dream"`` instead scales every variance by s~^2 / s^2 and adds d0 to the
degrees of freedom whatever they rest on, as variancePartition does (Hoffman and Roussos 2021, Bioinformatics
37:192). docs/calibration.md compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.robust_prior import fit_prior_robust
from mixflow.inference.tails import log10_p, p_value
from mixflow.inference.tests import test
from mixflow.inference.theta_prior import fit_prior_likelihood
from mixflow.inference.variance_prior import fit_prior
from mixflow.model import Fit

RULES = ("information", "dream")
Arrays = dict[str, np.ndarray]


class Squeezed(NamedTuple):
    """Prior degrees of freedom and variance, and the posterior variance of each feature. (N,)."""

    df_prior: np.ndarray
    s2_prior: np.ndarray
    s2_post: np.ndarray


def squeeze(
    variance: np.ndarray,
    df: np.ndarray,
    covariate: np.ndarray | None = None,
    robust: bool = False,
    likelihood: bool = False,
) -> Squeezed:
    """limma's ``squeezeVar``: variances (N,) with ``df`` (N,) drawn towards the prior that they fit together.

    ``covariate`` (N,): trend of the prior variance; ``robust``: outliers are drawn less; ``likelihood``: the
    prior is fitted by maximum likelihood instead of moments, which is better where df are very unequal. A
    feature with NaN stays NaN; one without df is its prior. With fewer than two features nothing is known: no
    prior, df 0. Raises MixflowError for robust and likelihood together.
    """
    if robust and likelihood:
        remedy = "Choose robust or likelihood."
        raise MixflowError(
            Problem("The robust prior is fitted by moments", column="likelihood", remedy=remedy)
        )
    variance = np.where(df == 0, 0.0, variance)
    fitted = fit_prior_robust if robust else fit_prior_likelihood if likelihood else fit_prior
    prior = fitted(variance, df, covariate)
    known = np.isfinite(variance) & np.isfinite(df)
    if np.isnan(prior.df).all():
        return Squeezed(np.where(known, 0.0, np.nan), prior.variance, variance)
    finite = np.isfinite(prior.df)
    d0 = np.where(finite, prior.df, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (df * variance + d0 * prior.variance) / (df + d0)
    post = np.where(finite, mean, prior.variance)
    return Squeezed(*(np.where(known, a, np.nan) for a in (prior.df, prior.variance, post)))


def residual_df(fit: Fit) -> np.ndarray:
    """Degrees of freedom on which sigma^2 rests: 2 sigma^4 / Var(sigma^2), Satterthwaite's for sigma^2. (N,).

    n - p without random effects or where their variances are zero; n - groups in a one-way layout.
    """
    error = fit.par_cov[:, -1, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > 0, fit.sigma**2 / (2 * error), np.nan)


def not_known(fit: Fit) -> None:
    """Raise where residual variances are known: none is estimated, so none can be moderated."""
    if fit.sigma_known:
        remedy = "Leave out the moderation: a residual variance that is known has nothing to borrow."
        message = "No feature has an estimated residual variance"
        raise MixflowError(Problem(message, column="variances", remedy=remedy))


def moderated(
    fit: Fit,
    contrasts: Sequence[Contrast],
    *,
    df: str = "satterthwaite",
    design: Design | None = None,
    covariate: np.ndarray | None = None,
    robust: bool = False,
    likelihood: bool = False,
    rule: str = "information",
    rdf: np.ndarray | None = None,
    level: float = 0.95,
    saturated: Fit | None = None,
) -> dict[str, Any]:
    """Moderated tests: arrays as `tests.test` names them, and (N,) ``s2, rdf, df_prior, s2_prior,
    s2_post``; ``plain`` holds the unmoderated tests.

    ``df``, ``design``: method of the unmoderated degrees of freedom, as in `test`; ``covariate`` (N,): trend
    of the prior variance, as the mean of each feature; ``rule``: how the prior enters the degrees of freedom
    (see the module); ``rdf`` (N,): residual degrees of freedom, by default `residual_df`; ``saturated``: the
    fit with features of no residual degrees of freedom (`saturated.filled`), whose variance is the prior's, as
    limma has it. Raises MixflowError for a wrong rule, and where residual variances are known.
    """
    if rule not in RULES:
        raise MixflowError(Problem("There is no such rule", value=rule, remedy=f"Use {' or '.join(RULES)}."))
    not_known(fit)
    plain = test(fit, contrasts, level=level, df=df, design=design)
    saturated = fit if saturated is None else saturated
    without = saturated.fitted & ~fit.fitted
    rdf = np.where(without, 0.0, residual_df(fit) if rdf is None else rdf)
    found = squeeze(fit.sigma**2, rdf, covariate, robust, likelihood)
    pooled = float(np.nansum(rdf))
    out = {"s2": fit.sigma**2, "rdf": rdf, **found._asdict()}
    known = without & (found.df_prior > 0)  # else nothing is known of their variance
    own = test(saturated, contrasts, level=level, df=df, design=design) if known.any() else plain
    base = {name: _chosen(known, own[name], plain[name]) for name in plain if name != "matrix"}
    for kind, finish, name in (("t", _t, "df"), ("F", _f, "f_df2")):
        chosen = [c for c in contrasts if c.kind == kind]
        if not chosen and kind == "F":
            continue
        changes = [change(fit, c, plain[name][:, i], found, rule) for i, c in enumerate(chosen)]
        scale, total = (_columns([c[k] for c in changes], len(rdf)) for k in (0, 1))
        scale = _chosen(known, np.broadcast_to(found.s2_post[:, None], scale.shape), scale)
        prior_df = np.where(np.isnan(base[name]), np.nan, found.df_prior[:, None])
        total = _chosen(known, prior_df, total)
        out |= finish(base, np.minimum(total, pooled), scale, level)
    return out | {"plain": plain}


def _chosen(which: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rows of ``one`` where ``which`` (N,), else of ``other``. (N, contrasts)."""
    return np.where(which.reshape(-1, *np.ones(other.ndim - 1, dtype=int)), one, other)


def _columns(columns: list[np.ndarray], n: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.zeros((n, 0))


def change(
    fit: Fit, contrast: Contrast, df: np.ndarray, prior: Squeezed, rule: str
) -> tuple[np.ndarray, np.ndarray]:
    """What a contrast's variance is multiplied with, and its degrees of freedom from then on. (N,), (N,).

    Of several rows: the (geometric) mean over the directions in which they are uncorrelated.
    """
    ratio = np.log(prior.s2_post / fit.sigma**2)
    if rule == "dream":
        return np.exp(ratio), df + prior.df_prior
    cov = np.einsum("ri,nij,sj->nrs", contrast.L, fit.beta_cov, contrast.L)
    fine = np.isfinite(cov).all(axis=(1, 2))
    _, vectors = np.linalg.eigh(np.where(fine[:, None, None], cov, 0.0))
    rows = np.einsum("nrk,ri->nki", vectors, contrast.L)
    found = [hangs_on_sigma(fit, rows[:, k], prior.df_prior) for k in range(rows.shape[1])]
    power, gain = (np.mean([f[k] for f in found], axis=0) for k in (0, 1))
    return np.exp(power * ratio), df * gain


def hangs_on_sigma(fit: Fit, rows: np.ndarray, df_prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of contrasts ``rows`` (N, p): k, and the factor df~ / df of the module's equations. (N,), (N,)."""
    variance = np.einsum("ni,nij,nj->n", rows, fit.beta_cov, rows)
    gradient = np.einsum("nqij,ni,nj->nq", fit.beta_cov_deriv, rows, rows)
    spread = np.einsum("nq,nqr,nr->n", gradient, fit.par_cov, gradient)
    through = np.einsum("nq,nq->n", gradient, fit.par_cov[:, :, -1])
    own = fit.par_cov[:, -1, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = through**2 / (fit.sigma**2 / (2 * df_prior) + own)
        gain = np.where(df_prior > 0, spread / np.maximum(spread - known, 0.0), 1.0)
        return through * fit.sigma / (2 * variance * own), gain


def _t(plain: Arrays, df: np.ndarray, scale: np.ndarray, level: float) -> Arrays:
    se = plain["std_error"] * np.sqrt(scale)
    statistic = plain["estimate"] / se
    half = special.stdtrit(df, 0.5 + level / 2) * se
    p = p_value(statistic, df)
    return {
        "estimate": plain["estimate"],
        "std_error": se,
        "df": df,
        "statistic": statistic,
        "p_value": p,
        "log10_p": log10_p(statistic, df),
        "q_value": _columns([benjamini_hochberg(column) for column in p.T], len(p)),
        "conf_low": plain["estimate"] - half,
        "conf_high": plain["estimate"] + half,
        "status": plain["status"],
    }


def _f(plain: Arrays, df2: np.ndarray, scale: np.ndarray, _level: float) -> Arrays:
    statistic = plain["f_statistic"] / scale
    p = special.fdtrc(plain["f_df1"], df2, statistic)
    return {
        "f_statistic": statistic,
        "f_df1": plain["f_df1"],
        "f_df2": df2,
        "f_p_value": p,
        "f_q_value": _columns([benjamini_hochberg(column) for column in p.T], len(p)),
        "f_status": plain["f_status"],
    }
