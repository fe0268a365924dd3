"""The one way from raw values to the values that are fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess import level, reference_channel, rollup
from mixflow.preprocess.filters import apply_filters
from mixflow.preprocess.normalise import check_normalise, median, total_sum
from mixflow.preprocess.reference_channel import referenced
from mixflow.preprocess.scales import Labels, Mask, Values, refuse_values, scale_of
from mixflow.preprocess.transforms import apply, check_fits, pseudocount_for, transform_of


@dataclass(frozen=True)
class Prepared:
    """Result of :func:`prepare`.

    ``value`` (feature, sample), NaN for features not kept; ``scale`` and ``unit`` of it; ``size_factor``
    (sample,) what normalisation subtracted or divided by (1 where nothing was done); ``kept`` and
    ``dropped_by`` (feature,); ``dropped`` how many features each filter dropped; ``notes`` sentences.
    """

    value: Values
    scale: str
    unit: str
    size_factor: Values
    kept: Mask
    dropped_by: NDArray[np.object_]
    dropped: dict[str, int]
    notes: list[str]


def check_input(values: Values, is_sample: Mask, labels: Labels) -> None:
    """Refuse infinite values (feature, sample), and a sheet without samples; ``is_sample`` (sample,)."""
    if values.ndim != 2 or is_sample.shape != (values.shape[1],):
        raise ValueError("values must be (feature, sample) and is_sample (sample,)")
    refuse_values(
        values, np.isinf(values), labels, "An infinite value.", column="data", remedy="Code it as missing."
    )
    if not is_sample.any():
        raise MixflowError(
            Problem("No sample has the role 'sample'.", column="samples.role", remedy="Correct samples.role.")
        )


def check(scale: str, config: Mapping[str, Any]) -> None:
    """Refuse transform and normalisation that do not fit ``scale``: needs no data."""
    scale_of(scale)
    level.check(config, scale)
    normalise, transform = config.get("normalise", "none"), config.get("transform", "none")
    transform_of(transform)
    if normalise == "total_sum":
        check_normalise(normalise, scale)
        scale = "proportion"
    check_fits(transform, scale)
    after = scale if transform == "none" else transform
    if normalise != "total_sum":
        check_normalise(normalise, after)
    rollup.check(config, after)
    reference_channel.check(config, after)


def prepare(
    values: Values,
    scale: str,
    config: Mapping[str, Any],
    *,
    is_sample: Mask | None = None,
    is_reference: Mask | None = None,
    sheet: pd.DataFrame | None = None,
    unit: str | None = None,
    features: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
) -> Prepared:
    """Total-sum scaling, transform, median, reference channels, filters: in this order, each only when asked.

    ``values`` (feature, sample) as read, NaN missing; ``config`` the key ``preprocess`` (transform,
    normalise, zero, filters); ``is_sample`` (sample,) role is `sample`: filters and reference levels count
    these only; ``is_reference`` (sample,) role is `reference`; ``sheet`` sample columns (rows = samples) for
    filters by group and the runs of references; ``unit`` of the raw values. Nothing is imputed. Raises
    MixflowError for what does not fit the scale or lies outside a domain.
    """
    labels = Labels(features, samples)
    role = np.ones(values.shape[1], dtype=bool) if is_sample is None else np.asarray(is_sample, dtype=bool)
    check_input(values, role, labels)
    check(scale, config)
    normalise, transform = config.get("normalise", "none"), config.get("transform", "none")
    notes: list[str] = []
    raw = zeros_to_missing(values, scale, bool((config.get("zero") or {}).get("missing")), notes)
    value, factor, now = raw, np.ones(values.shape[1]), scale
    if normalise == "total_sum":
        (value, factor), now, unit = divided_by_sums(raw, labels, notes), "proportion", None
    pseudocount = (config.get("zero") or {}).get("pseudocount")
    note_pseudocount(transform, now, value, pseudocount, notes)
    value, now, unit = apply(value, transform, now, pseudocount=pseudocount, unit=unit, labels=labels)
    if normalise == "median":
        value, factor = median(value, now, role, labels)
        notes.append(median_note(now))
    value = referenced(value, config, is_reference, sheet, samples, notes)
    filtered = apply_filters(raw, value, scale, config.get("filters") or {}, role, sheet)
    value = np.where(filtered.kept[:, None], value, np.nan)
    return Prepared(value, now, unit, factor, filtered.kept, filtered.dropped_by, filtered.counts, notes)


def divided_by_sums(values: Values, labels: Labels, notes: list[str]) -> tuple[Values, Values]:
    """Proportions (feature, sample) and the sums (sample,) that they were divided by, noted."""
    notes.append("Each sample was divided by the sum of its values (total-sum scaling).")
    return total_sum(values, labels)


def zeros_to_missing(values: Values, scale: str, asked: bool, notes: list[str]) -> Values:
    """The values with NaN for 0 where the scale or the config (``asked``) says so; how many is noted."""
    zeros, by_scale = values == 0, scale_of(scale).zero_is_missing
    if not ((by_scale or asked) and zeros.any()):
        return values
    said = f"as the scale '{scale}' says" if by_scale else "as preprocess.zero.missing says"
    notes.append(f"{int(zeros.sum())} values of 0 were taken as missing, {said}.")
    return np.where(zeros, np.nan, values)


def note_pseudocount(
    transform: str, scale: str, values: Values, stated: float | None, notes: list[str]
) -> None:
    """Note the pseudocount that the transform adds, if any; MixflowError for one that is too large."""
    c = pseudocount_for(transform, scale, values, stated)
    if c > 0:
        notes.append(f"A pseudocount of {c:g} was added to every value before {transform}.")


def median_note(scale: str) -> str:
    """What median normalisation did to values on this scale."""
    if scale == "intensity":
        return "Each sample was divided by its median over the geometric mean of all samples' medians."
    return "From each sample its median, less the mean of all samples' medians, was subtracted."
