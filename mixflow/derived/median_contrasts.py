"""Contrasts against their median over features, as an analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.median_contrasts import against_median
from mixflow.inference.tests import test
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "contrast": "contrast",
    "estimate": "the contrast as the model estimates it",
    "std_error": "its standard error",
    "df": "degrees of freedom, by the model's method",
    "median": "median of the contrast over features: the shift that all share",
    "difference": "the contrast less the median",
    "difference_se": "standard error of the difference, with the median's variance and covariance unless left out",
    "conf_low": "lower limit of the difference",
    "conf_high": "upper limit of the difference",
    "p_value": "p of the hypothesis that the feature moves as the median does",
    "q_value": "Benjamini-Hochberg over the features, for each contrast",
    "p_zero": "p of the hypothesis that the contrast is zero: the model's own test",
    "status": "how the test of the contrast ended",
}
OWN = ("estimate", "std_error", "df")


def run(subject: Subject, *, variance: bool = True) -> pd.DataFrame:
    """Every contrast of the model that is one number, against its median over features."""
    single = [c for c in subject.contrasts if c.kind == "t"]
    found = test(subject.fit, single, df=subject.df, design=subject.design, level=1 - subject.alpha)
    ids = np.asarray(subject.fit.feature_ids, dtype=object)
    tables = [pd.DataFrame(columns=list(COLUMNS))]
    for i, contrast in enumerate(single):
        own = {name: found[name][:, i] for name in OWN}
        told = against_median(own["estimate"], own["std_error"], own["df"], variance, 1 - subject.alpha)
        words = [MEANING[Status(int(s))].label for s in found["status"][:, i]]
        rows = {"feature": ids, "contrast": contrast.name, **own, **told, "status": words}
        tables.append(pd.DataFrame(rows)[list(COLUMNS)])
    return pd.concat(tables[1:] or tables, ignore_index=True)


register(
    Analysis(
        name="median_contrasts",
        title="Contrasts against the median feature",
        purpose="Tells for every feature whether it changes otherwise than the median feature does.",
        help=(
            "Sequencing counts are shares: where one taxon grows, the shares of all others fall by one common "
            "factor, and with enough samples every taxon is called. The median of a contrast over the features "
            "estimates that factor as long as fewer than half of the features change, and each feature is tested "
            "against it instead of against zero, as MaAsLin 3 does (Nickols and others 2024; median_comparison). "
            "The standard error is that of the difference: the feature's own, the median's (pi/2 times the "
            "variance of the contrasts over their number), and their covariance; variance: false takes the median "
            "as known. Contrasts with p above 0.95 take no part in the median. Read it for models of log "
            "abundances and for counts with an offset; for presence or absence the shift is no common factor. "
            "With few features, or where most of them do change, the median says nothing: compare its column with "
            "zero."
        ),
        run=run,
        options={
            "variance": {
                "type": "boolean",
                "default": True,
                "description": "Whether the standard error counts that the median is an estimate too.",
            },
        },
        columns=COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
