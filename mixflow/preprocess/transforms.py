"""Transforms of the values, and which of them fits which scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.scales import UNLABELLED, Labels, Mask, Values, refuse_values, scale_of

COLUMN = "preprocess.transform"
ROUNDING = 1e-9
"""A proportion may pass 1 by this much, as text files round."""


@dataclass(frozen=True)
class Transform:
    """A transform: scales it fits, the scale it gives, and what its values must be.

    ``forward(x, pseudocount)`` and ``inverse(z)`` act on arrays (feature, sample);
    ``refused(x, pseudocount)`` marks values outside its domain.
    ``default`` is the pseudocount by scale where the config names none.
    """

    name: str
    fits: frozenset[str]
    unit: str
    forward: Callable[[Values, float], Values]
    inverse: Callable[[Values], Values]
    refused: Callable[[Values, float], Mask]
    domain: str
    remedy: str
    default: tuple[tuple[str, float], ...] = ()
    uses_pseudocount: bool = False


def _never(x: Values, _: float) -> Mask:
    return np.zeros(x.shape, dtype=bool)


def _clr(x: Values, pseudocount: float) -> Values:
    """Log x minus its mean over the sample's observed features (Aitchison 1986)."""
    logs = np.log(x + pseudocount)
    observed = ~np.isnan(logs)
    count = np.maximum(observed.sum(axis=0), 1)
    return logs - np.where(observed, logs, 0.0).sum(axis=0) / count


def _closure(z: Values) -> Values:
    """Inverse of clr: proportions (each sample sums to 1 over its observed features)."""
    top = np.where(np.isnan(z), -np.inf, z).max(axis=0, initial=-np.inf)
    parts = np.exp(z - np.where(np.isfinite(top), top, 0.0))
    total = np.nansum(parts, axis=0)
    return parts / np.where(total > 0, total, 1.0)


TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (
        Transform(
            "none",
            frozenset({"intensity", "log2", "count", "proportion", "free"}),
            "{unit}",
            lambda x, _: x.copy(),
            lambda z: z,
            _never,
            "",
            "",
        ),
        Transform(
            "log2",
            frozenset({"intensity", "count", "proportion", "free"}),
            "log2 {unit}",
            lambda x, _: np.log2(x),
            np.exp2,
            lambda x, _: x <= 0,
            "log2 needs values above 0.",
            "Correct the value; preprocess.zero: {missing: true} makes zeros missing values; counts take log1p.",
        ),
        Transform(
            "log1p",
            frozenset({"intensity", "count", "free"}),
            "log(1 + {unit})",
            lambda x, _: np.log1p(x),
            np.expm1,
            lambda x, _: x < 0,
            "log1p needs values of 0 or more.",
            "Correct the value, or use transform none.",
        ),
        Transform(
            "logit",
            frozenset({"proportion", "free"}),
            "logit {unit}",
            # Warton & Hui 2011, Ecology 92:3-10: a small amount is added to numerator and denominator.
            lambda x, c: np.log((x + c) / (1 - np.minimum(x, 1.0) + c)),
            expit,
            lambda x, c: (x < 0) | (x > 1 + ROUNDING) | ((c == 0) & ((x == 0) | (x >= 1))),
            "logit needs values between 0 and 1, and 0 and 1 themselves only with a pseudocount.",
            "Use normalise: total_sum, or state preprocess.zero: {pseudocount: ...}, or transform asin_sqrt.",
            uses_pseudocount=True,
        ),
        Transform(
            "asin_sqrt",
            frozenset({"proportion", "free"}),
            "arcsine square root of {unit}",
            lambda x, _: np.arcsin(np.sqrt(np.minimum(x, 1.0))),
            lambda z: np.sin(np.clip(z, 0.0, np.pi / 2)) ** 2,
            lambda x, _: (x < 0) | (x > 1 + ROUNDING),
            "asin_sqrt needs values from 0 to 1.",
            "Use normalise: total_sum, which turns counts and percentages into proportions.",
        ),
        Transform(
            "clr",
            frozenset({"intensity", "count", "proportion"}),
            "centred log-ratio",
            _clr,
            _closure,
            lambda x, c: (x < 0) | (x + c <= 0),
            "clr needs values above 0, and 0 itself only with a pseudocount.",
            "State preprocess.zero: {pseudocount: ...}, at most the smallest value above 0.",
            default=(("count", 0.5),),
            uses_pseudocount=True,
        ),
    )
}


