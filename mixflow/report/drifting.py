"""Whether what is compared goes along with the order of injection, and so with signal drift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from mixflow.formula import parse
from mixflow.harmonise.association import associate
from mixflow.report.pictures.drift import measured
from mixflow.report.view import View

CHANCE = 0.01  # p below which a factor is said to follow the order


class Followed(NamedTuple):
    """A column that is compared and follows the order within batches: eta (abs(r) of a number) and its p."""

    column: str
    strength: float
    p_value: float


def followed(view: View) -> list[Followed]:
    """Columns of the headline's contrasts that follow the order; none where its formula knows the order."""
    frame = _places(view)
    compared = dict.fromkeys(c.factor for c in view.headline.contrasts if c.factor in view.columns)
    if not compared or len(frame) < 2 or _known(view, frame["place"]):
        return []
    found = []
    for name in compared:
        values = view.factor_values(name, list(frame.index))
        tied = associate(values.to_frame(name), frame[["rest"]])
        strength, p = float(tied.strength[0, 0]), float(tied.p_value[0, 0])
        found += [Followed(name, strength, p)] if p < CHANCE else []
    return found


def _places(view: View) -> pd.DataFrame:
    """Place of each sample of the headline in its batch, and what is left of it without the batch's mean."""
    assert view.batch is not None
    frame = measured(view, str(view.batch.attrs["drift_order"]), str(view.batch.attrs["drift_batch"]))
    frame = frame[frame.index.isin(view.headline.rows or view.samples.index[view.roles == "sample"])]
    by = frame.groupby("batch")["order"]
    return frame.assign(
        place=frame["order"] - by.transform("min"), rest=frame["order"] - by.transform("mean")
    )


def _known(view: View, place: pd.Series) -> bool:
    """Whether the formula has the order, or a number that rises with the place in a batch as this one does."""
    assert view.batch is not None
    names = parse(view.headline.formula).variables
    numbers = [name for name in names if name in view.columns and view.columns[name].kind == "number"]
    ranks = place.rank()
    same = [abs(ranks.corr(view.samples[name][place.index].astype(float).rank())) for name in numbers]
    return str(view.batch.attrs["drift_order"]) in names or bool(np.nanmax([0.0, *same]) > 0.999)
