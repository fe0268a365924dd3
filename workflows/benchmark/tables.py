"""The benchmark's tables from the files of its rounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pandas as pd
import steps

Rounds = list[dict[str, Any]]


def rounds(folder: Path, kind: str, count: int) -> Rounds:
    """What the rounds of one kind wrote, first to last."""
    return [json.loads((folder / f"{kind}-{i + 1}.json").read_text()) for i in range(count)]


def speed(peer: Rounds, mixflow: Rounds, shards: Rounds, cores: int) -> pd.DataFrame:
    """One row a way of fitting; time is the median over repetitions, with the lowest and highest."""
    fitted = sum(r["features_fitted"] for r in peer)
    runs = [{"wall": r["wall_seconds"], "cpu": r["cpu_seconds"], "n": r["features_fitted"]} for r in peer]
    rows = [_row(f"lmerTest, {cores} processes", fitted, runs, peer, "peak_mb")]
    ways = [
        (f"mixflow, 1 process with {cores} threads", mixflow, "engine"),
        (f"mixflow, {cores} processes (shards)", shards, "engine"),
        ("mixflow, 1 process, reading and writing Zarr", mixflow, "zarr"),
    ]
    for name, found, clock in ways:
        runs = [run | {"n": r["features"]} for r in found for run in r[clock]]
        rows.append(_row(name, found[0]["features"], runs, found, f"peak_mb_{clock}"))
    table = pd.DataFrame(rows)
    for kind in ("wall", "cpu"):
        times = table[f"{kind}_ms_per_feature"]
        table[f"{kind}_ratio"] = times.iloc[0] / times
    return table


def _row(name: str, features: int, runs: list[dict[str, float]], found: Rounds, peak: str) -> dict[str, Any]:
    wall = np.array([1e3 * run["wall"] / run["n"] for run in runs])
    return {
        "what": name,
        "features": features,
        "repetitions": len(runs),
        "wall_ms_per_feature": np.median(wall),
        "lowest": wall.min(),
        "highest": wall.max(),
        "cpu_ms_per_feature": np.median([1e3 * run["cpu"] / run["n"] for run in runs]),
        "features_per_second": 1e3 / np.median(wall),
        "peak_memory_mb": max(r[peak] for r in found),
        "load_average": max(max(r["load"]) for r in found),
    }


def compilation(mixflow: Rounds) -> pd.DataFrame:
    """Seconds before the first result, once a process: imports, and compiling or reading compiled kernels."""
    rows = [
        {"cache": r["cache"]}
        | {f"{what}_{clock}_seconds": r[what][clock] for what in ("import", "compile") for clock in r[what]}
        | {"peak_memory_mb": r["peak_mb_compiled"]}
        for r in mixflow
    ]
    return pd.DataFrame(rows).groupby("cache", sort=True).median().reset_index()


def agreement(folder: Path, peer: Rounds) -> pd.DataFrame:
    """Largest differences from lmerTest over the features that both fitted."""
    found = [_differences(folder / f"mixflow-{i + 1}.npz", r) for i, r in enumerate(peer)]
    joined = {key: np.concatenate([f[key] for f in found]) for key in found[0]}
    return pd.DataFrame(
        [
            {
                "quantity": key,
                "median": np.median(d),
                "percentile_99": np.quantile(d, 0.99),
                "largest": d.max(),
            }
            for key, d in joined.items()
        ]
    )


def _differences(path: Path, peer: dict[str, Any]) -> dict[str, np.ndarray]:
    """Feature by feature, for those that lmerTest could fit."""
    own = np.load(path)
    pairs = [(row, r) for row, r in zip(peer["rows"], peer["results"], strict=True) if "estimate" in r]
    rows = np.array([row for row, _ in pairs])
    theirs = {
        key: np.array([r[key] for _, r in pairs], float) for key in ("estimate", "std_error", "df", "loglik")
    }
    if any(r["terms"] != list(own["terms"]) for _, r in pairs):
        raise ValueError(f"lmerTest names other coefficients than {list(own['terms'])}")
    se = theirs["std_error"]
    gain = own["loglik"][rows] - theirs["loglik"]
    return {
        "estimate, in standard errors": np.abs(own["estimate"][rows] - theirs["estimate"]).ravel()
        / se.ravel(),
        "standard error, relative": np.abs(own["std_error"][rows] / se - 1).ravel(),
        "degrees of freedom, relative": np.abs(own["df"][rows] / theirs["df"] - 1).ravel(),
        "log-likelihood, mixflow above lmerTest": np.maximum(gain, 0.0),
        "log-likelihood, mixflow below lmerTest": np.maximum(-gain, 0.0),
    }


def profile(mixflow: Rounds) -> pd.DataFrame:
    """Median seconds by step of one run on all features, in the order of the work."""
    names = [*dict.fromkeys(steps.STEPS.values()), steps.OTHER]
    seconds = [np.median([r["steps"].get(name, 0.0) for r in mixflow]) for name in names]
    table = pd.DataFrame({"step": names, "seconds": seconds})
    return table.assign(ms_per_feature=1e3 * table["seconds"] / mixflow[0]["features"])


def description(peer: Rounds, mixflow: Rounds) -> pd.DataFrame:
    """The machine and the versions."""
    facts = (
        machine.description() | mixflow[0]["versions"] | {"commit": mixflow[0]["git"]} | peer[0]["versions"]
    )
    return pd.DataFrame({"fact": list(facts), "value": list(facts.values())})
