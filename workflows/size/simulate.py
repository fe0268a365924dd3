"""Simulate a study of many features: simulate.py CONFIG FEATURES FOLDER.

Writes FOLDER/table.zarr (intensities, feature x sample, never held whole), samples.tsv and config.yaml.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

BLOCK = 1024
"""Features made, and written as a chunk, at a time; each block has a seed of its own."""


def sheet(config: dict[str, Any]) -> pd.DataFrame:
    """Samples: the arm and age of their subject, and their plate."""
    rng, n = np.random.default_rng(config["seed"]), config["samples"]
    subject = np.arange(n) * config["subjects"] // n
    age = rng.normal(60, 10, config["subjects"]).round(1)
    return pd.DataFrame(
        {
            "sample": [f"s{i + 1:04d}" for i in range(n)],
            "subject": [f"p{i + 1:03d}" for i in subject],
            "arm": np.where(subject % 2 == 0, "control", "treated"),
            "age": age[subject],
            "plate": [f"plate{i + 1:02d}" for i in rng.permutation(np.arange(n) % config["plates"])],
        }
    )


def block(config: dict[str, Any], samples: pd.DataFrame, number: int, count: int) -> np.ndarray:
    """Intensities (count, sample) of one block of features, NaN where missing."""
    rng, n = np.random.default_rng([config["seed"], number]), len(samples)
    subject, plate = (pd.factorize(samples[name])[0] for name in ("subject", "plate"))
    effect = rng.normal(0, 1, count) * (rng.random(count) < config["changed"])
    value = rng.normal(20, 2, (count, 1)) + effect[:, None] * (samples["arm"] == "treated").to_numpy()
    value = value + rng.normal(0, 0.01, (count, 1)) * (samples["age"].to_numpy() - 60)
    value += (rng.gamma(2, 0.3, (count, 1)) * rng.normal(size=(count, config["subjects"])))[:, subject]
    value += (0.3 * rng.normal(size=(count, config["plates"])))[:, plate]
    value += rng.gamma(4, 0.2, (count, 1)) * rng.normal(size=(count, n))
    value[rng.random(value.shape) < config["missing"]] = np.nan
    return np.exp2(value)


def write_store(config: dict[str, Any], samples: pd.DataFrame, features: int, path: Path) -> None:
    """The matrix as xarray would write it, with labels of both dims, block by block."""
    import xarray as xr
    import zarr

    coords = {
        "feature": np.array([f"f{i + 1:07d}" for i in range(features)], dtype=np.dtypes.StringDType()),
        "sample": samples["sample"].to_numpy(np.dtypes.StringDType()),
    }
    xr.Dataset(coords=coords, attrs={"scale": "intensity"}).to_zarr(path, mode="w", consolidated=False)
    shape, chunks = (features, len(samples)), (min(BLOCK, features), len(samples))
    matrix = zarr.open_group(path, mode="r+").create_array(
        "intensity", shape=shape, chunks=chunks, dtype="f8", fill_value=np.nan, dimension_names=list(coords)
    )
    for number, start in enumerate(range(0, features, BLOCK)):
        stop = min(start + BLOCK, features)
        matrix[start:stop] = block(config, samples, number, stop - start)


def study(config: dict[str, Any], features: int) -> dict[str, Any]:
    """The config of the study."""
    return {
        "study": f"size-{features}",
        "title": f"{features:,} simulated features x {config['samples']} samples",
        "data": {"files": "table.zarr", "format": "zarr"},
        "samples": {
            "file": "samples.tsv",
            "id": "sample",
            "unit": "subject",
            "columns": {
                "subject": {"type": "factor"},
                "arm": {"type": "factor", "levels": ["control", "treated"], "reference": "control"},
                "age": {"type": "number", "unit": "years"},
                "plate": {"type": "factor"},
            },
        },
        "preprocess": {"transform": "log2", "normalise": "median", "filters": {"min_observed": 0.5}},
        "batch": {"factors": "plate", "method": "mixed", "keep": ["arm", "age"]},
        "models": {
            "mixed": {
                "formula": config["formula"],
                "contrasts": {"treated vs control": {"arm": ["treated", "control"]}},
            }
        },
    }


def main(config_file: str, features: str, folder: str) -> None:
    """Write everything that the study reads."""
    config, out = yaml.safe_load(Path(config_file).read_text()), Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    samples = sheet(config)
    samples.to_csv(out / "samples.tsv", sep="\t", index=False)
    write_store(config, samples, int(features), out / "table.zarr")
    (out / "config.yaml").write_text(yaml.safe_dump(study(config, int(features)), sort_keys=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
