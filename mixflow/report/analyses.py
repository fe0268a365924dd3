"""A section for each analysis of each model: words, pictures, the leading rows, the whole table as a file."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import pandas as pd
import xarray as xr

from mixflow.report import columns, leading
from mixflow.report.pack import Pack
from mixflow.report.pictures.analyses import pictures
from mixflow.report.section import Section
from mixflow.report.shown import Shown
from mixflow.report.view import View
from mixflow.store import analyses

STATIC_ROWS = 10
TEMPLATE = "analysis"
MOST_CHOICES = 12  # values of a column that can be chosen from a list


def sections(view: View) -> list[Section]:
    """The sections in the order of the models and of the config.

    In a copy to share, tables with a row for each level of a grouping factor are left out: levels name
    patients and places.
    """
    found = [
        shown
        for model, groups in analyses.tables(view.tree).items()
        for name, group in groups.items()
        if (shown := _shown(view, model, name, group)) is not None
    ]
    titles = Counter(shown.title for shown in found)
    return [_section(view, shown, len(found), titles[shown.title] > 1) for shown in found]


def _shown(view: View, model: str, name: str, group: xr.Dataset) -> Shown | None:
    if view.share and _of_levels(view, model, group):
        return None
    (own,) = [m for m in view.models if m.name == model]
    table = with_names(analyses.from_dataset(group), view.names)
    return Shown(own, name, table, dict(group.attrs), view.unit)


def with_names(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The table with the column `name` after `feature`; a column of its own of that name is called `of`."""
    if "feature" not in table:
        return table
    table = table.rename(columns={"name": "of"})
    table.insert(1, "name", [names.get(str(feature), str(feature)) for feature in table["feature"]])
    return table


def as_read(shown: Shown) -> Shown:
    """The analysis with the table as the page shows it: shares of the sources side by side, a row a feature."""
    if shown.analysis != "partition" or shown.table.empty:
        return shown
    keys = shown.table[["feature", "name", "status"]].drop_duplicates("feature").set_index("feature")
    sources = list(dict.fromkeys(shown.table["source"]))
    wide = shown.table.pivot(index="feature", columns="source", values="share").loc[keys.index, sources]
    meanings = {source: f"share of {source} in the feature's variance" for source in sources}
    told = {"columns": json.dumps(meanings), "analysis": shown.analysis, "options": json.dumps(shown.options)}
    table = (
        pd.concat([keys[["name"]], wide, keys[["status"]]], axis=1).rename_axis(columns=None).reset_index()
    )
    return dataclasses.replace(shown, table=table, attrs=told)


def _section(view: View, shown: Shown, n_analyses: int, repeated: bool) -> Section:
    read = as_read(shown)
    shapes = columns.shapes(read.table, read.meanings, read.level)
    page = leading.first_rows(read, leading.rows_allowed(n_analyses, len(shapes) + 1))
    words = {
        "title": shown.title + (f" ({_which(shown)})" if repeated else ""),
        "purpose": str(shown.attrs.get("purpose", "")),
        "help": str(shown.attrs.get("help", "")),
    }
    section = Section(f"analysis-{_anchor(shown.key)}", words=words, template=TEMPLATE)
    section.facts = {
        "shown": shown,
        "shapes": shapes,
        "page": page,
        "top": page.head(STATIC_ROWS).to_dict("records"),
        "n_rows": len(read.table),
        "note": "" if read is shown else ", there in full: a row for each source",
        "constants": [c for c in columns.constants(read.table) if c[1] not in shown.options.values()],
        "statuses": Counter(read.table["status"]).most_common() if "status" in read.table else [],
        "options": {k: _told(v) for k, v in shown.options.items() if v is not None},
    }
    for i, picture in enumerate(pictures(shown)):
        section.add(f"picture {i}", picture)
    section.tables[shown.key] = shown.table
    return section


def _which(shown: Shown) -> str:
    """What tells an analysis from another of the same title: its model, and its own name where it has one."""
    return shown.model.title + (f", {shown.name}" if shown.name != shown.analysis else "")


def _anchor(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text)


def _told(value: Any) -> str:
    """An option in words: lists by commas, maps by semicolons."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_told(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(_told(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value)


def embed(pack: Pack, made: list[Section]) -> list[dict[str, Any]]:
    """The leading rows of each analysis into ``pack``; the facts that the page's script needs of it."""
    found = []
    for section in made:
        if section.template != TEMPLATE or not len(section.facts["page"]):
            continue
        page, shapes = section.facts["page"], section.facts["shapes"]
        pack.text(f"y/{section.id}", columns.packed(page, shapes))
        chosen = [s.key for s in shapes if s.is_text and s.key not in ("name", "feature")]
        choices = {c: list(dict.fromkeys(map(str, page[c]))) for c in chosen}
        choices = {c: values for c, values in choices.items() if 1 < len(values) <= MOST_CHOICES}
        facts = {"columns": [s.facts() for s in shapes], "choices": choices}
        found.append({"id": section.id, **facts})
    return found


def _of_levels(view: View, model: str, group: xr.Dataset) -> bool:
    """Whether a column of text holds levels of a grouping factor of the model."""
    fit = view.group(f"fits/{model}")
    effects = json.loads(fit.attrs.get("effects", "{}")) if fit is not None else {}
    levels = {str(level) for pairs in effects.values() for level, _ in pairs} - {""}
    text = [array.values for array in group.data_vars.values() if array.dtype.kind in "OTU"]
    return any(levels.intersection(map(str, set(values))) for values in text)
