"""What of the values a model fits: the values themselves, whether there is one, or those that are not zero."""

from __future__ import annotations

import numpy as np

from mixflow.preprocess.scales import Values, scale_of

RESPONSES = ("values", "presence", "nonzero")


def response_of(kind: str, values: Values, raw: Values, scale: str) -> Values:
    """The response ``kind`` of the ``values`` fitted and the ``raw`` ones of ``scale`` (both feature, sample).

    presence: 1 where the raw value is above 0, 0 where it is not; a missing count or proportion was not looked
    at and stays missing, a missing value of any other scale was not found, 0. nonzero: values whose raw value is
    0 are missing, so that together with a model of presence no zero is used twice (MaAsLin 3, Nickols et al. 2024).
    """
    if kind == "values":
        return values
    if kind == "nonzero":
        return np.where(raw == 0, np.nan, values)
    there = raw > 0 if _has_zero(scale) or scale_of(scale).zero_is_missing else np.isfinite(raw)
    return np.where(_has_zero(scale) & np.isnan(raw), np.nan, there.astype(float))


def _has_zero(scale: str) -> bool:
    """Whether a zero of this scale is a measurement: none was there."""
    return scale in ("count", "proportion")
