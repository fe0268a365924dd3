"""How a study's data files are read: options of the reader, and sample columns that come with the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from mixflow.study.join import rename
from mixflow.study.sheet import Sheet
from mixflow.study.study import Study

if TYPE_CHECKING:
    from mixflow.store.readers import RawTable


def beside(study: Study, table: RawTable) -> pd.DataFrame:
    """The sample columns that came with the data, by the ids that samples have after `samples.id_map`."""
    return table.samples.set_axis(rename(list(table.sample_ids), study), axis=0)


def reader_options(study: Study, read: Sheet | None) -> dict[str, Any]:
    """Options of the reader: the configured ones, contaminants, and the ids that samples can have."""
    patterns = list(study.data.contaminant_patterns)
    options = {
        **study.data.options,
        "contaminants": {"drop": study.data.drop_contaminants, "patterns": patterns},
    }
    if read is not None:
        options["sample_ids"] = [*map(str, read.frame.index), *study.samples.id_map]
    return options
