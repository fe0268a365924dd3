"""The tables of a comparison: one for all combinations, one by value of each key, one by feature."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.report.comparison.cube import ABSENT, Cube, Space
from mixflow.status import FITTED, MEANING, Status

FINE = tuple(MEANING[status].label for status in Status if status in FITTED)
"""Statuses of fits whose estimates stand."""


def comparison(space: Space, cubes: list[Cube]) -> pd.DataFrame:
    """One row for each combination, model and contrast: the table for download."""
    parts = []
    for cube in cubes:
        table = pd.DataFrame(
            {"combination": space.names, **{k: space.labels[k].to_numpy() for k in space.keys}}
        )
        table["model"], table["contrast"] = cube.model, cube.contrast
        table["reference"] = np.arange(len(space.names)) == space.reference
        table["tested"] = np.isfinite(cube.p_value).sum(axis=1)
        table["hits"] = cube.hits
        table["higher"] = (cube.hit & (cube.estimate > 0)).sum(axis=1)
        table["lower"] = (cube.hit & (cube.estimate < 0)).sum(axis=1)
        table["shared_with_reference"] = (cube.hit & cube.hit[cube.reference]).sum(axis=1)
        table["jaccard"] = cube.jaccard.round(6)
        table["rank_correlation"] = cube.correlation.round(6)
        for status in statuses([cube]):
            table[f"fits: {status}"] = (cube.status == status).sum(axis=1)
        parts.append(table[cube.there])
    found = pd.concat(parts, ignore_index=True)
    counts = [name for name in found if str(name).startswith("fits: ")]
    return found.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, int))


def statuses(cubes: list[Cube]) -> list[str]:
    """Statuses that occur, those of good fits first."""
    found = {str(status) for cube in cubes for status in np.unique(cube.status[cube.there])} - {""}
    return sorted(found, key=lambda status: (status not in FINE, status))


def by_value(space: Space, cube: Cube) -> pd.DataFrame:
    """What each value of each key goes together with: means over the combinations that have it."""
    rows = []
    for key in space.keys:
        for level in space.levels(key):
            own = (space.labels[key].to_numpy() == level) & cube.there
            if own.any():
                rows.append({"key": key, "value": level, **_means(cube, own)})
    return pd.DataFrame(rows)


def _means(cube: Cube, own: np.ndarray) -> dict[str, float]:
    with np.errstate(invalid="ignore"):
        status = cube.status[own]
        return {
            "combinations": int(own.sum()),
            "hits": float(cube.hits[own].mean()),
            "jaccard": _mean(cube.jaccard[own]),
            "rank_correlation": _mean(cube.correlation[own]),
            "failed": float((~np.isin(status, (*FINE, ABSENT, ""))).sum(axis=1).mean()),
            "singular": float((status == "singular").sum(axis=1).mean()),
        }


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def features(cube: Cube) -> pd.DataFrame:
    """One row for each feature: how often it is called, and between what its estimates lie."""
    low, _, middle, _, high = cube.estimates()
    own = cube.reference
    table = pd.DataFrame(
        {
            "feature": cube.features,
            "name": cube.names,
            "called_in": cube.hit.sum(axis=0),
            "of": int(cube.there.sum()),
            "share": cube.share.round(6),
            "tested_in": np.isfinite(cube.p_value).sum(axis=0),
            "estimate_low": low,
            "estimate_median": middle,
            "estimate_high": high,
            "both_directions": cube.turned,
            "reference_estimate": cube.estimate[own],
            "reference_std_error": cube.std_error[own],
            "reference_q": cube.q_value[own],
        }
    )
    order = np.lexsort((-cube.strength, -cube.share))
    return table.iloc[order].reset_index(drop=True)


def keys_where(space: Space, cube: Cube, feature: int) -> str:
    """The value with which a feature that is called in some combinations is never called, if there is one."""
    called, found = cube.hit[:, feature], []
    for key in space.keys:
        labels = space.labels[key].to_numpy()
        never = [
            v
            for v in space.levels(key)
            if (own := (labels == v) & cube.there).any() and not called[own].any()
        ]
        if never:
            found.append(f"{key} = {' or '.join(never)}")
    return "; ".join(found)
