"""Estimated marginal means and their contrasts, as an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.family_mean_tests import COLUMNS as FAMILY_COLUMNS
from mixflow.inference.family_mean_tests import family_mean_contrasts, family_means
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.mean_contrasts import ADJUST, METHODS
from mixflow.inference.mean_tests import COLUMNS, tested_contrasts, tested_means
from mixflow.inference.means import means

OF = {"name": "of"}
"""In tables beside those of the report `name` is that of the feature."""


def run(
    subject: Subject,
    *,
    factors: str | Sequence[str],
    at: Mapping[str, Any] | None = None,
    contrast: str | Sequence[str] | None = None,
    adjust: str = "none",
    offset: float | None = None,
) -> pd.DataFrame:
    """Means of every feature, or contrasts of them."""
    if subject.generalised is not None:
        return _generalised(subject, subject.generalised, factors, at, contrast, adjust, offset)
    if contrast is None:
        cells = means(subject.design, factors, at)
        found = tested_means(subject.fit, subject.design, cells, subject.df, 1 - subject.alpha)
        return found.rename(columns=OF)
    found = tested_contrasts(
        subject.fit,
        subject.design,
        factors,
        contrast,
        at=at,
        adjust=adjust,
        df=subject.df,
        level=1 - subject.alpha,
    )
    return found.rename(columns=OF)


def _generalised(
    subject: Subject,
    outcome: FittedFamily,
    factors: str | Sequence[str],
    at: Mapping[str, Any] | None,
    contrast: str | Sequence[str] | None,
    adjust: str,
    offset: float | None,
) -> pd.DataFrame:
    """The same on the link scale and on that of the response."""
    level = 1 - subject.alpha
    if contrast is None:
        return family_means(outcome, factors, at, offset, level).rename(columns=OF)
    found = family_mean_contrasts(
        outcome.fit, outcome.design, outcome.family, factors, contrast, at=at, adjust=adjust, level=level
    )
    return found.rename(columns=OF)


_WORDS = {"type": "string", "enum": list(METHODS)}

register(
    Analysis(
        name="means",
        title="Estimated marginal means",
        purpose="Gives the mean of every level of a factor, the others held equal, or contrasts of such means.",
        help=(
            "Means are predictions over a grid in which every other factor's levels weigh equally and numbers "
            "stand at their mean, or where `at` puts them (Searle, Speed and Milliken 1980; R's emmeans). "
            "Contrasts use emmeans' words: pairwise, trt.vs.ctrl (against the first level), poly (trends over "
            "equally spaced levels), consec, eff; one word for each factor gives interaction contrasts. p can be "
            "adjusted for the number of contrasts within a feature; q is over features, within a contrast. Those "
            "of counts, yes/no and other families are made on the scale of the link and carried over to that of "
            "the response with their limits: rates or probabilities, and of contrasts rate or odds ratios; the "
            "offset (exposure) stands at the means of its variables, or where `offset` puts it."
        ),
        run=run,
        options={
            "factors": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "description": "Factor, or list of factors whose combinations have means.",
            },
            "at": {"type": "object", "description": "Where other variables stand: {age: 70}."},
            "contrast": {
                "anyOf": [_WORDS, {"type": "array", "items": _WORDS, "minItems": 1}],
                "description": "Contrasts instead of means; a list, one a factor, for interaction contrasts.",
            },
            "adjust": {"type": "string", "enum": list(ADJUST), "description": "p within a feature."},
            "offset": {
                "type": "number",
                "description": "Where the offset stands, of a generalised model: 0 gives rates per unit.",
            },
        },
        required=("factors",),
        columns={OF.get(column, column): meaning for column, meaning in COLUMNS.items()} | FAMILY_COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
