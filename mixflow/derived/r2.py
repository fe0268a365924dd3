"""Marginal and conditional R2, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference import family_r2
from mixflow.inference.r2 import COLUMNS, r2


def run(subject: Subject) -> pd.DataFrame:
    """R2 of every feature."""
    return r2(subject.fitted) if subject.generalised is None else family_r2.r2(subject.generalised)


register(
    Analysis(
        name="r2",
        title="Variance explained (R2)",
        purpose="Shows how much of each feature's variance fixed effects, and all effects together, explain.",
        help=(
            "Marginal R2 is the share of the fixed effects, conditional R2 that of fixed and random effects "
            "together (Nakagawa and Schielzeth 2013; random slopes by Johnson 2014). A high conditional "
            "beside a low marginal R2 means that groups differ for reasons that no fixed effect names. "
            "Of counts and yes/no outcomes these are shares of the variance on the scale of the link (Nakagawa, "
            "Johnson and Schielzeth 2017), with the intraclass correlation beside them; families for which an "
            "observation has no such variance have none."
        ),
        run=run,
        columns=family_r2.COLUMNS | COLUMNS,
        models=("gaussian", "generalised"),
    )
)
