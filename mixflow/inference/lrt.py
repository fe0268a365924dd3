"""Likelihood-ratio tests of nested models, feature by feature, with the boundary mixture for a variance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from mixflow.errors import MixflowError, Problem
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.nested import Nesting, nesting
from mixflow.inference.refit import Fitted
from mixflow.model import Fit
from mixflow.status import FITTED, MEANING, Status

ZERO = 1e-7
"""A statistic below this is zero: both models have reached the same fit."""

COLUMNS = {
    "feature": "feature",
    "null": "the simpler model",
    "full": "the model it is compared with",
    "fitted_by": "REML where the fixed parts are the same, else ML (both models fitted again)",
    "n_obs": "observed values",
    "statistic": "twice the difference of the log-likelihoods",
    "df": "difference in the number of parameters",
    "p_plain": "p by chi-squared with df degrees of freedom",
    "p_value": "p by the mixture of chi-squared (df - 1 and df) where one variance is tested, else p_plain",
    "q_value": "Benjamini-Hochberg over the features of p_value",
    "null_loglik": "log-likelihood of the simpler model",
    "full_loglik": "log-likelihood of the other model",
    "null_aic": "Akaike's criterion of the simpler model",
    "full_aic": "Akaike's criterion of the other model",
    "null_bic": "Schwarz's criterion of the simpler model",
    "full_bic": "Schwarz's criterion of the other model",
    "status": "how the comparison ended",
}


def compare(one: Fitted, other: Fitted) -> pd.DataFrame:
    """Likelihood-ratio test of two nested fits of the same values, one row a feature (see `COLUMNS`).

    Fits by REML are kept where only the random part differs, else both are fitted again by ML (restricted
    likelihoods of different fixed parts cannot be compared; lme4's `anova`). Where one variance is tested
    its null value lies on the boundary, and the statistic is distributed as an equal mixture of chi-squared
    with df - 1 and df degrees of freedom (Self and Liang 1987, J. Am. Stat. Assoc. 82:605; Stram and Lee
    1994, Biometrics 50:1171). Where several are tested p_plain is kept, which is conservative.
    Raises MixflowError where the models are not nested, or not fitted to the same values.
    """
    null, full = _ordered(one, other)
    _require_same_values(null, full)
    how = nesting(null.design, full.design)
    reml = null.fit.reml and full.fit.reml and how.same_fixed
    null, full = (m if m.fit.reml == reml else m.refit(reml=reml) for m in (null, full))
    return table(null.fit, full.fit, how)


def table(null: Fit, full: Fit, how: Nesting) -> pd.DataFrame:
    """The comparison of two fits by the same criterion whose nesting is known."""
    df = (full.n_parameters - null.n_parameters).astype(float)
    statistic = 2 * (full.loglik - null.loglik)
    status = np.where(null.fitted & full.fitted, full.status, np.where(full.fitted, null.status, full.status))
    good = null.fitted & full.fitted
    status[good & (df <= 0)] = Status.NOT_ESTIMABLE
    status[good & (statistic < -1e-4)] = Status.NO_CONVERGENCE
    good = np.isin(status, [int(s) for s in FITTED - {Status.PENALISED}])
    statistic = np.where(good, np.where(statistic < ZERO, 0.0, statistic), np.nan)
    df = np.where(good, df, np.nan)
    plain = chdtrc(df, statistic)
    p = mixture(statistic, df) if how.boundary else plain
    criteria = {
        f"{name}_{kind}": np.where(good, getattr(fit, kind), np.nan)
        for kind in ("loglik", "aic", "bic")
        for name, fit in (("null", null), ("full", full))
    }
    return pd.DataFrame(
        {
            "feature": full.feature_ids,
            "null": null.formula,
            "full": full.formula,
            "fitted_by": "REML" if full.reml else "ML",
            "n_obs": full.n_obs,
            "statistic": statistic,
            "df": df,
            "p_plain": plain,
            "p_value": p,
            "q_value": benjamini_hochberg(p),
            **criteria,
            "status": [MEANING[Status(s)].label for s in status],
        }
    )


def mixture(statistic: np.ndarray, df: np.ndarray) -> np.ndarray:
    """P(0.5 chi2_(df - 1) + 0.5 chi2_df >= statistic); chi2_0 is the constant zero."""
    below = np.where(df > 1, chdtrc(np.maximum(df - 1, 1), statistic), np.where(statistic > 0, 0.0, 1.0))
    return np.where(np.isnan(statistic), np.nan, 0.5 * below + 0.5 * chdtrc(df, statistic))


def _ordered(one: Fitted, other: Fitted) -> tuple[Fitted, Fitted]:
    """The simpler model first."""
    sizes = [(m.design.rank, m.fit.theta.shape[1]) for m in (one, other)]
    if sum(sizes[0]) == sum(sizes[1]):
        message = "Both models have the same number of parameters: neither is nested in the other"
        remedy = "Compare their AIC or BIC."
        value = (one.fit.formula, other.fit.formula)
        raise MixflowError(Problem(message, value=value, remedy=remedy))
    return (one, other) if sum(sizes[0]) < sum(sizes[1]) else (other, one)


def _require_same_values(null: Fitted, full: Fitted) -> None:
    same = list(null.fit.feature_ids) == list(full.fit.feature_ids)
    if not same:
        raise MixflowError(
            Problem("The fits are not of the same features", remedy="Fit both to the same data.")
        )
    if len(null.design.labels) != len(full.design.labels):
        return  # told by `nesting`, with the rows
    if not np.array_equal(null.values, full.values, equal_nan=True):
        raise MixflowError(
            Problem("The fits are not of the same values", remedy="Fit both to the same data.")
        )
    n = np.ones(len(null.design.labels))
    a, b = (n if m.recipe.weights is None else m.recipe.weights for m in (null, full))
    if np.shape(a + n) != np.shape(b + n) or (a + n != b + n).any():
        raise MixflowError(Problem("The fits have different weights", remedy="Use the same weights in both."))
