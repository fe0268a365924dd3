"""What is not there, counted block by block: missing values, or zeros where nothing is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.preprocess.scales import SCALES
from mixflow.slices import Sliced, blocks

LOGGED = ("intensity", "count")
"""Scales whose values are looked at as logarithms."""


@dataclass(frozen=True)
class Absent:
    """Counts of absent values, of samples of role `sample`; ``word`` is what they are: missing, or zero.

    ``by_sample`` (sample,), ``by_feature`` (feature,); ``level`` (feature,) the mean of the values that are
    there, on a log2 scale for intensities and counts, NaN where none is.
    """

    word: str
    by_sample: np.ndarray
    by_feature: np.ndarray
    level: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.by_feature), len(self.by_sample)

    @property
    def size(self) -> int:
        return len(self.by_feature) * len(self.by_sample)

    def sum(self) -> int:
        return int(self.by_feature.sum())

    def mean(self) -> float:
        return self.sum() / self.size if self.size else float("nan")


def count(raw: Sliced, is_sample: np.ndarray, scale: str) -> Absent:
    """Count what is absent of ``raw`` (feature, sample) in the samples ``is_sample``.

    On a scale on which 0 says `not measured`, a zero is missing here as it is in the values fitted.
    """
    found = _count(raw, is_sample, scale, zeros=False)
    if not found.sum() and scale in ("count", "proportion"):
        return _count(raw, is_sample, scale, zeros=True)
    return found


def _count(raw: Sliced, is_sample: np.ndarray, scale: str, zeros: bool) -> Absent:
    by_sample, by_feature, level = np.zeros(int(is_sample.sum()), dtype=int), [], []
    for part in blocks(*raw.shape):
        values = raw[part][:, is_sample]
        absent = values == 0 if zeros else _missing(values, scale)
        by_sample = by_sample + absent.sum(axis=0)
        by_feature.append(absent.sum(axis=1))
        seen = np.where(absent, np.nan, logged(values, scale))
        n = np.isfinite(seen).sum(axis=1)
        level.append(np.where(n > 0, np.nansum(seen, axis=1) / np.maximum(n, 1), np.nan))
    word = "zero" if zeros else "missing"
    return Absent(word, by_sample, np.concatenate(by_feature), np.concatenate(level))


def _missing(values: np.ndarray, scale: str) -> np.ndarray:
    missing = ~np.isfinite(values)
    if scale in SCALES and SCALES[scale].zero_is_missing:
        missing |= values == 0
    return missing


def logged(values: np.ndarray, scale: str) -> np.ndarray:
    """Intensities and counts on a log2 scale, for looking at; zeros are left out."""
    if scale not in LOGGED:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log2(np.where(values > 0, values, np.nan)), np.nan)
