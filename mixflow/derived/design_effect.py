"""Design effect and effective sample size, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.design_effect import COLUMNS, design_effect


def run(subject: Subject, *, group: str) -> pd.DataFrame:
    """Design effect of every feature."""
    return design_effect(subject.fitted, group)


register(
    Analysis(
        name="design_effect",
        title="Design effect and effective sample size",
        purpose="Tells for every feature how many independent values its grouped ones are worth.",
        help=(
            "Values of one group resemble each other, so twenty pupils of one class tell less than twenty of twenty"
            " classes. The design effect is the factor by which the variance of the overall mean, or of a treatment"
            " given to whole groups, is larger than with independent values (Kish 1965): plan a trial by it. For"
            " comparisons within groups it does not hold: they gain from grouping. Sizes are those of the feature's"
            " own observed values."
        ),
        run=run,
        options={"group": {"type": "string", "description": "Grouping factor: cluster, school, hospital."}},
        required=("group",),
        columns=COLUMNS,
    )
)
