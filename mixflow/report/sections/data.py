"""Sections on the data: study and design, quality, batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mixflow.report.pictures import absence
from mixflow.report.pictures import batch as batch_pictures
from mixflow.report.pictures import quality as quality_pictures
from mixflow.report.section import Section
from mixflow.report.sections import drift
from mixflow.report.share import SMALLEST_CELL, suppressed
from mixflow.report.view import Column, View

MOST_LEVELS = 30  # rows of a table of counts
CARD_LEVELS = 12  # levels listed one by one


def design(view: View) -> Section:
    """Samples by factor, what was dropped, formulas in words, reference levels."""
    section = Section("design")
    model = view.headline
    used = set(model.rows) or set(view.samples.index[view.roles == "sample"])
    sheet = view.samples[view.samples.index.isin(used)]
    section.facts = {
        "models": view.models,
        "n_features": len(view.features),
        "n_kept": int(view.kept.sum()),
        "n_samples": len(view.samples),
        "n_used": len(sheet),
        "roles": view.roles.value_counts().to_dict(),
        "references": model.attr("references", {}),
        "factors": [_factor_facts(view, sheet, c) for c in view.columns.values() if c.is_factor],
        "numbers": _numbers(view, sheet),
        "crossed": _crossed(view, sheet),
        "dropped": _dropped(view),
        "dropped_rows": _dropped_rows(view),
        "notes": view.notes,
    }
    section.tables["samples_by_factor"] = _counts_table(section.facts["factors"])
    section.tables["dropped_features"] = _dropped_table(view)
    return section


def _factor_facts(view: View, sheet: pd.DataFrame, column: Column) -> dict[str, Any]:
    counts = view.factor_values(column.name, list(sheet.index)).value_counts(sort=False)
    shown = len(counts) <= CARD_LEVELS and not (view.share and counts.median() < SMALLEST_CELL)
    cells = counts.to_frame("samples")
    text = suppressed(cells)["samples"] if view.share else cells["samples"].astype(str)
    rows = (
        [{"level": str(level), "n": int(n), "text": text[level]} for level, n in counts.items()]
        if shown
        else []
    )
    reference = view.headline.attr("references", {}).get(column.name, column.reference)
    seen = counts[counts > 0]
    return {
        "name": column.name,
        "label": column.label,
        "levels": rows,
        "n_levels": len(seen),
        "median": seen.median(),
        "reference": reference,
        "most": max([r["n"] for r in rows], default=1),
    }


def _numbers(view: View, sheet: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for column in view.columns.values():
        values = (
            sheet[column.name].astype(float).dropna() if column.kind == "number" else pd.Series(dtype=float)
        )
        if not len(values):
            continue
        facts = {
            "label": column.label,
            "unit": column.unit,
            "mean": values.mean(),
            "sd": values.std(),
            "n": len(values),
        }
        ends = {} if view.share else {"low": values.min(), "high": values.max()}
        found.append(facts | ends)
    return found


def _crossed(view: View, sheet: pd.DataFrame) -> list[dict[str, Any]]:
    """Samples of each contrast factor by each batch factor, the tables in which confounding shows."""
    compared = dict.fromkeys(
        c.factor for c in view.headline.contrasts if c.levels and c.factor in view.columns
    )
    batches = [f for f in (view.batch_factors or view.headline.groups) if f in view.columns]
    found = []
    for factor in compared:
        for batch_factor in batches:
            counts = pd.crosstab(
                sheet[batch_factor].astype(str), view.factor_values(factor, list(sheet.index)), dropna=False
            )
            if factor == batch_factor or len(counts) > MOST_LEVELS:
                continue
            text = suppressed(counts) if view.share else counts.astype(str)
            found.append(
                {"factor": factor, "by": batch_factor, "columns": [str(c) for c in counts.columns],
                 "rows": [(str(i), list(text.loc[i]), list(counts.loc[i])) for i in counts.index],
                 "most": int(counts.to_numpy().max(initial=1))}
            )  # fmt: skip
    return found


def _dropped(view: View) -> list[dict[str, Any]]:
    return [
        {"reason": reason.replace("_", " "), "n": len(ids), "ids": [] if view.share else ids[:30]}
        for reason, ids in view.dropped.items()
        if ids
    ]


def _dropped_rows(view: View) -> list[dict[str, Any]]:
    found = []
    for model in view.models:
        for reason, ids in model.attr("dropped_rows", {}).items():
            if ids and not (view.share and len(ids) < SMALLEST_CELL):
                shown = [] if view.share else list(ids)[:20]
                found.append({"model": model.title, "reason": reason, "n": len(ids), "ids": shown})
    return found


def _counts_table(factors: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {"factor": f["name"], "level": r["level"], "samples": r["text"]} for f in factors for r in f["levels"]
    ]
    return pd.DataFrame(rows, columns=["factor", "level", "samples"])


def _dropped_table(view: View) -> pd.DataFrame:
    rows = [
        {"reason": reason, "id": i, "name": view.names.get(i, "")}
        for reason, ids in view.dropped.items()
        for i in ids
    ]
    known = pd.DataFrame(rows, columns=["reason", "id", "name"])
    in_data = known["id"].isin(view.features.index)
    return known[in_data | ~known["id"].isin(view.sample_ids)] if not view.share else known[in_data]


def quality(view: View) -> Section:
    """Missingness, distributions, QC samples."""
    section = Section("quality")
    section.add("missingness", absence.missingness(view))
    section.add("intensity", absence.intensity(view))
    section.add("distributions", quality_pictures.distributions(view))
    section.add("qc", quality_pictures.qc_cv(view))
    missing, word = absence.absence(view)
    section.facts = {
        "word": word,
        "missing": missing.mean(),
        "complete": int((missing.by_feature == 0).sum()),
        "n_features": len(view.features),
        "n_qc": int((view.roles == "qc").sum()),
        "attrs": view.data.attrs,
    }
    return section


def batch(view: View) -> Section:
    """What batches explain, where the samples lie, and what goes together with them."""
    section = Section("batch")
    section.facts = {
        "batch": view.batch,
        "factors": view.batch_factors,
        "notes": view.batch_notes,
        "associations": [],
    }
    drift.add(section, view)
    if view.batch is None:
        return section
    section.add("share", batch_pictures.shares(view))
    for factor in view.batch_factors:
        if factor in view.samples:
            section.add(f"components {factor}", batch_pictures.components(view, factor))
    section.facts |= {
        "attrs": view.batch.attrs,
        "associations": _associations(view),
        "components": [p for k, p in section.pictures.items() if k.startswith("components")],
    }
    if section.facts["associations"]:
        section.tables["batch_association"] = pd.DataFrame(section.facts["associations"])
    return section


def _associations(view: View) -> list[dict[str, Any]]:
    batch_group = view.batch
    if batch_group is None or "association" not in batch_group:
        return []
    found = []
    for i, factor in enumerate(batch_group["batch_factor"].values):
        for j, column in enumerate(batch_group["column"].values):
            found.append(
                {
                    "batch_factor": str(factor),
                    "column": str(column),
                    "association": float(batch_group["association"].values[i, j]),
                    "p_value": float(batch_group["association_p"].values[i, j]),
                    "aliased": bool(batch_group["aliased"].values[i, j]),
                }
            )
    return sorted(found, key=lambda r: -np.nan_to_num(r["association"]))
