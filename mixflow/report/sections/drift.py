"""The part on signal drift of the section on batches: how many features drift, how much, and which most."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mixflow.report.pictures import drift as pictures
from mixflow.report.section import Section
from mixflow.report.view import View


def add(section: Section, view: View) -> None:
    """Facts, table and pictures of the drift, where the study looked for it."""
    section.facts["drift"] = None
    if view.batch is None or not view.batch.attrs.get("drift_order"):
        return
    table = view.drift
    section.facts["drift"] = facts(view, table)
    if table.empty:
        return
    section.tables["drift"] = table
    if table["q_value"].notna().any():
        alpha = view.headline.alpha
        section.add("drift share", pictures.share(table, view.batch.attrs["drift_batch"], alpha))
        section.add("drift curves", pictures.curves(view, leaders(view, table, alpha)))


def facts(view: View, table: pd.DataFrame) -> dict[str, Any]:
    """Counts and medians for the sentence; no counts where no batch had enough samples."""
    assert view.batch is not None
    attrs = view.batch.attrs
    told = {key: str(attrs.get(f"drift_{key}", "")) for key in ("order", "batch", "used")}
    known = table.dropna(subset=["q_value"])
    drifts = known[known["q_value"] < view.headline.alpha]
    return told | {
        "alpha": view.headline.alpha,
        "tested": len(known),
        "untested": len(table) - len(known),
        "drifting": len(drifts),
        "share": known["share"].median(),
        "share_drifting": drifts["share"].median(),
    }


def leaders(view: View, table: pd.DataFrame, alpha: float) -> list[str]:
    """Features with a stored curve whose drift is below the false discovery rate: no curve is drawn of noise."""
    drifts = set(table["feature"][table["q_value"] < alpha])
    return [str(f) for f in dict.fromkeys(view.drift_curves["feature_id"]) if f in drifts]
