"""Estimated marginal means of every feature and their contrasts, as tidy tables: from a stored fit alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design import Design
from mixflow.inference import mean_contrasts
from mixflow.inference.contrasts import Contrast
from mixflow.inference.means import Means, a_factor, means
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "name": "level, combination of levels, or contrast",
    "estimate": "mean, or contrast of means (unit of the feature)",
    "std_error": "its standard error",
    "df": "degrees of freedom",
    "statistic": "t",
    "p_value": "two-sided p; for a contrast adjusted within the feature where asked",
    "q_value": "Benjamini-Hochberg over features",
    "conf_low": "lower limit",
    "conf_high": "upper limit",
    "status": "status of the test",
}


def tested_means(fit: Fit, design: Design, cells: Means, df: str, level: float = 0.95) -> pd.DataFrame:
    """A row for each feature and cell of the means."""
    return _table(fit, design, cells.names, cells.L, df, level, "none", len(cells.names))


def tested_contrasts(
    fit: Fit,
    design: Design,
    factors: str | Sequence[str],
    method: str | Sequence[str],
    *,
    at: Mapping[str, Any] | None = None,
    adjust: str = "none",
    df: str = "satterthwaite",
    level: float = 0.95,
) -> pd.DataFrame:
    """Contrasts of means in emmeans' words: pairwise, revpairwise, trt.vs.ctrl, consec, eff, poly.

    ``factors``: one or several; ``method``: one word for all their combinations, or a word for each factor,
    which gives interaction contrasts. ``adjust``: p within a feature (`mean_contrasts.ADJUST`); limits are
    not adjusted. Lenth (2016), J. Stat. Softw. 69(1).
    """
    cells = means(design, factors, at)
    if isinstance(method, str):
        names, weights = mean_contrasts.weights(method, cells.names)
    else:
        fixed = at or {}
        levels = [(str(fixed[f]),) if f in fixed else a_factor(design, f).levels for f in cells.factors]
        names, weights = mean_contrasts.interaction(list(method), levels)
    return _table(fit, design, names, weights @ cells.L, df, level, adjust, len(cells.names))


def _table(
    fit: Fit,
    design: Design,
    names: Sequence[str],
    rows: np.ndarray,
    df: str,
    level: float,
    adjust: str,
    n_means: int,
) -> pd.DataFrame:
    every = np.ones(len(design.X), dtype=bool)
    asked = [Contrast(n, r[None, :], "t", n, None, (), every) for n, r in zip(names, rows, strict=True)]
    found = test(fit, asked, df=df, design=design, level=level)
    p = mean_contrasts.adjusted(found["p_value"], found["statistic"], found["df"], adjust, n_means)
    size, count = p.shape
    numbers = ("estimate", "std_error", "df", "statistic")
    return pd.DataFrame(
        {
            "feature": np.repeat(np.asarray(fit.feature_ids, dtype=object), count),
            "name": np.tile(np.array(names, dtype=object), size),
            **{name: found[name].ravel() for name in numbers},
            "p_value": p.ravel(),
            **{name: found[name].ravel() for name in ("q_value", "conf_low", "conf_high")},
            "status": [MEANING[Status(s)].label for s in found["status"].ravel()],
        }
    )
