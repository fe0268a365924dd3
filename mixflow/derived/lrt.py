"""Likelihood-ratio test of the model against a simpler one, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference import family_lrt
from mixflow.inference.lrt import COLUMNS, compare
from mixflow.inference.refit import same_rows


def run(subject: Subject, *, null: str) -> pd.DataFrame:
    """Fit the formula ``null`` (of mu) to the same rows and compare."""
    outcome = subject.generalised
    if outcome is not None:
        return family_lrt.compare(family_lrt.simpler(outcome, null), outcome)
    full = subject.fitted
    return compare(full.refit(same_rows(null, full.design)), full)


register(
    Analysis(
        name="lrt",
        title="Likelihood-ratio test against a simpler model",
        purpose="Tests for every feature whether the model describes the values better than a simpler one.",
        help=(
            "Both models are fitted to the same rows; the statistic is twice the difference of their "
            "log-likelihoods. Where the fixed parts differ both are fitted by maximum likelihood, where only "
            "the random part differs restricted likelihoods are compared. Where one variance is tested, its "
            "null value zero is the end of the scale, and p_value is that of an equal mixture of two "
            "chi-squared distributions (Self and Liang 1987; Stram and Lee 1994); p_plain ignores this and "
            "is up to twice as large. Generalised models are compared by maximum likelihood, with the same "
            "approximation in both. Smaller AIC and BIC are better."
        ),
        run=run,
        options={
            "null": {
                "type": "string",
                "description": "Formula of the simpler model: `~ age + (1 | subject)`.",
            }
        },
        required=("null",),
        columns=COLUMNS,
        models=("gaussian", "generalised"),
    )
)
