"""Estimated marginal means and their contrasts, as an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
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
) -> pd.DataFrame:
    """Means of every feature, or contrasts of them."""
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
            "of a model with another family are on the scale of its link, without its offset."
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
        },
        required=("factors",),
        columns={OF.get(column, column): meaning for column, meaning in COLUMNS.items()},
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
