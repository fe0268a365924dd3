"""Intraclass correlation, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.icc import COLUMNS, KINDS, icc


def run(
    subject: Subject, *, group: str, rater: str | None = None, kind: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """The intraclass correlation of every feature."""
    return icc(subject.fitted, group, rater, kind, level)


register(
    Analysis(
        name="icc",
        title="Intraclass correlation",
        purpose="Tells for every feature how well repeated measurements of the same subject agree.",
        help=(
            "The share of a feature's variance that lies between the levels of the group: 1 where measuring again"
            " gives the same value, 0 where subjects cannot be told apart. Three kinds (Shrout and Fleiss 1979):"
            " oneway, where measurements have no order or rater; agreement, where differences between raters count"
            " as error (`(1 | rater)` in the model); consistency, where a rater who measures higher throughout does"
            " no harm. Limits are exact where the group is the model's only random effect, unbalanced data and"
            " fixed effects included (Harville and Fenech 1985); raters as fixed effects give exact limits of the"
            " consistency. Elsewhere they rest on large samples of groups and of raters, and are too narrow where"
            " either are few. A correlation of zero has no large-sample limits. Variances of groups other than"
            " group and rater count as error."
        ),
        run=run,
        options={
            "group": {"type": "string", "description": "Grouping factor that is measured again: subject."},
            "rater": {"type": "string", "description": "Factor of raters, occasions or devices, if any."},
            "kind": {
                "enum": list(KINDS),
                "description": "consistency where a rater is named, else oneway, by default.",
            },
            "level": {
                "type": "number",
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 1,
                "description": "Confidence level, 0.95 by default.",
            },
        },
        required=("group",),
        columns=COLUMNS,
    )
)
