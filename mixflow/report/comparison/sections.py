"""The sections of a comparison: facts for their templates, pictures and tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mixflow.report.comparison import frames, pictures
from mixflow.report.comparison.cube import Cube, Space
from mixflow.report.comparison.shares import OUTCOMES, TOGETHER, leading, shares
from mixflow.report.section import Section
from mixflow.status import MEANING

DRAWN = 6
"""Contrasts with pictures; the tables have all."""
LISTED = 60
"""Features in the table of the page."""


def sections(space: Space, cubes: list[Cube]) -> list[Section]:
    """In short; which choice matters; what holds; estimates side by side; statuses; all combinations."""
    found = {cube.title: shares(cube, space) for cube in cubes}
    varied = [cube for cube in cubes if not found[cube.title].empty] or cubes
    drawn = varied[:DRAWN]
    return [
        _summary(space, cubes, drawn, found),
        _choices(space, drawn, found),
        _stable(space, drawn),
        _estimates(drawn),
        _statuses(space, cubes, drawn),
        _combinations(space, cubes, drawn),
    ]


def _slug(i: int, kind: str) -> str:
    return f"{kind}_{i + 1}"


def _summary(space: Space, cubes: list[Cube], drawn: list[Cube], found: dict[str, pd.DataFrame]) -> Section:
    rows = [_row(cube, found[cube.title], space) for cube in cubes]
    by_title = {row["cube"].title: row for row in rows}
    section = Section("summary", {"rows": rows, "first": by_title[drawn[0].title], "space": space})
    first, best = drawn[0], by_title[drawn[0].title]["leading"]
    section.add("curve", pictures.curve(first, space, "combinations_by_hits"))
    section.add("agreement", pictures.agreement(first, space, best[0] if best else None, "agreement"))
    return section


def _row(cube: Cube, found: pd.DataFrame, space: Space) -> dict[str, Any]:
    there = np.flatnonzero(cube.there)
    hits = cube.hits[there]
    jaccard, rho = cube.jaccard[there], cube.correlation[there]
    worst = there[np.nanargmin(jaccard)] if np.isfinite(jaccard).any() else None
    return {
        "cube": cube,
        "n": len(there),
        "reference": int(cube.hits[space.reference]),
        "low": int(hits.min()),
        "middle": float(np.median(hits)),
        "high": int(hits.max()),
        "always": cube.always,
        "ever": len(cube.ever),
        "turned": int(cube.turned.sum()),
        "jaccard": _middle(jaccard),
        "lowest": float(np.nanmin(jaccard)) if worst is not None else float("nan"),
        "worst": space.names[worst] if worst is not None else "",
        "rho": _middle(rho),
        "leading": leading(found),
    }


def _middle(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _choices(space: Space, drawn: list[Cube], found: dict[str, pd.DataFrame]) -> Section:
    section, parts = Section("choices"), []
    for i, cube in enumerate(drawn):
        own, values = found[cube.title], frames.by_value(space, cube)
        section.add(_slug(i, "importance"), pictures.importance(cube, own, _slug(i, "importance")))
        wide = own.pivot(index="key", columns="outcome", values="share") if not own.empty else None
        parts.append(
            {
                "cube": cube,
                "picture": _slug(i, "importance"),
                "values": _grouped(values),
                "most": values["hits"].max(),
                "wide": [] if wide is None else _wide(wide),
            }
        )
        section.tables[_slug(i, "variance_explained")] = own.assign(model=cube.model, contrast=cube.contrast)
        section.tables[_slug(i, "by_value")] = values.assign(model=cube.model, contrast=cube.contrast)
    section.facts = {"parts": parts, "keys": space.keys}
    return section


def _grouped(values: pd.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(str(key), own.to_dict("records")) for key, own in values.groupby("key", sort=False)]


def _wide(wide: pd.DataFrame) -> list[dict[str, Any]]:
    wide = wide.reindex(columns=list(OUTCOMES))
    order = wide.drop(index=TOGETHER, errors="ignore").mean(axis=1).sort_values(ascending=False).index
    return [{"key": key, "shares": [float(v) for v in wide.loc[key]]} for key in [*order, TOGETHER]]


def _stable(space: Space, drawn: list[Cube]) -> Section:
    section, parts = Section("stable"), []
    for i, cube in enumerate(drawn):
        table = frames.features(cube)
        section.add(_slug(i, "stability"), pictures.stability(cube, _slug(i, "stability")))
        section.tables[_slug(i, "features")] = table.assign(model=cube.model, contrast=cube.contrast)
        rows = table[table["share"] > 0].head(LISTED).to_dict("records")
        place = {feature: at for at, feature in enumerate(cube.features)}
        for row in rows:
            row["not_with"] = (
                frames.keys_where(space, cube, place[row["feature"]]) if row["share"] < 1 else ""
            )
        parts.append(
            {
                "cube": cube,
                "picture": _slug(i, "stability"),
                "rows": rows,
                "ever": int((table["share"] > 0).sum()),
            }
        )
    section.facts = {"parts": parts}
    return section


def _estimates(drawn: list[Cube]) -> Section:
    section = Section("estimates", {"parts": []})
    for i, cube in enumerate(drawn):
        section.add(_slug(i, "estimates"), pictures.side_by_side(cube, _slug(i, "estimates")))
        section.facts["parts"].append({"cube": cube, "picture": _slug(i, "estimates")})
    return section


def _statuses(space: Space, cubes: list[Cube], drawn: list[Cube]) -> Section:
    """How fits ended, by model: all contrasts of a model have the same fits."""
    models = {cube.model: cube for cube in [*reversed(cubes), *reversed(drawn)]}
    kept = list(dict.fromkeys(cube.model for cube in [*drawn, *cubes]))
    rows = [row for model in kept for row in _ended(space, models[model])]
    section = Section("statuses", {"rows": rows, "several": len(kept) > 1})
    section.tables["statuses"] = pd.DataFrame(rows).drop(columns=["sentence"])
    return section


def _ended(space: Space, cube: Cube) -> list[dict[str, Any]]:
    meanings = {meaning.label: meaning.sentence for meaning in MEANING.values()}
    found = []
    for status in frames.statuses([cube]):
        counts = (cube.status[cube.there] == status).sum(axis=1)
        most = space.names[np.flatnonzero(cube.there)[counts.argmax()]]
        sentence = meanings.get(
            status, "The feature was filtered out in this combination, and kept in another."
        )
        numbers = {"fewest": int(counts.min()), "median": float(np.median(counts)), "most": int(counts.max())}
        found.append(
            {"model": cube.model, "status": status, **numbers, "most_in": most, "sentence": sentence}
        )
    return found


def _combinations(space: Space, cubes: list[Cube], drawn: list[Cube]) -> Section:
    table = frames.comparison(space, cubes)
    shown = [
        {
            "labels": list(space.labels.iloc[i]),
            "reference": i == space.reference,
            "cells": [
                (int(c.hits[i]), float(c.jaccard[i]), float(c.correlation[i])) if c.there[i] else None
                for c in drawn
            ],
        }
        for i in range(len(space.names))
    ]
    section = Section("combinations", {"rows": shown, "keys": space.keys, "cubes": drawn})
    section.tables["comparison"] = table
    return section
