"""Filters of features; each says which features it dropped, and counts only samples with role `sample`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.scales import Mask, Values

COLUMN = "preprocess.filters"
CONSTANT = 1e-12
"""A feature whose range is below this part of its largest value does not vary."""
ABUNDANCE_SCALES = frozenset({"intensity", "count", "proportion"})
KNOWN = ("min_observed", "min_observed_by", "min_abundance", "min_prevalence", "near_zero_variance")
"""Besides these `min_precursors` and `min_runs`, which count within a protein (mixflow.preprocess.rollup)."""


@dataclass(frozen=True)
class Filtered:
    """``kept`` (feature,) bool; ``dropped_by`` (feature,) the first filter that dropped it, '' where kept."""

    kept: Mask
    dropped_by: NDArray[np.object_]

    @property
    def counts(self) -> dict[str, int]:
        """How many features each filter dropped."""
        names, numbers = np.unique(self.dropped_by[~self.kept].astype(str), return_counts=True)
        return dict(zip(names.tolist(), numbers.tolist(), strict=True))


@dataclass(frozen=True)
class _Table:
    """What the filters look at, samples only: raw values, values as fitted, the scale of raw, the sheet."""

    raw: Values
    value: Values
    scale: str
    sheet: pd.DataFrame


def _fraction(config: Mapping[str, Any], key: str, column: str) -> float:
    value = config.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise MixflowError(
            Problem(
                "A fraction from 0 to 1 is needed.", column=column, value=value, remedy="For example 0.5."
            )
        )
    return float(value)


def _observed_fraction(table: _Table, chosen: Mask | None = None) -> Values:
    observed = ~np.isnan(table.value if chosen is None else table.value[:, chosen])
    return observed.mean(axis=1) if observed.shape[1] else np.zeros(len(observed))


def min_observed(table: _Table, filters: Mapping[str, Any]) -> Mask:
    """Observed in at least this fraction of all samples."""
    least = _fraction(filters, "min_observed", f"{COLUMN}.min_observed")
    return _observed_fraction(table) >= least


def min_observed_by(table: _Table, filters: Mapping[str, Any]) -> Mask:
    """Observed in at least ``fraction`` of the samples of any (or of all) levels of ``factor``."""
    rule = filters.get("min_observed_by")
    if not rule:
        return np.ones(len(table.value), dtype=bool)
    where = f"{COLUMN}.min_observed_by"
    factor, groups = rule.get("factor"), rule.get("groups", "any")
    if factor not in table.sheet.columns:
        known = ", ".join(map(str, table.sheet.columns))
        raise MixflowError(
            Problem(
                "No such column in the sample sheet.",
                column=f"{where}.factor",
                value=factor,
                remedy=f"Known: {known}.",
            )
        )
    if groups not in ("any", "all"):
        raise MixflowError(
            Problem(
                "Groups must be any or all.", column=f"{where}.groups", value=groups, remedy="Use any or all."
            )
        )
    least = _fraction({"fraction": rule.get("fraction", 0.5)}, "fraction", f"{where}.fraction")
    codes, levels = pd.factorize(table.sheet[factor])
    enough = [_observed_fraction(table, codes == level) >= least for level in range(len(levels))]
    passes = np.stack(enough) if enough else np.zeros((1, len(table.value)), dtype=bool)
    return np.asarray(passes.any(axis=0) if groups == "any" else passes.all(axis=0))


def _abundance(table: _Table, filters: Mapping[str, Any], key: str) -> float:
    if filters.get(key) and table.scale not in ABUNDANCE_SCALES:
        raise MixflowError(
            Problem(
                f"{key} counts values above an abundance, which the scale '{table.scale}' does not have.",
                column=f"{COLUMN}.{key}",
                value=filters[key],
                remedy="Use min_observed, which counts observed values.",
            )
        )
    value = filters.get("min_abundance") or 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise MixflowError(
            Problem(
                "A number of 0 or more is needed.",
                column=f"{COLUMN}.min_abundance",
                value=value,
                remedy="For example 0.0001.",
            )
        )
    return float(value)


def min_abundance(table: _Table, filters: Mapping[str, Any]) -> Mask:
    """Above this abundance (scale of the raw values) in at least one sample."""
    if not filters.get("min_abundance"):
        return np.ones(len(table.raw), dtype=bool)
    return np.asarray((table.raw > _abundance(table, filters, "min_abundance")).any(axis=1))


def min_prevalence(table: _Table, filters: Mapping[str, Any]) -> Mask:
    """Above ``min_abundance`` (default 0, raw scale) in at least this fraction of all samples."""
    least = _fraction(filters, "min_prevalence", f"{COLUMN}.min_prevalence")
    if least == 0:
        return np.ones(len(table.raw), dtype=bool)
    return (table.raw > _abundance(table, filters, "min_prevalence")).mean(axis=1) >= least


def varies(values: Values) -> Mask:
    """Features (feature,) whose observed values differ by more than rounding."""
    observed = ~np.isnan(values)
    low = np.where(observed, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(observed, values, -np.inf).max(axis=1, initial=-np.inf)
    some = low <= high
    size = np.where(some, np.maximum(np.abs(low), np.abs(high)), 1.0)
    spread = np.subtract(high, low, out=np.zeros_like(high), where=some)
    return spread > CONSTANT * size


def near_zero_variance(table: _Table, filters: Mapping[str, Any]) -> Mask:
    """Two different values at least, as read and as fitted (normalisation makes a constant vary)."""
    if not filters.get("near_zero_variance", True):
        return np.ones(len(table.value), dtype=bool)
    return varies(table.raw) & varies(table.value)


FILTERS: dict[str, Callable[[_Table, Mapping[str, Any]], Mask]] = {
    "min_observed": min_observed,
    "min_observed_by": min_observed_by,
    "min_abundance": min_abundance,
    "min_prevalence": min_prevalence,
    "near_zero_variance": near_zero_variance,
}


def apply_filters(
    raw: Values,
    value: Values,
    scale: str,
    filters: Mapping[str, Any],
    is_sample: Mask,
    sheet: pd.DataFrame | None = None,
) -> Filtered:
    """Apply all filters: ``raw`` and ``value`` (feature, sample), ``scale`` of raw,
    ``filters`` as in the config; ``sheet`` has one row a sample.

    Raises MixflowError for an unknown filter, a wrong fraction, or a factor that the sheet does not have.
    """
    unknown = [name for name in filters if name not in KNOWN]
    if unknown:
        raise MixflowError(
            Problem(
                "Unknown filter.", column=f"{COLUMN}.{name}", value=name, remedy=f"Known: {', '.join(KNOWN)}."
            )
            for name in unknown
        )
    frame = pd.DataFrame(index=range(raw.shape[1])) if sheet is None else sheet
    table = _Table(raw[:, is_sample], value[:, is_sample], scale, frame.loc[np.asarray(is_sample)])
    dropped_by = np.full(len(raw), "", dtype=object)
    for name, passes in FILTERS.items():
        dropped_by[~passes(table, filters) & (dropped_by == "")] = name
    return Filtered(dropped_by == "", dropped_by)
