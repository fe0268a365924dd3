"""What an analysis is: a name, words for the reader, and a function from a fitted model to a tidy table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design import Design
from mixflow.inference.contrasts import Contrast
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.refit import Fitted, Recipe
from mixflow.model import Fit


@dataclass(frozen=True, eq=False)
class Subject:
    """What an analysis looks at: one model's fit, its design, the values fitted (feature, row of the design).

    ``contrasts``: those the config asks for; ``df``: method of denominator df; ``alpha``: level of error;
    ``recipe``: prior weights and options of the fit.
    """

    fit: Fit
    design: Design
    values: np.ndarray
    contrasts: tuple[Contrast, ...] = ()
    df: str = "satterthwaite"
    alpha: float = 0.05
    recipe: Recipe = field(default_factory=Recipe)
    feature_of_row: np.ndarray | None = None
    """Where features have rows of their own (precursors of a protein): number of the feature of each row of
    the design; ``values`` is then (row of the design,)."""
    generalised: FittedFamily | None = None
    """Of a generalised model: its outcomes, family and designs."""
    others: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Tests of other models that an analysis names, by model: feature, contrast, estimate, p_value."""

    @property
    def fitted(self) -> Fitted:
        """The fit beside all that is needed to make it again."""
        return Fitted(self.fit, self.design, self.values, self.recipe)


@dataclass(frozen=True)
class Analysis:
    """``run(subject, **options)`` -> a table whose first column is ``feature``; a row may be a level, a term.

    ``title``, ``purpose`` (one sentence), ``help`` (how to read it, with the source) are the report's words.
    ``options``: JSON schema of each option, from which the config is checked and documented.
    An option whose schema has ``format: column`` names a column of the sample sheet, and is checked as such;
    With ``format: model`` it names another model of the study, whose tests are in `Subject.others`.
    ``where`` of the option seed: {option: value} with which the analysis draws random numbers.
    ``columns``: meaning (with unit) of each column of the table.
    ``own_rows``: whether it also takes a subject whose features have rows of their own (`feature_of_row`):
    set it where the analysis reads the fit alone.
    ``models``: kinds of models that it takes, "gaussian" and "generalised" (`Subject.generalised`).
    """

    name: str
    title: str
    purpose: str
    help: str
    run: Callable[..., pd.DataFrame]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    own_rows: bool = False
    models: tuple[str, ...] = ("gaussian",)


ANALYSES: dict[str, Analysis] = {}
"""Every analysis by its name in the config; filled by the modules of this package."""


def register(analysis: Analysis) -> Analysis:
    """Add an analysis; a name is used once."""
    if analysis.name in ANALYSES:
        raise ValueError(f"two analyses are called '{analysis.name}'")
    ANALYSES[analysis.name] = analysis
    return analysis
