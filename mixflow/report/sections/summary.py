"""The first page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.report.doubts import doubts
from mixflow.report.pictures.variance import partition
from mixflow.report.pictures.volcano import volcano
from mixflow.report.scale import capital, with_ratio
from mixflow.report.section import Section
from mixflow.report.story import comparison, contrast_rows, explained, headline_sentence, leaders
from mixflow.report.view import View
from mixflow.status import Status

LEADERS = 10


def summary(view: View) -> Section:
    """Headline, leaders, the models side by side, what is to be doubted, what explains the variance."""
    model = view.headline
    rows = contrast_rows(model)
    first = rows[0] if rows else None  # the user named it first
    section = Section("summary")
    section.facts = {
        "model": model,
        "contrasts": rows,
        "first": first,
        "sentence": headline_sentence(first) if first else "",
        "n_features": len(model.feature_ids),
        "comparison": comparison(view),
        "doubts": doubts(view),
        "explained": explained(view, model),
        "singular": model.status_counts().get(Status.SINGULAR, 0),
        "forest": forest(with_ratio(leaders(model, first.contrast.name, LEADERS), model.scale))
        if first
        else [],
        "ratio": capital(model.scale.ratio),
    }
    if first:
        frame = model.results(first.contrast.name)
        text = first.contrast.text
        axis = model.scale.axis(view.unit)
        section.add("volcano", volcano(frame, first.slug, first.contrast.name, text, axis, model.alpha))
    else:
        section.add("partition", partition(model))
    section.tables["models"] = _models_table(view)
    return section


def forest(frame: pd.DataFrame) -> list[dict]:
    """Rows of a table with estimate and limits placed on a common scale from 0 to 100."""
    if frame.empty:
        return []
    low, high = min(0.0, float(frame["conf_low"].min())), max(0.0, float(frame["conf_high"].max()))
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - low) / span, 1)

    return [
        {
            **row,
            "zero": at(0.0),
            "x": at(row["estimate"]),
            "x0": at(row["conf_low"]),
            "x1": at(row["conf_high"]),
        }
        for row in frame.to_dict("records")
        if np.isfinite(row["estimate"])
    ]


def _models_table(view: View) -> pd.DataFrame:
    rows = []
    for row in comparison(view):
        for contrast, count in zip(view.headline.contrasts, row.counts, strict=True):
            rows.append(
                {
                    "model": row.model.name,
                    "title": row.model.title,
                    "role": row.model.role,
                    "formula": row.model.formula,
                    "structure": "; ".join(f"{key}: {text}" for key, text in row.model.beside.items()),
                    "df": row.model.df_method,
                    "samples": row.model.n_samples,
                    "contrast": contrast.name,
                    "tested": count.tested if count else "",
                    "hits": count.hits if count else "",
                    "shared_with_headline": count.shared if count else "",
                }
            )
    return pd.DataFrame(rows)
