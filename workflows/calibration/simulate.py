"""Null features of one scenario: simulate.py CONFIG SCENARIO WORK.

Writes WORK/SCENARIO.npz (values, true intraclass correlations and residual variances), WORK/samples.csv and
WORK/SCENARIO.f64, the first features as raw float64 for R.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml


def sheet(config: dict[str, Any]) -> pd.DataFrame:
    """The sample sheet: one row a value, groups in order."""
    group = np.repeat(np.arange(config["groups"]), config["rows"])
    between = (group >= config["groups"] // 2).astype(float)
    within = np.tile(np.arange(config["rows"]) % 2.0, config["groups"])
    return pd.DataFrame({"group": [f"g{g + 1}" for g in group], "between": between, "within": within})


def truth(config: dict[str, Any], scenario: str) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Intraclass correlation and scale of the variances of each feature; the generator goes on from here."""
    number = list(config["scenarios"]).index(scenario)
    rng, n = np.random.default_rng([config["seed"], number]), config["features"]
    if config["scenarios"][scenario] is not None:
        return np.full(n, float(config["scenarios"][scenario])), np.ones(n), rng
    icc = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0, 0.5, n))
    return icc, 6 / rng.chisquare(6, n), rng


def simulate(config: dict[str, Any], scenario: str) -> dict[str, np.ndarray]:
    """Values (feature, row) without any effect of `between` or `within`, and the truth behind them."""
    icc, scale, rng = truth(config, scenario)
    n, groups, rows = config["features"], config["groups"], config["rows"]
    values = np.sqrt(1 - icc)[:, None] * rng.normal(size=(n, groups * rows))
    values += np.repeat(np.sqrt(icc)[:, None] * rng.normal(size=(n, groups)), rows, axis=1)
    values *= np.sqrt(scale)[:, None]
    values[rng.random(values.shape) < config["missing"]] = np.nan
    return {
        "values": values,
        "icc": icc,
        "group_variance": icc * scale,
        "residual_variance": (1 - icc) * scale,
    }


def main(config_file: str, scenario: str, work: str) -> None:
    """Write the scenario's files."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    found = simulate(config, scenario)
    np.savez(folder / f"{scenario}.npz", **found)
    found["values"][: config["peer_features"]].astype("<f8").tofile(folder / f"{scenario}.f64")
    sheet(config).to_csv(folder / f"{scenario}.samples.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
