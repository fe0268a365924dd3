"""`mixflow.preprocess.prepare` for values that are read by slices: the same numbers, never all of them at once.

What a step must know of all features comes first: sums of the samples, then their medians, a few samples at a
time. Then each block of features goes its own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mixflow.preprocess import normalise
from mixflow.preprocess.filters import Filtered, apply_filters
from mixflow.preprocess.prepare import (
    Prepared,
    check,
    check_input,
    divided_by_sums,
    median_note,
    note_pseudocount,
    prepare,
    zeros_to_missing,
)
from mixflow.preprocess.scales import Labels, Mask, Values
from mixflow.preprocess.transforms import apply
from mixflow.slices import BLOCK_BYTES, Matrix, Sliced, blocks

COLUMN_BYTES = 2 * BLOCK_BYTES
"""Aim for the size of the values of all features in the samples whose medians are sought together."""


@dataclass(frozen=True)
class _Recipe:
    """What each block needs to go from raw values to those that are fitted; `sums` and `factor` (sample,)."""

    source: Sliced
    scale: str
    config: Mapping[str, Any]
    role: Mask
    unit: str | None
    labels: Labels
    sums: Values | None = None
    factor: Values | None = None

    @property
    def summed(self) -> bool:
        return self.config.get("normalise", "none") == "total_sum"

    @property
    def pseudocount(self) -> float | None:
        return (self.config.get("zero") or {}).get("pseudocount")

    def labels_of(self, part: slice) -> Labels:
        ids = self.labels.features
        return Labels(None if ids is None else ids[part], self.labels.samples)

    def raw(self, part: slice, notes: list[int] | None = None) -> Values:
        """Raw values of a block, zeros that mean missing taken out; their number is added to ``notes``."""
        values = self.source[part]
        check_input(values, self.role, self.labels_of(part))
        told: list[str] = []
        missing = bool((self.config.get("zero") or {}).get("missing"))
        found = zeros_to_missing(values, self.scale, missing, told)
        if notes is not None:
            notes.append(int((values == 0).sum()) if told else 0)
        return found

    def transformed(self, part: slice, raw: Values | None = None) -> tuple[Values, str, str]:
        """Values of a block before the median is taken, their scale and unit."""
        value, now, unit = self.raw(part) if raw is None else raw, self.scale, self.unit
        if self.sums is not None:
            value, now, unit = value / self.sums, "proportion", None
        name = self.config.get("transform", "none")
        labels = self.labels_of(part)
        return apply(value, name, now, pseudocount=self.pseudocount, unit=unit, labels=labels)

    def values(self, part: slice, raw: Values | None = None) -> tuple[Values, str, str]:
        """Values of a block as they are fitted, before the filters."""
        value, now, unit = self.transformed(part, raw)
        return (
            value if self.factor is None else normalise.without_factor(value, self.factor, now),
            now,
            unit,
        )

    def blocks(self) -> list[slice]:
        return list(blocks(*self.source.shape))


def can_be_by_blocks(config: Mapping[str, Any]) -> bool:
    """Whether each feature goes its own way, but for sums and medians of samples."""
    return config.get("transform") != "clr" and not config.get("reference")


def prepare_matrix(values: Matrix, scale: str, config: Mapping[str, Any], **facts: Any) -> Prepared:
    """As `mixflow.preprocess.prepare.prepare`: by blocks where that can be, of values held or read by slices."""
    if not can_be_by_blocks(config):
        return prepare(np.asarray(values), scale, config, **facts)
    if not isinstance(values, Sliced):
        held = values
        values = Sliced(held.shape, held.dtype, lambda start, stop: held[start:stop])
    return prepare_by_blocks(values, scale, config, **facts)


def prepare_by_blocks(
    values: Sliced,
    scale: str,
    config: Mapping[str, Any],
    *,
    is_sample: Mask,
    is_reference: Mask | None = None,
    sheet: pd.DataFrame | None = None,
    unit: str | None = None,
    features: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
) -> Prepared:
    """As `mixflow.preprocess.prepare.prepare`, with `value` a `Sliced`; ``is_reference`` is not used."""
    check(scale, config)
    recipe = _Recipe(values, scale, config, np.asarray(is_sample, bool), unit, Labels(features, samples))
    notes = _zero_notes(recipe)
    if recipe.summed:
        recipe = replace(recipe, sums=_sums(recipe, notes))
    now = "proportion" if recipe.summed else scale
    transform = config.get("transform", "none")
    first = values.read(0, 0)
    note_pseudocount(transform, now, first, recipe.pseudocount, notes)
    if config.get("normalise", "none") == "median":
        recipe = replace(recipe, factor=_factor(recipe, notes))
    found = Filtered(*_filtered(recipe, sheet))
    _, now, unit = recipe.values(slice(0, 0))
    factor = recipe.sums if recipe.sums is not None else recipe.factor
    factor = np.ones(values.shape[1]) if factor is None else factor
    shown = Sliced(values.shape, "float64", partial(_kept_values, recipe, found.kept))
    return Prepared(
        shown,  # type: ignore[arg-type]  # stands where an array would
        now,
        unit,
        factor,
        found.kept,
        found.dropped_by,
        found.counts,
        notes,
    )


def _kept_values(recipe: _Recipe, kept: Mask, start: int, stop: int) -> Values:
    part = slice(start, stop)
    return np.where(kept[part, None], recipe.values(part)[0], np.nan)


def _zero_notes(recipe: _Recipe) -> list[str]:
    """What `prepare` says of zeros that mean missing, counted over all blocks."""
    counts: list[int] = []
    for part in recipe.blocks():
        recipe.raw(part, counts)
    notes: list[str] = []
    if sum(counts):
        missing = bool((recipe.config.get("zero") or {}).get("missing"))
        zeros_to_missing(np.zeros((1, 1)), recipe.scale, missing, notes)
        notes = [f"{sum(counts)}{notes[0][1:]}"]
    return notes


def _sums(recipe: _Recipe, notes: list[str]) -> Values:
    """Sum of each sample, row upon row, so that blocks change no rounding."""
    total, some = np.zeros(recipe.source.shape[1]), np.zeros(0)
    for part in recipe.blocks():
        raw = recipe.raw(part)
        some = np.where((raw < 0).any(axis=0, keepdims=True), -1.0, 1.0)
        total = np.add.reduce(np.concatenate([total[None], np.nan_to_num(raw, nan=0.0)]), axis=0)
        if (some < 0).any():
            divided_by_sums(raw, recipe.labels_of(part), [])
    divided_by_sums(total[None], recipe.labels, notes)
    return total


def _factor(recipe: _Recipe, notes: list[str]) -> Values:
    """The factor of each sample from its median, sought for a few samples at a time."""
    n, width = recipe.source.shape
    few = max(1, COLUMN_BYTES // (8 * max(1, n)))
    found = []
    for start in range(0, width, few):
        columns = slice(start, start + few)
        ids = recipe.labels.samples
        values = np.empty((n, min(few, width - start)))
        for part in recipe.blocks():
            values[part] = recipe.transformed(part)[0][:, columns]
        found.append(normalise.medians(values, Labels(None, None if ids is None else ids[columns])))
    _, now, _ = recipe.transformed(slice(0, 0))
    notes.append(median_note(now))
    return normalise.median_factor(np.concatenate(found), now, recipe.role, recipe.labels)


def _filtered(recipe: _Recipe, sheet: pd.DataFrame | None) -> tuple[Mask, np.ndarray]:
    kept, dropped_by = [], []
    for part in recipe.blocks():
        raw = recipe.raw(part)
        value, _, _ = recipe.values(part, raw)
        filters = recipe.config.get("filters") or {}
        found = apply_filters(raw, value, recipe.scale, filters, recipe.role, sheet)
        kept.append(found.kept)
        dropped_by.append(found.dropped_by)
    return np.concatenate(kept), np.concatenate(dropped_by)
