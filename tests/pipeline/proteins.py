"""A made-up table of precursors, small enough to run: 12 proteins of 1 to 4 precursors in 12 runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

CONFIG: dict[str, Any] = {
    "study": "small",
    "data": {"files": "long.tsv", "format": "msstats"},
    "samples": {
        "file": "runs.tsv",
        "id": "Run",
        "columns": {"condition": {"type": "factor", "levels": ["A", "B"]}, "lab": {"type": "factor"}},
    },
    "preprocess": {
        "transform": "log2",
        "normalise": "median",
        "summarise": {"method": "none"},
        "filters": {"min_precursors": 2, "min_runs": 4},
    },
    "batch": {"factors": "lab"},
    "few_levels": "off",
    "models": {
        "rows": {
            "formula": "~ condition + lab + (1 | run) + (1 | peptide)",
            "contrasts": {"B-A": {"condition": ["B", "A"]}},
        },
        "table": {"formula": "~ condition + lab", "contrasts": {"B-A": {"condition": ["B", "A"]}}},
    },
}
RUNS = [f"r{i:02d}" for i in range(12)]


def write(folder: Path, **changes: Any) -> Path:
    """Write long table, runs and config.yaml into ``folder``; the config's path. ``changes`` replace keys."""
    rng = np.random.default_rng(5)
    rows = []
    for p in range(12):
        level = rng.normal(0, 0.3, 12) + (2 if p == 0 else 0) * (np.arange(12) % 2)
        for k in range(1 + (p + 3) % 4):
            values = 2 ** (20 + rng.normal(0, 2) + level + rng.normal(0, 0.2, 12))
            values[rng.random(12) < 0.2] = np.nan
            proteins = f"P{p:02d};P99" if (p, k) == (4, 1) else f"P{p:02d}"
            rows += [
                (proteins, f"PEP{p}K{k}", 2, run, value) for run, value in zip(RUNS, values, strict=True)
            ]
    names = ["ProteinName", "PeptideSequence", "PrecursorCharge", "Run", "Intensity"]
    table = pd.DataFrame(rows, columns=names)
    table.assign(FragmentIon="", ProductCharge="", IsotopeLabelType="L").to_csv(
        folder / "long.tsv", sep="\t", index=False
    )
    runs = {"Run": RUNS, "condition": ["A", "B"] * 6, "lab": np.repeat(["x", "y", "z"], 4)}
    pd.DataFrame(runs).to_csv(folder / "runs.tsv", sep="\t", index=False)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}, sort_keys=False))
    return path