def transform_of(name: str) -> Transform:
    """The transform called ``name``; an unknown name is refused with the known ones."""
    if name not in TRANSFORMS:
        raise MixflowError(
            Problem(
                "Unknown transform.", column=COLUMN, value=name, remedy=f"Use one of {', '.join(TRANSFORMS)}."
            )
        )
    return TRANSFORMS[name]


def check_fits(name: str, scale: str) -> None:
    """Refuse a transform that does not fit the scale of the values, such as log2 of log2 values."""
    transform, scale_ = transform_of(name), scale_of(scale)
    if name == "none" or scale in transform.fits:
        return
    fitting = [t.name for t in TRANSFORMS.values() if scale in t.fits or t.name == "none"]
    why = (
        "The values are on this scale already."
        if name == scale
        else f"On this scale values are: {scale_.meaning}."
    )
    sums = (
        " With normalise: total_sum counts become proportions first."
        if scale == "count" and "proportion" in transform.fits
        else ""
    )
    raise MixflowError(
        Problem(
            f"Transform {name} does not fit values on the scale '{scale}'. {why}",
            column=COLUMN,
            value=name,
            remedy=f"Use transform {' or '.join(fitting)}, or correct data.scale.{sums}",
        )
    )


def pseudocount_for(name: str, scale: str, values: Values, pseudocount: float | None) -> float:
    """The zero rule in force: the stated pseudocount, else the transform's default for the scale, else 0.

    It may not exceed the smallest value above 0, or it would outweigh what was measured.
    """
    transform = transform_of(name)
    if not transform.uses_pseudocount:
        return 0.0
    chosen = dict(transform.default).get(scale, 0.0) if pseudocount is None else float(pseudocount)
    positive = values[values > 0]
    smallest = float(positive.min()) if positive.size else np.inf
    if not 0 <= chosen <= smallest:
        raise MixflowError(
            Problem(
                f"The pseudocount must lie between 0 and the smallest value above 0, here {smallest:.3g}.",
                column="preprocess.zero.pseudocount",
                value=chosen,
                remedy=f"Half of the smallest value is usual: {smallest / 2:.3g}.",
            )
        )
    return chosen


def apply(
    values: Values,
    name: str,
    scale: str,
    *,
    pseudocount: float | None = None,
    unit: str | None = None,
    labels: Labels = UNLABELLED,
) -> tuple[Values, str, str]:
    """Transform ``values`` (feature, sample; NaN is missing and stays NaN).

    Returns the new values, the name of their scale and their unit. ``unit`` is the unit before. Raises
    MixflowError where the transform does not fit the scale or a value lies outside its domain. Values of 0
    become missing where the scale says that 0 is missing (intensity).
    """
    check_fits(name, scale)
    transform, before = transform_of(name), scale_of(scale)
    if before.zero_is_missing:
        values = np.where(values == 0, np.nan, values)
    c = pseudocount_for(name, scale, values, pseudocount)
    refuse_values(
        values, transform.refused(values, c), labels, transform.domain, column=COLUMN, remedy=transform.remedy
    )
    new_scale = scale if name == "none" else name
    return transform.forward(values, c), new_scale, transform.unit.format(unit=unit or before.unit)


def invert(values: Values, name: str) -> Values:
    """Back to the scale before ``name`` (with the pseudocount left in; clr gives proportions)."""
    return transform_of(name).inverse(values)
