"""A random slope's variance and its correlation with the intercept, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.variances import COLUMNS, slopes


def run(subject: Subject, *, group: str, term: str) -> pd.DataFrame:
    """Interval and test of both, for every feature."""
    return slopes(subject.fitted, group, term, 1 - subject.alpha)


register(
    Analysis(
        name="slopes",
        title="Random slopes: do groups differ in them, and do those who start high gain less?",
        purpose=(
            "Tests for every feature whether the slope differs between groups, and whether it goes together "
            "with the level at which a group starts."
        ),
        help=(
            "The standard deviation says how much slopes differ between groups around their mean; it is tested "
            "against the model in which all groups share one slope (likelihood ratio, with the mixture for a "
            "variance: Stram and Lee 1994). A negative correlation means that groups with a high intercept "
            "have lower slopes; the intercept is the level where the slope's column is zero, so centre the "
            "column where you mean the start to be. Limits are those of the profile likelihood; at the "
            "boundary means that zero, or a correlation of one, cannot be ruled out."
        ),
        run=run,
        options={
            "group": {"type": "string", "description": "Grouping factor: subject."},
            "term": {"type": "string", "description": "Column whose slope differs between groups: time."},
        },
        required=("group", "term"),
        columns=COLUMNS,
    )
)
