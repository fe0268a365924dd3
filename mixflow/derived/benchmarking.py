"""Risk-adjusted comparison of groups, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference import standardised
from mixflow.inference.benchmarking import COLUMNS, benchmark


def run(subject: Subject, *, group: str) -> pd.DataFrame:
    """Every level of the group for every feature."""
    if subject.generalised is not None:
        return standardised.benchmark(subject.generalised, group, 1 - subject.alpha)
    return benchmark(subject.fitted, group, 1 - subject.alpha)


register(
    Analysis(
        name="benchmarking",
        title="Groups compared after adjustment",
        purpose="Shows which hospitals, laboratories or devices differ from the others, and which only seem to.",
        help=(
            "The model's fixed effects take out what the groups cannot help (age and severity of their patients)."
            " raw is what remains on average; in small groups it is mostly chance, so league tables of raw means"
            " have small groups at both ends. shrunken draws each group towards the overall mean by its"
            " reliability. Funnel limits show how far raw means of groups of this size lie by chance alone if all"
            " groups were alike (Spiegelhalter 2005): 95 % as a warning, 99.8 % as an alarm. Limits of shrunken"
            " effects allow for the estimated variances (Prasad and Rao 1990) and hold for each group by itself;"
            " ranks are poorly known even where effects are not (Goldstein"
            " and Spiegelhalter 1996). Of counts and yes/no outcomes raw is the standardised ratio, observed over"
            " expected events, and shrunken predicted over expected (Normand and Shahian 2007): 1 is a group like"
            " the middle one; adjusted_rate is the ratio times the overall rate."
        ),
        run=run,
        options={"group": {"type": "string", "description": "Grouping factor to compare: hospital."}},
        required=("group",),
        columns=standardised.COLUMNS | COLUMNS,
        models=("gaussian", "generalised"),
    )
)
