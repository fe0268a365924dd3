"""The order of injection that `batch.order` names: a number in each row, taken once within a batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from mixflow.errors import Problem
from mixflow.study.cells import SHOWN
from mixflow.study.rules import near
from mixflow.study.sheet import Sheet, lines
from mixflow.study.study import Study

MEASURED = ("sample", "qc")
"""Roles whose drift is looked at: blanks and reference channels have no part in it."""


def problems(study: Study, read: Sheet, bad: Collection[str | None] = ()) -> Iterator[Problem]:
    """What is wrong with the column; nothing where the config names none, or its cells are told as ``bad``."""
    name = study.batch.order
    if name is None or name in bad:
        return
    if name not in read.columns:
        remedy = near(name, list(read.columns)) + read.choice
        yield Problem(
            "the sheet has no such column", **study.place("batch", "order"), value=name, remedy=remedy
        )
        return
    measured = read.frame[read.role.isin(MEASURED)]
    numbers = pd.to_numeric(measured[name].astype(object), errors="coerce").astype(float)
    other = numbers.isna() & measured[name].notna()
    is_text = read.columns[name].kind != "number"
    if is_text and (name in study.samples.columns or other.all() or not other.any()):
        remedy = f"declare samples.columns.{name}: {{type: number}}, or name a column of numbers"
        place = study.place("batch", "order")
        yield Problem("the order of injection must be a number", **place, value=name, remedy=remedy)
        return
    yield from _text(read, measured.loc[other, name])
    yield from _missing(read, measured[name])
    yield from _twice(read, measured.assign(**{name: numbers}), name, next(iter(study.batch.factors), None))


def _text(read: Sheet, cells: pd.Series) -> Iterator[Problem]:
    remedy = "write the number of the injection, or the hours since the start, as a plain number"
    yield from _rows(read, cells, "no number in the order of injection", remedy)


def _missing(read: Sheet, cells: pd.Series) -> Iterator[Problem]:
    remedy = "write its number; leave `batch.order` out of the config if the order is not known"
    yield from _rows(read, cells[cells.isna()], "no number in the order of injection", remedy)


def _twice(read: Sheet, measured: pd.DataFrame, name: str, batch: str | None) -> Iterator[Problem]:
    """Places taken by two samples of one batch (the first batch factor, in which the count may start again)."""
    by = [name, *([batch] if batch in measured and batch != name else [])]
    known = measured[measured[by].notna().all(axis=1)]
    first = known.groupby(by, observed=True)[name].transform(lambda same: same.index[0])
    again = known.loc[first.index[first.to_numpy() != first.index.to_numpy()], name]
    within = f" within one {batch}" if len(by) > 1 else ""
    firsts = [_named(read, first[sample]) for sample in again.index]
    messages = [f"this place in the order is taken twice{within}, first by {told}" for told in firsts]
    remedy = "correct one of them; if the count starts again in each batch, name that factor first in batch.factors"
    yield from _rows(read, again, messages, remedy)


def _named(read: Sheet, sample: str) -> str:
    (row,) = lines(read, [sample])
    return f"'{sample}'" + ("" if row is None else f" in row {row}")


def _rows(read: Sheet, cells: pd.Series, message: str | Sequence[str], remedy: str) -> Iterator[Problem]:
    """A problem for each of the first cells, and one for the rest."""
    told = [message] * len(cells) if isinstance(message, str) else message
    rows = lines(read, cells.index)
    for i in range(min(len(cells), SHOWN)):
        value = None if pd.isna(cells.iloc[i]) else _plain(cells.iloc[i])
        place = {"file": read.file, "row": rows[i], "column": str(cells.name)}
        yield Problem(told[i], **place, value=value, remedy=remedy)
    if len(cells) > SHOWN:
        place = {"file": read.file, "row": rows[SHOWN], "column": str(cells.name)}
        yield Problem(f"{len(cells) - SHOWN} more such cells", **place, remedy="see the problems above")


def _plain(value: object) -> object:
    """12 for 12.0: as it stands in the sheet."""
    return int(value) if isinstance(value, float | np.floating) and float(value).is_integer() else value
