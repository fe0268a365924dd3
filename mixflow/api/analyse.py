"""Any analysis of `mixflow.derived` on a result, as a config's `analyses` asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast
from mixflow.inference.refit import Fitted


def subject_of(fitted: Fitted, contrasts: Sequence[Contrast], df: str, alpha: float) -> Subject:
    """What an analysis sees of a Gaussian result."""
    own = getattr(fitted, "feature_of_row", None)  # of a long table, whose features have rows of their own
    values = fitted.values if own is None else fitted.values[0]
    return Subject(fitted.fit, fitted.design, values, tuple(contrasts), df, alpha, fitted.recipe, own)


def analyse(subject: Subject, name: str, options: dict[str, Any]) -> pd.DataFrame:
    """The table of the analysis ``name``. Raises MixflowError for an unknown name or option."""
    if name not in ANALYSES:
        known = f"Known: {', '.join(sorted(ANALYSES))}."
        raise MixflowError(Problem("There is no such analysis", value=name, remedy=known))
    analysis = ANALYSES[name]
    kind = "gaussian" if subject.generalised is None else "generalised"
    if kind not in analysis.models:
        known = f"Of {kind} models there are: {', '.join(sorted(n for n, a in ANALYSES.items() if kind in a.models))}."
        message = f"The analysis is not available for {kind} models"
        raise MixflowError(Problem(message, value=name, remedy=known))
    for option in sorted({*options} - {*analysis.options}):
        known = f"Options of {name}: {', '.join(analysis.options) or 'none'}."
        raise MixflowError(Problem("The analysis has no such option", value=option, remedy=known))
    if subject.feature_of_row is not None and not analysis.own_rows:
        known = f"Of rows there are: {', '.join(sorted(n for n, a in ANALYSES.items() if a.own_rows))}."
        message = "The analysis reads one value a feature and row, and here each feature has its own rows"
        raise MixflowError(Problem(message, value=name, remedy=known))
    return analysis.run(subject, **options)
