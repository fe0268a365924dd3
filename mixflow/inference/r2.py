"""Marginal and conditional R2 of mixed models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.design.layout import Layout
from mixflow.design.observed import times
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import effect_columns, fixed_part, mean_residual
from mixflow.optimise.prepare import prepare
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "r2_marginal": "share of the variance that the fixed effects explain",
    "r2_conditional": "share that fixed and random effects explain together",
    "var_fixed": "variance of the fixed part over the feature's rows (squared unit of the feature)",
    "var_random": "mean variance of the random part over the feature's rows (squared unit)",
    "var_residual": "mean residual variance over the feature's rows (squared unit; of a row of weight 1, or as known)",
    "status": "how the fit ended",
}


def r2(fitted: Fitted) -> pd.DataFrame:
    """R2 of every feature, over its own rows, one row a feature (see `COLUMNS`).

    Nakagawa and Schielzeth (2013), Methods Ecol. Evol. 4:133: var_fixed is the sample variance of X beta
    (offset left out); Johnson (2014), Methods Ecol. Evol. 5:944: var_random is the mean of z' Sigma z, so
    that random slopes count with the rows' own columns. As R's `performance::r2_nakagawa`.
    """
    fit = fitted.fit
    seen = fitted.observed.astype(float)
    count = np.maximum(seen.sum(axis=1), 1.0)
    line = fixed_part(fit, fitted.design) - fitted.design.offset
    centred = seen * (line - ((seen * line).sum(axis=1) / count)[:, None])
    fixed = (centred**2).sum(axis=1) / np.maximum(count - 1, 1.0)
    layout = prepare(fitted.design, fit.reml).layout
    random = random_variance(fitted, layout, seen) / count
    residual = mean_residual(fitted, layout)
    total = fixed + random + residual
    numbers = {
        "r2_marginal": fixed / total,
        "r2_conditional": (fixed + random) / total,
        "var_fixed": fixed,
        "var_random": random,
        "var_residual": residual,
    }
    table = pd.DataFrame(
        {"feature": fit.feature_ids} | {k: np.where(fit.fitted, v, np.nan) for k, v in numbers.items()}
    )
    return table.assign(status=[MEANING[Status(s)].label for s in fit.status])


def random_variance(fitted: Fitted, layout: Layout, seen: np.ndarray) -> np.ndarray:
    """Sum over a feature's rows of the variance of the random part, z' Sigma z. (N,)."""
    total = np.zeros(len(fitted.fit.status))
    for part in random_variances(fitted, layout, seen):
        total += part
    return total


def random_variances(fitted: Fitted, layout: Layout, seen: np.ndarray) -> list[np.ndarray]:
    """The same (N,) of each random effect, in the order of theta."""
    fit = fitted.fit
    theta, found = np.nan_to_num(fit.theta), []
    for group, _, columns in effect_columns(fitted.design, layout):
        first = 0
        for effect, part in [(effect, part) for own, effect, part in layout.slices if own is group]:
            z = columns[:, first : first + effect.size]
            first += effect.size
            moments = times(seen, (z[:, :, None] * z[:, None, :]).reshape(len(z), -1))
            matrix = effect.matrix(theta[:, part]).reshape(len(theta), effect.size**2)
            found.append((matrix * moments).sum(axis=1) * fit.sigma**2)
    return found
