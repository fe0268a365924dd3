"""What missing values can tell: features seen in one group only, and intensity against missingness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from mixflow.preprocess.scales import Mask, Values
from mixflow.slices import Matrix, blocks

ABSENT_AT_ZERO = frozenset({"intensity", "count", "proportion"})
COLUMNS = ("feature", "factor", "level", "n_observed", "n_level", "n_other", "p_value")
ORDER, UP = ["p_value", "n_observed", "feature"], [True, False, True]
TIES = 1 + 1e-7
"""Tables as probable as the one seen belong to its tail; the margin is that of R's fisher.test."""


def seen(values: Values, scale: str) -> Mask:
    """Where a feature was seen (feature, sample): not missing and, where 0 means absent, above 0."""
    return values > 0 if scale in ABSENT_AT_ZERO else ~np.isnan(values)


def fisher_exact(
    n_observed: NDArray[np.int64], n_level: NDArray[np.int64], n_other: NDArray[np.int64]
) -> Values:
    """Two-sided p of the table [[n_observed, n_level - n_observed], [0, n_other]], all arguments (row,).

    The sum of the hypergeometric probabilities that do not exceed that of the table (R's fisher.test).
    """
    tables, where = np.unique(np.stack([n_observed, n_level, n_other], axis=1), axis=0, return_inverse=True)
    observed, level, other = (tables[:, [i]] for i in range(3))
    support = np.arange(observed.max(initial=0) + 1)[None, :]
    probability = hypergeom.pmf(support, level + other, level, observed)
    at = hypergeom.pmf(observed, level + other, level, observed)
    p = np.where(probability <= at * TIES, probability, 0.0).sum(axis=1)
    return np.minimum(p, 1.0)[where.ravel()]


def _counts(values: Matrix, scale: str, chosen: Mask, codes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """In how many samples of each of ``n`` levels a feature was seen (feature, level), block by block."""
    known = codes >= 0
    levels = np.eye(n, dtype=np.int64)[codes[known]]
    parts = [
        seen(values[part], scale)[:, chosen][:, known].astype(np.int64) @ levels
        for part in blocks(len(values), values.shape[1])
    ]
    return np.concatenate(parts)


def _one_factor(values: Matrix, scale: str, chosen: Mask, labels: pd.Series, name: str) -> pd.DataFrame:
    codes, levels = pd.factorize(labels, sort=True)
    known = codes >= 0
    sizes = np.bincount(codes[known], minlength=len(levels))
    counts = _counts(values, scale, chosen, codes, len(levels))
    rows = np.flatnonzero((counts > 0).sum(axis=1) == 1) if len(levels) > 1 else np.empty(0, dtype=np.int64)
    level = counts[rows].argmax(axis=1) if len(rows) else rows
    n_observed, n_level = counts[rows, level], sizes[level]
    n_other = known.sum() - n_level
    return pd.DataFrame(
        {
            "feature": rows,
            "factor": np.full(len(rows), name, dtype=object),
            "level": np.asarray(levels, dtype=object)[level] if len(rows) else np.empty(0, dtype=object),
            "n_observed": n_observed,
            "n_level": n_level,
            "n_other": n_other,
            "p_value": fisher_exact(n_observed, n_level, n_other) if len(rows) else np.empty(0),
        },
        columns=list(COLUMNS),
    )


def repeats(units: pd.Series) -> bool:
    """Whether a unit has more than one of these samples; samples without a unit stand alone."""
    return bool(units.dropna().duplicated().any())


def one_group(
    values: Matrix,
    scale: str,
    factors: pd.DataFrame,
    is_sample: Mask | None = None,
    names: Sequence[str] | None = None,
    units: pd.Series | None = None,
) -> pd.DataFrame:
    """Features seen in a single level of a factor.

    ``values`` (feature, sample) as read (an array, or read by slices), ``factors`` one column for each factor
    (rows = samples). Returns a
    frame with the columns ``feature`` (row index), ``factor, level, n_observed, n_level, n_other, p_value``,
    one row for each such feature and factor, ordered by factor, then p, then most observed; with ``names``
    (ids of all features) ``feature_id`` too. Where ``units`` (rows = samples) repeat among the samples
    counted, p is NaN: Fisher's test takes samples as independent, and those of one unit are not.
    """
    chosen = np.ones(values.shape[1], dtype=bool) if is_sample is None else np.asarray(is_sample, dtype=bool)
    columns = {str(name): pd.Series(factors[name][chosen]) for name in factors.columns}
    tables = [_one_factor(values, scale, chosen, labels, name) for name, labels in columns.items()]
    if units is not None and repeats(units[chosen]):
        tables = [table.assign(p_value=np.nan) for table in tables]
    tables = [table.sort_values(ORDER, ascending=UP, kind="stable") for table in tables if len(table)]
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    found = found.astype(
        {
            "feature": np.int64,
            "n_observed": np.int64,
            "n_level": np.int64,
            "n_other": np.int64,
            "p_value": float,
        }
    )
    if names is not None:
        found.insert(0, "feature_id", np.asarray(names, dtype=object)[found["feature"].to_numpy()])
    return found


def missingness(values: Values, is_sample: Mask | None = None) -> tuple[Values, Values]:
    """Mean of the observed values (NaN where none is) and fraction of missing ones, each (feature,)."""
    chosen = values if is_sample is None else values[:, is_sample]
    observed = ~np.isnan(chosen)
    count = observed.sum(axis=1)
    mean = np.divide(
        np.where(observed, chosen, 0.0).sum(axis=1), count, out=np.full(len(chosen), np.nan), where=count > 0
    )
    return mean, 1.0 - count / max(chosen.shape[1], 1)
