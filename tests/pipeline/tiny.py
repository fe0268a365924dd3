"""A study small enough to run in tests: 24 samples in 6 sites, 8 features, two models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.pipeline import steps

CONFIG: dict[str, Any] = {
    "study": "tiny",
    "title": "A tiny study",
    "data": {"files": "table.tsv", "format": "wide", "scale": "log2"},
    "samples": {
        "file": "samples.tsv",
        "id": "sample",
        "columns": {
            "group": {"type": "factor", "levels": ["a", "b"], "labels": ["control", "case"]},
            "age": {"type": "number", "unit": "years"},
            "site": {"type": "factor"},
        },
    },
    "batch": {"factors": "site", "method": "mixed"},
    "models": {
        "mixed": {
            "formula": "~ group + age + (1 | site)",
            "contrasts": {"case vs control": {"group": ["case", "control"]}},
        },
        "plain": {
            "formula": "~ group",
            "contrasts": {"case vs control": {"group": ["case", "control"]}, "any": {"group": "omnibus"}},
        },
    },
    "few_levels": "off",
}


def write(folder: Path, n_features: int = 8, **changes: Any) -> Path:
    """Write table, sheet and config.yaml into ``folder``; the config's path. ``changes`` replace keys."""
    rng = np.random.default_rng(3)
    ids = [f"s{i:02d}" for i in range(24)]
    site = np.repeat(np.arange(6), 4)
    group = np.tile([0, 1], 12)
    values = 20 + rng.normal(size=(n_features, 6))[:, site] + rng.normal(size=(n_features, 24))
    values[0] += 4 * group
    values[1::3, 5] = np.nan
    table = pd.DataFrame(values, index=[f"P{i:04d}" for i in range(n_features)], columns=ids)
    sheet = pd.DataFrame(
        {
            "sample": ids,
            "group": np.array(["a", "b"])[group],
            "age": 60 + np.arange(24) % 7,
            "site": [f"site {i}" for i in site],
        }
    )
    return steps.write(folder, table, sheet, {**CONFIG, **changes})
