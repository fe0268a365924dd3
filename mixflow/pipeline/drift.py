"""Signal drift within the batches, as the batch step finds it: variables of the group `batch`, and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.study.config import Study
from mixflow.study.order import MEASURED
from mixflow.study.sheet import Sheet

if TYPE_CHECKING:
    from mixflow.harmonise.drift import Drift

CURVES = 6
"""Features whose curves are kept: those in which drift is clearest."""
POINTS = 40
NAMED = 5


class Found(NamedTuple):
    """Per-feature variables and attrs of the group `batch`, the group `batch/drift_curves`, and sentences."""

    variables: dict[str, Any]
    attrs: dict[str, str]
    curves: xr.Dataset | None
    notes: list[str]


def find(study: Study, kept: xr.Dataset, sheet: Sheet) -> Found:
    """Drift along `batch.order` within the first batch factor; nothing where the config names no order.

    ``kept``: the group `data`, kept features only. Where no batch has enough samples a note says so.
    """
    order, batch = study.batch.order, next(iter(study.batch.factors), None)
    if order is None:
        return Found({}, {}, None, [])
    from mixflow.harmonise.drift import LEAST, TooFewSamples, drift

    told = {"drift_order": order, "drift_batch": batch or ""}
    measured = sheet.role.isin(MEASURED).to_numpy()
    values, frame = kept["value"].values[:, measured], sheet.frame[measured]
    is_qc = (sheet.role[measured] == "qc").to_numpy()
    try:
        found = drift(values, frame, order, batch, is_qc=is_qc, feature_ids=kept["feature"].values)
    except TooFewSamples as error:
        note = f"Drift along {order} was not tested: no {batch or 'batch'} has {LEAST} samples at different places "
        note += f"(the largest has {error.problems[0].value})."
        return Found({}, told, None, [note])
    table = found.table()
    names = {"share": "share", "edf": "edf", "p_value": "p", "q_value": "q", "n_obs": "n"}
    variables = {f"drift_{short}": ("feature", table[name].to_numpy()) for name, short in names.items()}
    attrs = told | {"drift_used": found.used}
    return Found(variables, attrs, _curves(found, table), _notes(found, table, batch))


def _curves(found: Drift, table: pd.DataFrame) -> xr.Dataset:
    """Curves of the features with the smallest p, the largest share first where p is equal."""
    order = table.sort_values(["p_value", "share"], ascending=[True, False], kind="stable")
    leading = order.index[order["p_value"].notna()][:CURVES]
    curves = [found.curve(i, POINTS).assign(feature_id=table["feature"][i]) for i in leading]
    columns = ["feature_id", "batch", "order", "estimate", "std_error"]
    rows = pd.concat(curves)[columns] if curves else pd.DataFrame(columns=columns)
    text = ("feature_id", "batch")
    types = {name: object if name in text else np.float64 for name in columns}
    return xr.Dataset({name: ("point", rows[name].to_numpy(dtype=types[name])) for name in columns})


def _notes(found: Drift, table: pd.DataFrame, batch: str | None) -> list[str]:
    from mixflow.harmonise.drift import ALL, LEAST

    notes = []
    if found.used == ALL:
        within = f"in every {batch} " if batch else ""
        notes.append(
            f"There are not {LEAST} QC samples {within}to read drift from, so all samples were used: drift is mixed "
            "there with whatever else follows the order."
        )
    if found.left_out:
        more = f" and {len(found.left_out) - NAMED} more" if len(found.left_out) > NAMED else ""
        names = ", ".join(found.left_out[:NAMED]) + more
        notes.append(f"Fewer than {LEAST} samples at different places, so without a drift curve: {names}.")
    untested = int(table["p_value"].isna().sum())
    if untested:
        notes.append(f"{untested} of {len(table)} features have too few values to be tested for drift.")
    return notes
