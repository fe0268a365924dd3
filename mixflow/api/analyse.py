"""Any analysis of `mixflow.derived` on a result, as a config's `analyses` asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast
from mixflow.inference.refit import Fitted


def analyse(
    fitted: Fitted, name: str, contrasts: Sequence[Contrast], df: str, alpha: float, options: dict[str, Any]
) -> pd.DataFrame:
    """The table of the analysis ``name``. Raises MixflowError for an unknown name or option."""
    if name not in ANALYSES:
        known = f"Known: {', '.join(sorted(ANALYSES))}."
        raise MixflowError(Problem("There is no such analysis", value=name, remedy=known))
    analysis = ANALYSES[name]
    for option in sorted({*options} - {*analysis.options}):
        known = f"Options of {name}: {', '.join(analysis.options) or 'none'}."
        raise MixflowError(Problem("The analysis has no such option", value=option, remedy=known))
    subject = Subject(
        fitted.fit, fitted.design, fitted.values, tuple(contrasts), df, alpha, recipe=fitted.recipe
    )
    return analysis.run(subject, **options)
