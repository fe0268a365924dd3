"""F tests of the fixed part's terms, as an analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.df import METHODS
from mixflow.inference.terms import COLUMNS, term_tests


def run(subject: Subject, *, type: int = 3, df: str | None = None) -> pd.DataFrame:
    """Test every term of the model for every feature."""
    return term_tests(subject.fit, subject.design, type, df or subject.df, _observed(subject))


def _observed(subject: Subject) -> np.ndarray:
    """Rows of the design that each feature has. Bool (N, n)."""
    seen = np.isfinite(subject.values)
    if subject.feature_of_row is None:
        return seen
    return np.equal.outer(np.arange(len(subject.fit.feature_ids)), subject.feature_of_row) & seen


register(
    Analysis(
        name="terms",
        title="Tests of the model's terms",
        purpose="Tells for every feature which terms of the model matter, a factor with all its levels at once.",
        help=(
            "One F test for each term of the fixed part. Type 3 (the default) tests each term after all others, with "
            "the cells of the design weighing equally and numbers at zero: with an interaction in the model, the test "
            "of a factor is about its average over the other one. Type 2 tests a term after all terms but those that "
            "contain it; type 1 tests terms one after the other, in the order of the formula. Balanced data make all "
            "three equal. The hypotheses are SAS's, as lmerTest has them (Kuznetsova, Brockhoff and Christensen 2017). "
            "df is the denominator, by the model's method unless another is named. False discovery rates are over the "
            "features, for each term. Of a smooth only the straight line is a fixed effect and is tested here; the "
            "analysis smooth_edf tests the whole curve, and whether it is more than the line. In a model with another "
            "family F times its numerator df is Wald's chi-squared; its denominator df are infinite."
        ),
        run=run,
        options={
            "type": {"enum": [1, 2, 3], "default": 3, "description": "Type of the hypotheses."},
            "df": {
                "enum": list(METHODS),
                "description": "Method for denominator df; the model's where not given.",
            },
        },
        columns=COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
