"""Which rows of an analysis come first, and how many of them the page carries.

The rule: at most `MOST_ROWS` rows of an analysis and `MOST_CELLS` cells of all analyses together travel with
the page, whatever the number of features; the first ones by p, by what the analysis is about, or by the
results of the model. Every row is in the table's file.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.report.shown import Shown

MOST_ROWS = 1000
MOST_CELLS = 150_000
LEADING = {
    "r2": "r2_marginal",
    "icc": "icc",
    "design_effect": "design_effect",
    "benchmarking": "z",
    "families": "delta",
    "residual_quantiles": "residual",
    "smooth_edf": "p_value",
}
"""The column that an analysis is about, where that is no p: largest first."""
TOGETHER = (
    "intervals",
    "smooths",
    "moderated_components",
    "partition",
    "means",
    "families",
    "residual_quantiles",
)
"""Analyses whose rows of one feature are read together."""
PARTS = ("contrast", "term", "term_2", "quantity", "smooth", "at", "level", "source", "of", "check")
"""Columns that split a table into parts; each part gives its first rows."""


def in_order(shown: Shown) -> pd.DataFrame:
    """The table with what matters first."""
    table = shown.table
    keys = _by_feature(shown) if shown.analysis in TOGETHER else _keys(shown)
    return table.iloc[np.argsort(keys, kind="stable")]


def _by_feature(shown: Shown) -> np.ndarray:
    return shown.table["feature"].map(feature_rank(shown)).to_numpy(float)


def _keys(shown: Shown) -> np.ndarray:
    """The smaller, the earlier; NaN comes last."""
    table, column = shown.table, LEADING.get(shown.analysis, "p_value")
    if column not in table or not np.isfinite(table[column].to_numpy(float)).any():
        return _by_feature(shown)
    values = table[column].to_numpy(float)
    return values if column == "p_value" else -np.abs(values)


def feature_rank(shown: Shown) -> dict[str, int]:
    """Place of each feature: by a smooth's largest t, else by its smallest p in the model's contrasts."""
    table, model = shown.table, shown.model
    if shown.analysis == "smooths" and len(table):
        size = (table["estimate"] / table["std_error"]).abs().replace(np.inf, np.nan)
        by = -size.groupby(table["feature"].to_numpy()).max()
    elif model.contrasts and model.tests is not None:
        log10_p = model.tests["log10_p"].values.astype(float)
        by = pd.Series(np.where(np.isfinite(log10_p), log10_p, np.inf).min(axis=1), model.feature_ids)
    else:
        by = pd.Series(0.0, model.feature_ids)
    order = by.sort_values(kind="stable", na_position="last").index
    return {str(feature): i for i, feature in enumerate(order)}


def first_rows(shown: Shown, most: int) -> pd.DataFrame:
    """At most ``most`` rows in order, of each part of the table equally many."""
    table = in_order(shown)
    parts = [c for c in PARTS if c in table and 1 < table[c].nunique() <= most]
    if len(table) <= most or shown.analysis in TOGETHER or not parts:
        return table.head(most)
    place = table.groupby(parts, sort=False).cumcount().to_numpy()
    chosen = np.sort(np.argsort(place, kind="stable")[:most])
    return table.iloc[chosen]


def rows_allowed(n_analyses: int, n_columns: int) -> int:
    """Rows of one of ``n_analyses`` analyses in the page."""
    return max(50, min(MOST_ROWS, MOST_CELLS // max(1, n_analyses * n_columns)))
