"""R2 and intraclass correlation of generalised mixed models on the latent (link) scale.

Nakagawa, Johnson and Schielzeth (2017, J. R. Soc. Interface 14:20170213): the observation-level variance is that
of the link's distribution for yes/no outcomes (pi^2 / 3, 1, pi^2 / 6), and for counts with a log link
log(1 + V / lambda^2), V the family's variance at the mean lambda. As R's performance::r2_nakagawa for yes/no
outcomes; for counts that takes lambda = exp(intercept) of a fitted null model, here it is the mean over the
feature's rows of exp(fixed part + offset + half the random variance), which needs no other fit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.family import Family
from mixflow.family.binomial import Binomial
from mixflow.family.nbinom import NegativeBinomial1, NegativeBinomial2
from mixflow.family.poisson import Poisson
from mixflow.inference.family_rows import family_rows, fixed_predictors, random_variance
from mixflow.inference.generalised import FittedFamily
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "r2_marginal": "share of the latent variance that the fixed effects explain",
    "r2_conditional": "share that fixed and random effects explain together",
    "icc": "intraclass correlation on the latent scale: random variance over random and observation-level variance",
    "var_fixed": "variance of the fixed part over the feature's rows (squared unit of the link)",
    "var_random": "mean variance of the random part over the feature's rows (squared unit of the link)",
    "var_residual": "observation-level variance on the link scale",
    "status": "how the fit ended; empty numbers where the family and link have no such variance",
}
LATENT = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}
"""Variance of the distribution that gives the link its name."""


def r2(outcome: FittedFamily) -> pd.DataFrame:
    """R2 and ICC of every feature, one row each (see `COLUMNS`); the offset is left out of the fixed part."""
    fit, rows = outcome.fit, family_rows(outcome)
    seen = outcome.observed.astype(float)
    count = np.maximum(seen.sum(axis=1), 1.0)
    line = np.nan_to_num(fixed_predictors(outcome, rows))
    own = line[:, :, 0] - rows.offset[0]
    centred = seen * (own - ((seen * own).sum(axis=1) / count)[:, None])
    fixed = (centred**2).sum(axis=1) / np.maximum(count - 1, 1.0)
    variance = np.nan_to_num(random_variance(outcome, rows)[0][:, :, 0])
    random = (seen * variance).sum(axis=1) / count
    with np.errstate(over="ignore"):
        mean = (seen * np.exp(line[:, :, 0] + 0.5 * variance)).sum(axis=1) / count
        phi = np.exp((seen[:, :, None] * line).sum(axis=1) / count[:, None])
    rest = observation_variance(outcome.family, mean, phi[:, -1])
    total = fixed + random + rest
    with np.errstate(invalid="ignore", divide="ignore"):
        numbers = {
            "r2_marginal": fixed / total,
            "r2_conditional": (fixed + random) / total,
            "icc": random / (random + rest),
            "var_fixed": fixed,
            "var_random": random,
            "var_residual": rest,
        }
    held = {name: np.where(fit.fitted, value, np.nan) for name, value in numbers.items()}
    status = [MEANING[Status(s)].label for s in fit.status]
    return pd.DataFrame({"feature": fit.feature_ids, **held, "status": status})


def observation_variance(family: Family, mean: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Variance of one observation on the link scale at a mean and a dispersion (N,); NaN where it has no name."""
    link = family.predictors[0].link.name
    if isinstance(family, Binomial):
        return np.full(len(mean), LATENT[link])
    if link == "log" and isinstance(family, Poisson):
        return np.log1p(1 / mean)
    if link == "log" and isinstance(family, NegativeBinomial2):
        return np.log1p(1 / mean + 1 / phi)
    if link == "log" and isinstance(family, NegativeBinomial1):
        return np.log1p((1 + phi) / mean)
    return np.full(len(mean), np.nan)
