"""The tests of all combinations as arrays: combinations x features, for each model and contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

COLUMNS = [
    "model",
    "contrast",
    "feature",
    "name",
    "estimate",
    "std_error",
    "p_value",
    "q_value",
    "fit_status",
]
NUMBERS = ("estimate", "std_error", "p_value", "q_value")
ABSENT = "not kept"
"""Status of a feature that another combination has and this one does not."""


@dataclass(frozen=True)
class Space:
    """The combinations: their names, and by short name of each key what its value is called."""

    names: tuple[str, ...]
    labels: pd.DataFrame
    """(combination, key), text."""
    keys: dict[str, str]
    """Short name -> dotted key of the config."""
    reference: int
    """The combination that others are measured against: the config's own values, else the first."""
    reference_is_own: bool

    def levels(self, key: str) -> list[str]:
        """The values of a key in the order in which they were given."""
        return list(dict.fromkeys(self.labels[key]))


@dataclass(frozen=True)
class Cube:
    """One contrast of one model. Arrays are (combination, feature), NaN where there is no test.

    ``there`` (combination,): whether the combination has this contrast; ``status``: how the fit ended, text;
    ``alpha`` (combination,): false discovery rate at which a feature is called there.
    """

    model: str
    contrast: str
    features: np.ndarray
    names: np.ndarray
    there: np.ndarray
    estimate: np.ndarray
    std_error: np.ndarray
    p_value: np.ndarray
    q_value: np.ndarray
    status: np.ndarray
    alpha: np.ndarray
    reference: int

    @property
    def title(self) -> str:
        """What it is called where both model and contrast matter."""
        return f"{self.contrast}, model {self.model}"

    @cached_property
    def hit(self) -> np.ndarray:
        """Whether a feature is called. Bool (combination, feature)."""
        return self.q_value < self.alpha[:, None]

    @cached_property
    def evidence(self) -> np.ndarray:
        """-log10 p with the sign of the estimate; p is bounded by 1e-300."""
        return -np.log10(np.maximum(self.p_value, 1e-300)) * np.sign(self.estimate)

    @cached_property
    def share(self) -> np.ndarray:
        """Share of the combinations in which each feature is called. (feature,)."""
        return self.hit[self.there].mean(axis=0)

    @property
    def ever(self) -> np.ndarray:
        """Numbers of the features that are called anywhere, those called most often first."""
        found = np.flatnonzero(self.share > 0)
        return found[np.lexsort((-self.strength[found], -self.share[found]))]

    @cached_property
    def strength(self) -> np.ndarray:
        """Median of the evidence over combinations, without its sign. (feature,)."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(_median(np.abs(self.evidence)))

    @property
    def always(self) -> int:
        """Features that are called in every combination."""
        return int((self.share == 1).sum())

    @property
    def turned(self) -> np.ndarray:
        """Features that are called with both signs. Bool (feature,)."""
        up, down = self.hit & (self.estimate > 0), self.hit & (self.estimate < 0)
        return np.logical_and(up.any(axis=0), down.any(axis=0))

    @cached_property
    def jaccard(self) -> np.ndarray:
        """Calls shared with the reference, in the same direction, over those of either (Jaccard 1912).

        1 where neither has any. (combination,); NaN where the contrast is not there.
        """
        own, same = self.hit[self.reference], np.sign(self.estimate) == np.sign(self.estimate[self.reference])
        both, either = (self.hit & own & same).sum(axis=1), (self.hit | own).sum(axis=1)
        found = np.where(either > 0, both / np.maximum(either, 1), 1.0)
        return np.where(self.there & self.there[self.reference], found, np.nan)

    @cached_property
    def correlation(self) -> np.ndarray:
        """Spearman's rank correlation of the evidence with that of the reference. (combination,)."""
        own = self.evidence[self.reference]
        return np.array([_spearman(row, own) for row in self.evidence])

    @property
    def hits(self) -> np.ndarray:
        """Number of calls. (combination,)."""
        return self.hit.sum(axis=1)

    def estimates(self) -> np.ndarray:
        """Lowest, lower quartile, median, upper quartile, highest estimate. (5, feature)."""
        with np.errstate(invalid="ignore"):
            some = np.isfinite(self.estimate).any(axis=0)
            found = np.full((5, len(self.features)), np.nan)
            found[:, some] = np.nanpercentile(self.estimate[:, some], [0, 25, 50, 75, 100], axis=0)
        return found


def _median(values: np.ndarray) -> np.ndarray:
    some = np.isfinite(values).any(axis=0)
    found = np.full(values.shape[1], np.nan)
    found[some] = np.nanmedian(values[:, some], axis=0)
    return found


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3 or np.ptp(first[known]) == 0 or np.ptp(second[known]) == 0:
        return float("nan")
    return float(stats.spearmanr(first[known], second[known]).statistic)


def cubes(files: Mapping[str, Path], alphas: np.ndarray, reference: int) -> list[Cube]:
    """The cubes of all models and contrasts, in their order in the tables ``files`` (by combination)."""
    paths = list(files.values())
    parts: dict[tuple[str, str], dict[int, pd.DataFrame]] = {}
    for i, path in enumerate(paths):
        types = dict.fromkeys(("model", "contrast", "feature", "name", "fit_status"), str)
        table = pd.read_csv(
            path, sep="\t", usecols=COLUMNS, dtype=types, keep_default_na=False, na_values=["NA"]
        )
        for (model, contrast), rows in table.groupby(["model", "contrast"], sort=False):
            parts.setdefault((str(model), str(contrast)), {})[i] = rows.set_index("feature")
    return [_cube(*pair, own, len(paths), alphas, reference) for pair, own in parts.items()]


def _cube(
    model: str, contrast: str, own: dict[int, pd.DataFrame], count: int, alphas: np.ndarray, reference: int
) -> Cube:
    names = {str(f): str(n) for rows in own.values() for f, n in zip(rows.index, rows["name"], strict=True)}
    features = np.array(list(names), dtype=object)
    there = np.isin(np.arange(count), list(own))
    arrays = {number: np.full((count, len(features)), np.nan) for number in NUMBERS}
    status = np.full((count, len(features)), "", dtype=object)
    for i, rows in own.items():
        found = rows.reindex(features)
        for number in NUMBERS:
            arrays[number][i] = found[number].to_numpy(float)
        status[i] = found["fit_status"].fillna(ABSENT).to_numpy(dtype=object)
    shown = np.array(list(names.values()), dtype=object)
    return Cube(
        model, contrast, features, shown, there, **arrays, status=status, alpha=alphas, reference=reference
    )
