"""Columns of an analysis's table as a reader sees them: labels, kinds, limits as one interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

LABELS = {
    "name": "Feature",
    "feature": "Id",
    "std_error": "SE",
    "conf_low": "lower limit",
    "conf_high": "upper limit",
    "p_value": "p",
    "q_value": "q",
    "p_plain": "p (plain)",
    "p_curved": "p (curved)",
    "q_curved": "q (curved)",
    "df_num": "df (numerator)",
    "n_obs": "n",
    "r2_marginal": "R² marginal",
    "r2_conditional": "R² conditional",
    "icc": "ICC",
    "s2": "s²",
    "s2_prior": "s² prior",
    "s2_post": "s² moderated",
    "full_loglik": "log-likelihood",
    "null_loglik": "log-likelihood (simpler)",
    "full_aic": "AIC",
    "null_aic": "AIC (simpler)",
    "full_bic": "BIC",
    "null_bic": "BIC (simpler)",
    "std_dev": "SD",
    "term_2": "second term",
    "of": "mean or contrast",
}
ALWAYS = ("feature", "name", "status")
INTERVALS = (("conf_low", "conf_high"),)


@dataclass(frozen=True)
class Shape:
    """A column: ``kind`` is text, yes, whole, number, p or interval (whose upper end is the column ``high``)."""

    key: str
    label: str
    meaning: str
    kind: str
    high: str = ""

    @property
    def is_text(self) -> bool:
        return self.kind in ("text", "yes")

    def facts(self) -> dict[str, Any]:
        return asdict(self) | {"text": self.is_text}


def label(column: str) -> str:
    """What stands above a column: its name in words."""
    if column.startswith("plain_"):
        return f"{LABELS.get(column[6:], column[6:].replace('_', ' '))} (alone)"
    return LABELS.get(column, column.replace("_", " "))


def shapes(table: pd.DataFrame, meanings: dict[str, str], level: float) -> list[Shape]:
    """The columns that differ from row to row, limits joined, `name` first."""
    found: list[Shape] = []
    ends = {high: low for low, high in INTERVALS if low in table and high in table}
    for column in [c for c in ("name", *table.columns) if c in table]:
        if any(s.key == column for s in found) or column in ends or _hidden(table, column):
            continue
        high = next((h for h, low in ends.items() if low == column), "")
        if high:
            told = f"{meanings.get(column, '')}; {meanings.get(high, '')}"
            found.append(Shape(column, f"{100 * level:.3g} % interval", told, "interval", high))
        else:
            found.append(Shape(column, label(column), meanings.get(column, ""), kind(table[column], column)))
    return found


def constants(table: pd.DataFrame) -> list[tuple[str, Any, str]]:
    """Columns with one value in all rows: label, value, kind. Columns without any value are left out."""
    found = []
    for column in table.columns:
        if column in ALWAYS or not _hidden(table, column):
            continue
        value = table[column].iloc[0]
        if value == value and value != "":
            found.append((label(column), value, kind(table[column], column)))
    return found


def kind(values: pd.Series, column: str) -> str:
    """How the values of a column are written."""
    if values.dtype.kind == "b":
        return "yes"
    if values.dtype.kind not in "fiu":
        return "text"
    if column.startswith(("p_", "q_")) or column.endswith(("_p_value", "_q_value")):
        return "p"
    finite = values[np.isfinite(values.astype(float))]
    return (
        "whole" if len(finite) and (finite == finite.round()).all() and finite.abs().max() < 1e9 else "number"
    )


def _hidden(table: pd.DataFrame, column: str) -> bool:
    """Whether a column says nothing row by row: one value everywhere, or ids that are the names."""
    if column == "feature":
        return "name" in table and bool((table["feature"] == table["name"]).all())
    if column in ALWAYS:
        return False
    return len(table) > 1 and table[column].nunique(dropna=False) == 1


def packed(table: pd.DataFrame, columns: list[Shape]) -> dict[str, list[Any]]:
    """Values for the page's script: four digits, None for what is missing."""
    wanted = dict.fromkeys(["feature", "name", *(k for s in columns for k in (s.key, s.high) if k)])
    return {key: [_plain(value) for value in table[key].tolist()] for key in wanted if key in table}


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, str)) or value is None:
        return value
    if value != value:
        return None
    if abs(value) == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, int) else float(f"{value:.4g}")
