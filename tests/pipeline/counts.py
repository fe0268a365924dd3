"""A study of counts small enough for tests: 48 samples of 12 subjects, features that end in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

FEATURES = ("up", "plain", "gaps", "poisson", "separated", "zero", "constant", "large")
CONFIG: dict[str, Any] = {
    "study": "counted",
    "data": {"files": "table.tsv", "format": "wide", "scale": "count"},
    "samples": {
        "file": "samples.tsv",
        "id": "sample",
        "columns": {
            "group": {"type": "factor", "levels": ["a", "b"]},
            "subject": {"type": "factor"},
            "age": {"type": "number"},
            "tried": {"type": "number"},
        },
    },
    "preprocess": {"filters": {"near_zero_variance": False}},
    "models": {
        "abundance": {
            "formula": "~ group + offset(log(library_size)) + (1 | subject)",
            "family": "nbinom2",
            "contrasts": {"b vs a": {"group": ["b", "a"]}, "any": {"group": "omnibus"}},
            "analyses": {
                "terms": None,
                "means": {"factors": "group", "offset": 0},
                "residual_checks": {"simulations": 20},
                "families": {"among": ["poisson"]},
                "benchmarking": {"group": "subject"},
                "r2": None,
            },
        },
        "presence": {
            "formula": "~ group + (1 | subject)",
            "family": "binomial",
            "response": "presence",
            "contrasts": {"b vs a": {"group": ["b", "a"]}},
        },
    },
    "few_levels": "off",
}


def write(folder: Path, **changes: Any) -> Path:
    """Write table, sheet and config.yaml into ``folder``; the config's path. ``changes`` replace keys."""
    folder.mkdir(parents=True, exist_ok=True)
    table, sheet = data()
    table.to_csv(folder / "table.tsv", sep="\t", index_label="taxon")
    sheet.to_csv(folder / "samples.tsv", sep="\t", index=False)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}, sort_keys=False))
    return path


def data() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts (feature, sample) and the sheet."""
    rng = np.random.default_rng(11)
    n, ids = 48, [f"s{i:02d}" for i in range(48)]
    subject, group = np.repeat(np.arange(12), 4), np.tile([0, 1], 24)
    depth = rng.uniform(0.5, 2.0, n)
    effect = rng.normal(0, 0.5, 12)[subject]

    def counts(mean: np.ndarray, size: float) -> np.ndarray:
        return rng.poisson(mean * rng.gamma(size, 1 / size, n)).astype(float)

    rows = {
        "up": counts(3 * depth * np.exp(effect + group), 2.0),
        "plain": counts(2 * depth * np.exp(effect), 1.5),
        "gaps": counts(3 * depth * np.exp(effect), 1.0),
        "poisson": rng.poisson(5 * depth).astype(float),
        "separated": np.where(group == 1, rng.poisson(4 * depth), 0).astype(float),
        "zero": np.zeros(n),
        "constant": np.ones(n),
        "large": counts(2000 * depth, 20.0),
    }
    rows["gaps"][::7] = np.nan
    sheet = pd.DataFrame(
        {
            "sample": ids,
            "group": np.array(["a", "b"])[group],
            "subject": [f"u{i}" for i in subject],
            "age": 30 + np.arange(n) % 11,
            "tried": 60,
        }
    )
    return pd.DataFrame(rows, index=ids).T, sheet
