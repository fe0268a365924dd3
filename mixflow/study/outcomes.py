"""Values of the data met with the families of the models: those that no such distribution gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.study import families
from mixflow.study.columns import terms_of
from mixflow.study.plan import fitted_frame
from mixflow.study.sheet import Sheet
from mixflow.study.study import ModelConfig, Study
from mixflow.study.values import Met

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.store.readers import RawTable


def problems(
    study: Study, read: Sheet, table: RawTable, scale: str | None, annotation: pd.DataFrame
) -> list[Problem]:
    """Features that the filters keep and whose values lie outside the support of a model's family.

    What is wrong with scale, filters, sheet or formula is told at its own place, and hides this.
    """
    models = [m for m in study.models if m.generalised and m.response != "presence"]
    if not models or scale is None or study.preprocess.summarise:
        return []
    try:
        found = _Data(study, read, table, scale, annotation)
        return [problem for model in models for problem in found.of(model)]
    except MixflowError:
        return []


class _Data:
    """The values as preprocess will make them: of kept features, by sample of the sheet."""

    def __init__(self, study: Study, read: Sheet, table: RawTable, scale: str, annotation: pd.DataFrame):
        from mixflow.preprocess.prepare import prepare

        met = Met(study, read, table, annotation)
        met.raw = raw = np.asarray(met.raw)
        self.study, self.read, self.samples = study, read, met.samples
        ready = met.prepared(scale, prepare)
        self.ids, self.raw, self.value = met.ids[ready.kept], raw[ready.kept], ready.value[ready.kept]

    def of(self, model: ModelConfig) -> list[Problem]:
        """The problems of one model."""
        frame = fitted_frame(self.read, model, terms_of(self.study, model))
        frame = frame.loc[[name for name in frame.index if name in set(self.samples)]]
        design = families.designs_of(self.study, model, frame)["mu"]
        columns = [self.samples.index(str(name)) for name in frame.index[design.rows]]
        values = self.value[:, columns]
        if model.response == "nonzero":
            values = np.where(self.raw[:, columns] == 0, np.nan, values)
        extent = families.extent(model, values)
        family, y, _ = families.outcome(self.study, model, frame, design, values, extent)
        return families.support(self.study, model, family, y, self.ids, design.labels)
