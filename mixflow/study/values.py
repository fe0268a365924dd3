"""Values of the data met with transform, normalisation and filters: what preprocess would refuse, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.slices import Matrix, Sliced
from mixflow.study import level as levels
from mixflow.study.join import join
from mixflow.study.models import collect
from mixflow.study.sheet import Sheet
from mixflow.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.preprocess.prepare import Prepared
    from mixflow.store.readers import RawTable


def problems(
    study: Study, read: Sheet, table: RawTable, scale: str | None, annotation: pd.DataFrame
) -> list[Problem]:
    """What `prepare` refuses, at its keys of the config: a zero under log2, a sum of zero, an infinite value.

    Not of proteins, which are summarised first. Samples that do not match are told at their own place.
    """
    from mixflow.preprocess.by_blocks import prepare_matrix

    if scale is None or study.preprocess.summarise:
        return []
    try:
        met = Met(study, read, table, annotation)
    except MixflowError:
        return []
    found: list[Problem] = []
    collect(found, lambda: met.prepared(scale, prepare_matrix))
    return [p if p.file else replace(p, **study.place(*(p.column or "preprocess").split("."))) for p in found]


class Met:
    """Values of the samples that are in data and sheet, at the level asked for, as read.

    ``raw`` (feature, sample), ``ids`` (feature,), ``samples`` their ids.
    """

    def __init__(self, study: Study, read: Sheet, table: RawTable, annotation: pd.DataFrame):
        from mixflow.preprocess import level

        joined, self.study, self.read = join(read, table.sample_ids, study), study, read
        self.samples = list(joined.ids)
        values: Matrix = table.values
        self.raw: Matrix = (
            values.columns(joined.positions) if isinstance(values, Sliced) else values[:, joined.positions]
        )
        self.ids = np.asarray(table.feature_ids, dtype=object)
        taxa = levels.taxa(study, annotation)
        if taxa is not None:
            self.raw = level.summed(np.asarray(self.raw), taxa.of, len(taxa.names))
            self.ids = np.array(taxa.names, dtype=object)

    def prepared(self, scale: str, way: Callable[..., Prepared]) -> Prepared:
        """The values as preprocess will make them, by `prepare` or its like."""
        role = self.read.role.loc[self.samples]
        facts: dict[str, Any] = {
            "is_sample": (role == "sample").to_numpy(),
            "is_reference": (role == "reference").to_numpy(),
            "sheet": self.read.frame.loc[self.samples],
            "features": list(self.ids),
            "samples": self.samples,
        }
        return way(self.raw, scale, self.study.raw["preprocess"], **facts)
