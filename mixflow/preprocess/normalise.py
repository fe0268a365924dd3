"""Normalisation between samples: total sum (before the transform) and median (after it)."""

from __future__ import annotations

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.scales import UNLABELLED, Labels, Mask, Values

COLUMN = "preprocess.normalise"
METHODS = ("none", "median", "total_sum")
SUMMABLE = frozenset({"count", "proportion", "intensity"})
SHIFTED = frozenset({"log2", "log1p", "logit"})
"""Log-like scales, on which a sample's factor is subtracted; on `intensity` it is divided by."""


def check_normalise(method: str, scale: str) -> None:
    """Refuse an unknown method, and one that means nothing on this scale."""
    if method not in METHODS:
        raise MixflowError(
            Problem(
                "Unknown normalisation.",
                column=COLUMN,
                value=method,
                remedy=f"Use one of {', '.join(METHODS)}.",
            )
        )
    fits = {"none": True, "total_sum": scale in SUMMABLE, "median": scale in SHIFTED | {"intensity"}}[method]
    if not fits:
        wanted = SUMMABLE if method == "total_sum" else SHIFTED | {"intensity"}
        raise MixflowError(
            Problem(
                f"Normalisation {method} does not fit values on the scale '{scale}'.",
                column=COLUMN,
                value=method,
                remedy=f"It fits {', '.join(sorted(wanted))}; use normalise: none, or another transform.",
            )
        )


def _refuse_samples(bad: Mask, labels: Labels, message: str, remedy: str) -> None:
    if bad.any():
        names = [labels.sample(s) for s in np.flatnonzero(bad).tolist()]
        raise MixflowError(
            Problem(f"{message} Samples: {', '.join(names)}.", column=COLUMN, value=names[0], remedy=remedy)
        )


def total_sum(values: Values, labels: Labels = UNLABELLED) -> tuple[Values, Values]:
    """Divide each sample by the sum of its observed values: proportions, and the sums (sample,)."""
    sums = np.nansum(values, axis=0)
    negative = np.asarray((values < 0).any(axis=0))
    _refuse_samples(negative, labels, "Total-sum scaling needs values of 0 or more.", "Correct them.")
    _refuse_samples(
        ~(sums > 0), labels, "Total-sum scaling of a sample without any signal.", "Drop these samples."
    )
    return values / sums, sums


def median(values: Values, scale: str, is_sample: Mask, labels: Labels = UNLABELLED) -> tuple[Values, Values]:
    """Bring the medians of all samples together.

    On log-like scales each sample's median less the mean of the medians is subtracted; on `intensity`
    the sample is divided by its median over the geometric mean of the medians. The mean runs over samples
    with role `sample`, so that blanks move nothing. Returns values and the factor used (sample,).
    """
    factor = median_factor(medians(values, labels), scale, is_sample, labels)
    return without_factor(values, factor, scale), factor


def medians(values: Values, labels: Labels = UNLABELLED) -> Values:
    """Median (sample,) of the observed values of each sample; a sample without any is refused."""
    empty = np.asarray(np.isnan(values).all(axis=0))
    _refuse_samples(
        empty, labels, "Median normalisation of a sample without any value.", "Drop these samples."
    )
    return np.nanmedian(values, axis=0)


def median_factor(found: Values, scale: str, is_sample: Mask, labels: Labels = UNLABELLED) -> Values:
    """The factor (sample,) of `median` from the medians ``found``."""
    if scale in SHIFTED:
        return found - found[is_sample].mean()
    _refuse_samples(
        ~(found > 0), labels, "Median normalisation needs medians above 0.", "Drop these samples."
    )
    return found / np.exp(np.log(found[is_sample]).mean())


def without_factor(values: Values, factor: Values, scale: str) -> Values:
    """Values (feature, sample) less the factor, or over it, as the scale asks."""
    return values - factor if scale in SHIFTED else values / factor
