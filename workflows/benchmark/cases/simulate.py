"""Data of one case: simulate.py CONFIG CASE FOLDER. Writes rows.csv, values.f64 (features x rows) or long.csv."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import counts

CPTAC = Path("../shared/data/proteomics/cptac_study6_ABC_msstats.tsv.gz")


def main(config_file: str, case: str, folder: str) -> None:
    """Write what both sides read."""
    config, out = yaml.safe_load(Path(config_file).read_text()), Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    data = config["cases"][case]["data"]
    if data["kind"] == "cptac":
        long = cptac()
        long.to_csv(out / "long.csv", index=False)
        return
    made = counts.table if data["kind"] in ("romero", "nebula") else table
    sheet, values = made(data, config["seed"])
    sheet.to_csv(out / "rows.csv", index=False)
    values.astype("<f8").tofile(out / "values.f64")


def table(data: dict[str, Any], seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Sample sheet and values (feature, sample), NaN where missing."""
    rng = np.random.default_rng(seed)
    n, features, groups = data["samples"], data["features"], data["groups"]
    group = np.arange(n) * groups // n
    per = n // groups
    sheet = pd.DataFrame(
        {
            "x1": rng.integers(0, 2, n).astype(float),
            "x2": rng.normal(size=n),
            "x3": rng.normal(size=n),
            "time": np.arange(n) % per,
            "treated": (group % 2).astype(float),
            "group": [f"g{g + 1:02d}" for g in group],
            "batch": [f"b{b}" for b in rng.integers(0, data.get("batches", 2), n)],
        }
    )
    x = np.column_stack([np.ones(n), sheet[["x1", "x2", "x3", "time", "treated"]].to_numpy(float)])
    beta = np.column_stack([rng.normal(20, 2, features), rng.normal(0, 0.2, (features, 5))])
    none = rng.random(features) < 0.2
    between = np.where(none, 0.0, rng.gamma(2.0, 0.4, features))
    within = rng.gamma(4.0, 0.2, features)
    values = beta @ x.T + (between[:, None] * rng.normal(size=(features, groups)))[:, group]
    if data["kind"] == "crossed":
        slope = np.where(rng.random(features) < 0.2, 0.0, rng.gamma(2.0, 0.05, features))
        values += (slope[:, None] * rng.normal(size=(features, groups)))[:, group] * sheet["time"].to_numpy()
        batch = pd.factorize(sheet["batch"])[0]
        values += (rng.gamma(2.0, 0.2, (features, 1)) * rng.normal(size=(features, batch.max() + 1)))[
            :, batch
        ]
    values += within[:, None] * noise(rng, features, groups, per, 0.5 if data["kind"] == "serial" else 0.0)
    values[rng.random(values.shape) < data["missing"]] = np.nan
    return sheet, values


def noise(rng: np.random.Generator, features: int, groups: int, per: int, rho: float) -> np.ndarray:
    """Unit variance, AR(1) within groups. (features, groups * per)."""
    found = rng.normal(size=(features, groups, per))
    for t in range(1, per):
        found[..., t] = rho * found[..., t - 1] + np.sqrt(1 - rho**2) * found[..., t]
    return found.reshape(features, -1)


def cptac() -> pd.DataFrame:
    """log2 intensities less their run's median; proteins with at least 2 precursors and 4 runs."""
    table = pd.read_csv(CPTAC, sep="\t").dropna(subset=["Intensity"])
    long = pd.DataFrame(
        {
            "feature": table["ProteinName"],
            "peptide": table["PeptideSequence"] + "_" + table["PrecursorCharge"].astype(str),
            "run": table["Run"],
            "condition": table["Condition"],
            "lab": table["BioReplicate"],
            "y": np.log2(table["Intensity"]),
        }
    )
    long["y"] -= long.groupby("run")["y"].transform("median")
    size = long.groupby("feature")[["peptide", "run"]].nunique()
    kept = size.index[(size["peptide"] >= 2) & (size["run"] >= 4)]
    return long[long["feature"].isin(kept)]


if __name__ == "__main__":
    main(*sys.argv[1:])
