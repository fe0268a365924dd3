"""Features seen in one group only: the table `data/one_group`, which follows the models' factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.preprocess.one_group import one_group, repeats
from mixflow.store import lazy
from mixflow.study.columns import fixed_columns, terms_of
from mixflow.study.config import Study
from mixflow.study.plan import fitted_frame, load_plan
from mixflow.study.sheet import Sheet

TEXT = ("feature_id", "factor", "level")
NOTE = (
    "No p-values: several samples come from one {unit}, and Fisher's exact test takes samples as independent."
)
COUNTS = ("n_observed", "n_level", "n_other")


def one_group_table(study: Study, data: xr.Dataset, sheet: Sheet) -> xr.Dataset:
    """Features seen in a single level of a factor among the fixed effects of any model.

    Counted are the rows of the headline model. Where the unit repeats among them p is NaN and the attr `note`
    says why.
    """
    fitted, name = headline_rows(study, sheet), study.samples.unit
    factors = sheet.frame[compared_factors(study, sheet)]
    units = sheet.frame[name] if name else None
    ids = list(data["feature"].values)
    found = one_group(lazy.of(data["raw"]), data.attrs["scale"], factors, fitted, ids, units)
    note = NOTE.format(unit=name) if units is not None and repeats(units[fitted]) else ""
    table = {name: ("only", _typed(found, name)) for name in (*TEXT, *COUNTS, "p_value")}
    return xr.Dataset(table, attrs={"note": note})


def headline_rows(study: Study, sheet: Sheet) -> np.ndarray:
    """Which samples (sample,) the headline model fits."""
    plan = load_plan(study).headline
    return sheet.frame.index.isin(fitted_frame(sheet, plan, terms_of(study, plan)).index)


def compared_factors(study: Study, sheet: Sheet) -> list[str]:
    """Factors that stand among the fixed effects of a model of the plan, in the order of the sheet."""
    used: set[str] = set()
    for model in load_plan(study).models:
        used |= fixed_columns(terms_of(study, model))
    return [name for name, column in sheet.columns.items() if name in used and column.kind != "number"]


def _typed(found: pd.DataFrame, name: str) -> Any:
    if name in TEXT:
        return np.asarray(found[name].astype(str) if len(found) else [], dtype=object)
    return found[name].to_numpy(dtype="int64" if name in COUNTS else "float64")
