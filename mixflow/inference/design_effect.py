"""Design effect and effective sample size of grouped samples, for each feature's own rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.design.observed import times
from mixflow.inference.components import components, place
from mixflow.inference.icc import share
from mixflow.inference.refit import Fitted
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "group": "grouping factor",
    "n_levels": "levels of the group in which the feature was observed",
    "n_obs": "observed values",
    "mean_size": "mean number of values of a level",
    "effective_size": "Kish's size: sum of squared sizes over sum of sizes; above the mean where sizes differ",
    "icc": "share of the variance that lies between levels",
    "design_effect": "how many times more values are needed than of independent ones: 1 + (size - 1) icc",
    "effective_n": "independent values that the observed ones are worth for the overall mean: n_obs / design effect",
    "status": "how the fit ended",
}


def design_effect(fitted: Fitted, group: str) -> pd.DataFrame:
    """One row a feature (see `COLUMNS`); Kish (1965, Survey Sampling; unequal sizes: Kish 1987, section 2.6).

    The correlation has all variances of the model in its denominator. Raises for unknown groups and slopes.
    """
    found = components(fitted)
    value, _ = share(found, place(found, "group", group))
    sizes = level_sizes(fitted, group)
    count = sizes.sum(axis=1)
    some = np.where(count > 0, count, np.nan)
    levels, kish = (sizes > 0).sum(axis=1), (sizes**2).sum(axis=1) / some
    effect = 1 + (kish - 1) * np.where(fitted.fit.fitted, value, np.nan)
    numbers = {
        "n_levels": levels,
        "n_obs": count.astype(int),
        "mean_size": some / np.where(levels > 0, levels, np.nan),
        "effective_size": kish,
        "icc": np.where(fitted.fit.fitted, value, np.nan),
        "design_effect": effect,
        "effective_n": some / effect,
        "status": [MEANING[Status(s)].label for s in fitted.fit.status],
    }
    return pd.DataFrame({"feature": fitted.fit.feature_ids, "group": group} | numbers)


def level_sizes(fitted: Fitted, group: str) -> np.ndarray:
    """Observed values of each level of a group. (N, levels)."""
    (term, *_) = (term for term in fitted.design.random if term.group == group)
    marks = np.equal.outer(np.asarray(term.index), np.arange(len(term.levels))).astype(float)
    return times(fitted.observed.astype(float), marks)
