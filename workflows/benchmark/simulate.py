"""Simulate the table of the benchmark: simulate.py CONFIG WORK.

Writes WORK/samples.csv, WORK/data.zarr (what mixflow reads), and for each round WORK/peer-I.f64 and
WORK/peer-I.rows.json: a random subset of the features, different in each round, as raw float64 for R.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml


def table(config: dict[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    """The sample sheet and the values (feature, sample), NaN where missing."""
    rng = np.random.default_rng(config["seed"])
    n, features, groups = config["samples"], config["features"], config["groups"]
    group = np.arange(n) * groups // n
    sheet = pd.DataFrame(
        {
            "x1": rng.integers(0, 2, n).astype(float),
            "x2": rng.normal(size=n),
            "x3": rng.normal(size=n),
            "group": [f"g{g + 1:02d}" for g in group],
        },
        index=pd.Index([f"s{i + 1:03d}" for i in range(n)], name="sample"),
    )
    x = np.column_stack([np.ones(n), sheet[["x1", "x2", "x3"]].to_numpy()])
    effects = rng.normal(0, 0.5, (features, 3)) * (rng.random((features, 3)) < 0.3)
    beta = np.column_stack([rng.normal(20, 2, features), effects])
    between = np.where(rng.random(features) < config["no_variance"], 0.0, rng.gamma(2.0, 0.4, features))
    within = rng.gamma(4.0, 0.2, features)
    values = beta @ x.T + within[:, None] * rng.normal(size=(features, n))
    values += (between[:, None] * rng.normal(size=(features, groups)))[:, group]
    values[rng.random(values.shape) < config["missing"]] = np.nan
    return sheet, values


def subsets(config: dict[str, Any]) -> list[np.ndarray]:
    """Features that the peer fits in each round, none twice."""
    rng = np.random.default_rng(config["seed"] + 1)
    chosen = rng.permutation(config["features"])[: config["rounds"] * config["peer_features"]]
    return [np.sort(rows) for rows in np.array_split(chosen, config["rounds"])]


def write_store(sheet: pd.DataFrame, values: np.ndarray, path: Path) -> None:
    """The table as the store from which a study's fits read."""
    from mixflow.store import zarr_io

    labels = {
        "feature": np.array([f"f{i + 1:05d}" for i in range(len(values))], dtype=object),
        "sample": sheet.index.to_numpy(object),
    }
    data = {"raw": values, "value": values}
    variables = {name: (("feature", "sample"), array, {"unit": ""}) for name, array in data.items()}
    zarr_io.write(xr.Dataset(variables, coords=labels, attrs={"scale": "free", "unit": ""}), path, "data")


def main(config_file: str, work: str) -> None:
    """Write everything that the measurements read."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    folder.mkdir(parents=True, exist_ok=True)
    sheet, values = table(config)
    sheet.to_csv(folder / "samples.csv")
    write_store(sheet, values, folder / "data.zarr")
    for i, rows in enumerate(subsets(config), 1):
        values[rows].astype("<f8").tofile(folder / f"peer-{i}.f64")
        (folder / f"peer-{i}.rows.json").write_text(json.dumps(rows.tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
