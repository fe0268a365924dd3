"""Models whose features have rows of their own: the precursors of a protein, each in every run.

With `preprocess.summarise.method: none` a model whose formula names `peptide` reads one row for each value of
a protein's precursors. Its frame has the columns of the sample sheet, `peptide` (the precursor's id) and,
where the sheet has no column of that name, `run` (the sample's id); it is indexed by sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mixflow.errors import Problem
from mixflow.study.columns import terms_of
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    import pandas as pd


PEPTIDE, RUN = "peptide", "run"
PROTEIN = "protein"


def reads_rows(study: Study, model: ModelConfig) -> bool:
    """Whether the model reads the rows of each protein, not the protein table."""
    return study.preprocess.rows_fitted and PEPTIDE in terms_of(study, model).variables


def columns(study: Study, sheet: pd.DataFrame) -> list[str]:
    """Names that a formula of the study may use."""
    added = [PEPTIDE, *([] if RUN in sheet else [RUN])] if study.preprocess.rows_fitted else []
    return [*map(str, sheet.columns), *added]


def frame_of(samples: pd.DataFrame, sample: np.ndarray, peptide: np.ndarray) -> pd.DataFrame:
    """The frame of rows: ``sample`` (n,) positions in ``samples``, ``peptide`` (n,) ids."""
    import pandas as pd

    rows = samples.iloc[sample]
    added = {PEPTIDE: pd.Categorical(peptide)}
    if RUN not in samples:
        names = pd.Index(samples.index.astype(str))
        added[RUN] = pd.Categorical.from_codes(sample, categories=names)
    return rows.assign(**added)


def rehearsed(samples: pd.DataFrame) -> pd.DataFrame:
    """The frame of a protein with two precursors in every sample: a formula is checked on it before data."""
    sample = np.repeat(np.arange(len(samples)), 2)
    return frame_of(samples, sample, np.tile(np.array(["1", "2"], dtype=object), len(samples)))


def problems(study: Study, model: ModelConfig, sheet: pd.DataFrame) -> Iterator[Problem]:
    """What a model of rows cannot have."""
    place = ("models", model.name)
    if PEPTIDE in sheet:
        remedy = f"rename the column in the sheet: `{PEPTIDE}` names the precursor of a row"
        yield Problem(
            "the sheet has a column of this name",
            **study.place(*place, "formula"),
            value=PEPTIDE,
            remedy=remedy,
        )
    for key in ("residual", "dispersion", "relationship", "variances", "zi", "trials"):
        if getattr(model, key):
            remedy = "leave it out, or use preprocess.summarise.method: median-polish"
            message = "a model of the precursors' rows takes no further structure"
            yield Problem(message, **study.place(*place, key), value=getattr(model, key), remedy=remedy)
    if model.generalised:
        remedy = "leave it out, or use preprocess.summarise.method: median-polish"
        message = "a model of the precursors' rows is Gaussian"
        yield Problem(message, **study.place(*place, "family"), value=model.family, remedy=remedy)
    if model.df == "containment":
        remedy = "use df: satterthwaite or kenward-roger"
        message = "these degrees of freedom are not worked out for features with rows of their own"
        yield Problem(message, **study.place(*place, "df"), value=model.df, remedy=remedy)
    if study.batch.fit_on == "harmonised":
        remedy = "use batch.fit_on: raw with the batch in the formula"
        message = (
            "harmonised values are those of the protein table, and this model reads the precursors' rows"
        )
        yield Problem(message, **study.place("batch", "fit_on"), value="harmonised", remedy=remedy)
