"""The tables of the models' analyses, as they are exported beside the page."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd
import xarray as xr

from mixflow.report.section import Section
from mixflow.report.view import View
from mixflow.store import analyses


def exported(view: View, sections: Sequence[Section]) -> Section:
    """A section for files only: the table `<model>.<name>` of each analysis that no other section exports.

    In a copy to share, tables with a row for each level of a grouping factor are left out: levels name
    patients and places.
    """
    told = {name for section in sections for name in section.tables}
    tables = {name: table for name, table in named(view).items() if name not in told}
    return Section("analyses", tables=tables)


def named(view: View) -> dict[str, pd.DataFrame]:
    """`<model>.<name>` -> the table, features named as in the other tables."""
    return {
        f"{model}.{name}": with_names(analyses.from_dataset(group), view.names)
        for model, groups in analyses.tables(view.tree).items()
        for name, group in groups.items()
        if not (view.share and _of_levels(view, model, group))
    }


def with_names(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The table with the column `name` after `feature`, where it has none."""
    if "name" in table or "feature" not in table:
        return table
    table = table.copy()
    table.insert(1, "name", [names.get(str(feature), str(feature)) for feature in table["feature"]])
    return table


def _of_levels(view: View, model: str, group: xr.Dataset) -> bool:
    """Whether a column of text holds levels of a grouping factor of the model."""
    fit = view.group(f"fits/{model}")
    effects = json.loads(fit.attrs.get("effects", "{}")) if fit is not None else {}
    levels = {str(level) for pairs in effects.values() for level, _ in pairs} - {""}
    text = [array.values for array in group.data_vars.values() if array.dtype.kind in "OTU"]
    return any(levels.intersection(map(str, set(values))) for values in text)
