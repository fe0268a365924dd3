"""The tables of docs/size.md from what the studies and the runs by shards wrote."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

Runs = dict[int, dict[str, Any]]
"""What `measure.py study` wrote, by number of features, ascending."""
ORDER = ("check", "ingest", "preprocess", "fit", "batch", "gather", "assemble", "report")


def studies(runs: Runs) -> pd.DataFrame:
    """One row a study: time, and sizes in MB of what it reads and writes."""
    rows = []
    for features, run in runs.items():
        sizes = {f"{name}_mb": size / 1e6 for name, size in run["bytes"].items()}
        rows.append(
            {"features": features, "wall_s": run["wall"], "cpu_s": run["cpu"], "jobs": len(run["jobs"])}
            | sizes
            | {"load": max(run["load"])}
        )
    return pd.DataFrame(rows)


def rules(runs: Runs) -> pd.DataFrame:
    """One row a study and rule: jobs, wall and processor seconds of all of them, the largest peak memory."""
    jobs = pd.concat([pd.DataFrame(run["jobs"]).assign(features=n) for n, run in runs.items()])
    found = jobs.groupby(["features", "rule"]).agg(
        jobs=("rule", "size"), wall_s=("wall", "sum"), cpu_s=("cpu", "sum"), peak_mb=("peak_mb", "max")
    )
    place = found.index.get_level_values("rule").map({name: i for i, name in enumerate(ORDER)})
    return found.assign(place=place).sort_values(["features", "place"]).drop(columns="place").reset_index()


def growth(by_rule: pd.DataFrame) -> pd.DataFrame:
    """Peak memory (MB) of each rule by number of features, and how it grew between the two largest studies.

    ``kb_a_feature`` is that growth; one row of the matrix is `samples` x 8 bytes (4 kB for 500 samples).
    """
    wide = by_rule.pivot(index="rule", columns="features", values="peak_mb").reindex(list(ORDER)).dropna()
    sizes = sorted(wide.columns)
    slope = (wide[sizes[-1]] - wide[sizes[-2]]) * 1e3 / (sizes[-1] - sizes[-2])
    wide = wide[sizes].rename(columns={n: f"peak_mb_{n}" for n in sizes})
    return wide.assign(kb_a_feature=slope).reset_index()


def shards(runs: list[dict[str, Any]], features: int) -> pd.DataFrame:
    """One row a number of shards: wall time to the tests, processor time and memory of the fits.

    ``over_best`` is the wall time over the shortest one's; ``cpu_over_one`` that of the processor over that
    of the fewest shards: what cutting costs.
    """
    rows = []
    for run in runs:
        fits = [job for job in run["jobs"] if job["rule"] == "fit"]
        rows.append(
            {
                "shards": run["shards"],
                "features_each": math.ceil(features / run["shards"]),
                "wall_s": run["wall"],
                "fit_cpu_s": sum(job["cpu"] for job in fits),
                "peak_mb": max(job["peak_mb"] for job in fits),
                "chosen": run["chosen"],
                "load": max(run["load"]),
            }
        )
    table = pd.DataFrame(rows).sort_values(["shards", "chosen"]).reset_index(drop=True)
    fewest = table["fit_cpu_s"].iloc[0]
    return table.assign(
        over_best=table["wall_s"] / table["wall_s"].min(), cpu_over_one=table["fit_cpu_s"] / fewest
    )


def paper(runs: Runs, by_rule: pd.DataFrame, asked: dict[str, Any], bytes_a_shard: int) -> pd.DataFrame:
    """What ``asked["features"]`` would take, rule by rule, from the measured costs.

    Rules other than fit: processor time and peak memory by a straight line through all studies. Fits: as many
    shards as the plan would make, each with the mean cost of the largest study's. Cores are those of
    ``asked["nodes"]`` nodes; fits of one wave run together. ``hours`` is how long a rule takes there.
    """
    target, largest = asked["features"], max(runs)
    size = runs[largest]["bytes"]["input"] * target / largest
    n_fits = max(1, math.ceil(size / bytes_a_shard))
    rows = []
    for rule, own in by_rule.groupby("rule", sort=False):
        if rule == "fit":
            last = own[own["features"] == largest].iloc[0]
            each = last["cpu_s"] / last["jobs"]
            waves = math.ceil(n_fits / (asked["nodes"] * asked["node_cores"]))
            rows.append((rule, n_fits, n_fits * each, waves * each, last["peak_mb"]))
        else:
            seconds = _line(own["features"], own["cpu_s"], target)
            rows.append((rule, 1, seconds, seconds, _line(own["features"], own["peak_mb"], target)))
    table = pd.DataFrame(rows, columns=["rule", "jobs", "cpu_hours", "hours", "peak_gb"])
    return table.assign(
        cpu_hours=table["cpu_hours"] / 3600, hours=table["hours"] / 3600, peak_gb=table["peak_gb"] / 1e3
    )


def disk_gb(runs: Runs, features: int) -> dict[str, float]:
    """Gigabytes of each output for so many features, in proportion to the largest study's."""
    largest = max(runs)
    return {name: size * features / largest / 1e9 for name, size in runs[largest]["bytes"].items()}


def _line(x: pd.Series, y: pd.Series, at: float) -> float:
    """The value at ``at`` of the least-squares line, not below the largest that was measured."""
    slope, base = np.polyfit(x.to_numpy(float), y.to_numpy(float), 1)
    return max(float(base + slope * at), float(y.max()))
