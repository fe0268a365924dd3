"""`library_size`: the total of a sample over all features as read, a column beside the sheet's own.

Made at preprocess, before any filter or level, where the values are counts; every formula may name it, as in
`offset(log(library_size))`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.slices import Matrix, blocks
from mixflow.study.cells import SHOWN
from mixflow.study.columns import key_columns, terms_of
from mixflow.study.join import join
from mixflow.study.sheet import Sheet, SheetColumn, lines
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    from mixflow.store.readers import RawTable

NAME = "library_size"
LABEL = "library size"
KEYS = ("formula", "dispersion", "zi")
"""Keys of a model whose formulas may name it."""


def sizes(values: Matrix) -> np.ndarray:
    """Total (sample,) of the raw values (feature, sample), missing ones left out."""
    total = np.zeros(values.shape[1])
    for part in blocks(len(values), values.shape[1]):  # row upon row, so that blocks change no rounding
        seen = np.nan_to_num(values[part], nan=0.0, posinf=np.inf, neginf=-np.inf)
        total = np.add.reduce(np.concatenate([total[None], seen]), axis=0)
    return total


def places(study: Study) -> Iterator[tuple[ModelConfig, str]]:
    """Models, and their keys, that name the column."""
    for model in study.models:
        for key in KEYS:
            if NAME in _columns(study, model, key):
                yield model, key


def _columns(study: Study, model: ModelConfig, key: str) -> frozenset[str]:
    try:
        return terms_of(study, model).variables if key == "formula" else key_columns(model, key)
    except MixflowError:
        return frozenset()  # the check of the model says what is wrong with its formula


def check(
    study: Study, read: Sheet, table: RawTable | None, scale: str | None
) -> tuple[Sheet, list[Problem]]:
    """The sheet with the column, where a formula names it, and what is wrong with that.

    Without data (``table`` None) it holds made-up totals: whether a formula can be met needs no more.
    """
    found = list(places(study))
    if not found:
        return read, []
    model, key = found[0]
    place = {**study.place("models", model.name, key), "value": NAME}
    if NAME in read.frame:
        message = f"the sheet has a column `{NAME}`, which names the total counts of a sample"
        return read, [Problem(message, **place, remedy="rename the column in the sheet")]
    made = pd.Series(1000.0 + np.arange(len(read.frame)), index=read.frame.index)
    if scale not in (None, "count"):
        remedy = "correct data.scale, or take the term out; a column of the sheet can be an offset too"
        message = f"`{NAME}` is the total of counts, and the values are on the scale '{scale}'"
        return added(read, made), [Problem(message, **place, remedy=remedy)]
    totals = _totals(study, read, table)
    if totals is None:
        return added(read, made), []
    known = made.where(~made.index.isin(totals.index), totals.reindex(made.index))
    return added(read, known.where(known > 0, 1.0)), list(_empty(read, known))


def added(read: Sheet, totals: pd.Series) -> Sheet:
    """The sheet with the column; ``totals`` by sample id."""
    column = SheetColumn(NAME, "number", (), {}, None, LABEL)
    return replace(read, frame=read.frame.assign(**{NAME: totals}), columns={**read.columns, NAME: column})


def _totals(study: Study, read: Sheet, table: RawTable | None) -> pd.Series | None:
    """Totals of the samples that the data hold; None where there are no data, or ids do not meet."""
    if table is None:
        return None
    try:
        joined = join(read, table.sample_ids, study)
    except MixflowError:
        return None  # told at its own place
    return pd.Series(sizes(table.values)[joined.positions], index=list(joined.ids))


def _empty(read: Sheet, totals: pd.Series) -> Iterator[Problem]:
    """Samples that are fitted and in which nothing was counted: their logarithm is no offset."""
    bad = totals.index[(totals <= 0) & (read.role == "sample")]
    for name, row in zip(bad[:SHOWN], lines(read, bad[:SHOWN]), strict=True):
        more = f" (and {len(bad) - SHOWN} more)" if len(bad) > SHOWN and name == bad[0] else ""
        remedy = "leave the sample out by models.<model>.exclude, or correct the data"
        yield Problem(f"nothing was counted in sample '{name}'{more}", read.file, row, NAME, 0, remedy)
