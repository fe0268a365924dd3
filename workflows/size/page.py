"""Write docs/size.md and its tables: page.py CONFIG."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import tables
import yaml

from mixflow.study.plan import BYTES_PER_SHARD

TEXT = """# How mixflow grows with the number of features

{counts} simulated features x {samples} samples ({missing:.0%} of the values missing, {subjects} subjects,
{plates} plates), from a Zarr store through the whole workflow on {cores} cores: intensities, log2, median
normalisation, batch diagnosis with harmonised values, `{formula}` with Satterthwaite degrees of freedom, report.
Written by `make size`; the tables lie in [reports/size](../reports/size).

{load}

{studies}

Wall and CPU: seconds from the command to the report, all jobs together. MB: `input` the store that is read,
`work` what steps hand to each other (it may be deleted), `study.zarr` the one store of the study.

## No step holds all features

Peak resident memory of each rule in MB, as the process itself tells at the end of its log:

{growth}

The last column is the growth from {second:,} to {largest:,} features. A row of the matrix is {row:.1f} kB, and each
step works on several copies of it: a step that held all features would grow by more than that. What is left are ids
and single numbers of each feature (p values are adjusted together, filters and tables name features). Steps read and
write blocks of {block:,} features of this width, a size that follows from the number of samples alone, never from the
machine. The memory of a fit follows from the size of its shard.

The report reads matrices by blocks too; its own tables, which hold every feature, are what grows. The page is bounded
(at most 450,000 tests, 120,000 cells of annotation): at {largest:,} features it has {page_mb:.1f} MB, was ready in
Chromium after {browser_s:.1f} s with {heap:.0f} MB of script memory, {elements:,} elements and {errors} errors.

Tables: `tables/*.tsv` hold every feature. `results.xlsx` holds every feature up to 1,048,575 rows a sheet (the limit
of the format; a longer table is cut there, and its first sheet says so and names the file).

{rules}

Not yet by blocks, that is whole in memory: text tables as input (`format: zarr` is the way around), `transform: clr`,
`preprocess.reference`, `level` and `summarise`, `batch.method: combat`, `batch.order`, the analyses of a model
(`models.<m>.analyses`), the check of a generalised model's outcomes, and values pooled by group in a copy to share.

## Scheduling: how many shards

The plan makes one shard for each {shard_mb:.0f} MB of data files, never by the cores at hand (the bytes of a result
depend on nothing but the study). {features_of:,} features on {cores} cores, fitted and tested with other numbers of
shards:

{shards}

`over best`: wall time over the shortest. `CPU over one`: processor time of all fits over that of the fewest shards,
the price of cutting. The plan's choice (**chosen**) took {chosen_over:.2f} times the shortest wall time.

## {paper_features:,} features on paper

From the costs above: one straight line through the studies for each rule; fits at the mean cost of a shard, on
{nodes} nodes of {node_cores} cores.

{paper}

In all {jobs:,} jobs, {cpu_hours:.1f} processor hours, {hours:.1f} hours from the first step to the report ({serial}
decides), {peak:.1f} GB of memory for the largest job. On disk: {disk}.
"""


def main(config_file: str) -> None:
    """Read what was measured and write the page."""
    config = yaml.safe_load(Path(config_file).read_text())
    work, out = Path(config["work"]), Path(config["tables"])
    runs = {n: json.loads((work / f"study-{n}.json").read_text()) for n in sorted(config["features"])}
    cut = json.loads((work / "shards.json").read_text())
    by_rule = tables.rules(runs)
    found = {
        "studies": tables.studies(runs),
        "rules": by_rule,
        "growth": tables.growth(by_rule),
        "shards": tables.shards(cut, config["shards_of"]),
        "paper": tables.paper(runs, by_rule, config["paper"], BYTES_PER_SHARD),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, table in found.items():
        table.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    browser = json.loads((work / "browser.json").read_text())
    Path(config["page"]).write_text(text(config, runs, found, browser), encoding="utf-8")
    print(f"The tables: {config['page']}")


def text(
    config: dict[str, Any], runs: tables.Runs, found: dict[str, pd.DataFrame], browser: dict[str, Any]
) -> str:
    """The page."""
    from mixflow.slices import block_of

    sizes, paper, cut = sorted(runs), found["paper"], found["shards"]
    asked = config["paper"]
    disk = tables.disk_gb(runs, asked["features"])
    chosen = cut[cut["chosen"]].iloc[0]
    facts = {
        "counts": ", ".join(f"{n:,}" for n in sizes),
        "load": _load(found, config["cores"]),
        "second": sizes[-2],
        "largest": sizes[-1],
        "row": config["samples"] * 8 / 1e3,
        "block": block_of(config["samples"]),
        "page_mb": runs[sizes[-1]]["bytes"]["report.html"] / 1e6,
        "browser_s": browser["seconds"],
        "heap": browser["heap_mb"],
        "elements": browser["elements"],
        "errors": len(browser["errors"]) or "no",
        "shard_mb": BYTES_PER_SHARD / 1e6,
        "features_of": config["shards_of"],
        "chosen_over": chosen["over_best"],
        "paper_features": asked["features"],
        "nodes": asked["nodes"],
        "node_cores": asked["node_cores"],
        "jobs": int(paper["jobs"].sum()),
        "cpu_hours": paper["cpu_hours"].sum(),
        "hours": _path(paper),
        "serial": f"`{paper.loc[paper['hours'].idxmax(), 'rule']}`",
        "peak": paper["peak_gb"].max(),
        "disk": ", ".join(f"{name} {size:.1f} GB" for name, size in disk.items() if size >= 0.05),
    }
    shown = {name: markdown(table) for name, table in found.items()}
    plain = {key: config[key] for key in ("samples", "missing", "subjects", "plates", "cores", "formula")}
    return TEXT.format(**plain, **facts, **shown)


def _path(paper: pd.DataFrame) -> float:
    """Hours from the first step to the report: fits run beside batch, all else one after the other."""
    hours = paper.set_index("rule")["hours"]
    beside = max(hours["fit"] + hours["gather"], hours["batch"])
    return hours.drop(["fit", "gather", "batch"]).sum() + beside


def _load(found: dict[str, pd.DataFrame], cores: int) -> str:
    most = max(found["studies"]["load"].max(), found["shards"]["load"].max())
    if most <= 1.5 * cores + 1:
        return f"The machine was calm (load average at most {most:.1f} on {os.cpu_count()} cores)."
    return (
        f"**The machine was busy (load average up to {most:.1f} on {os.cpu_count()} cores): believe memory and "
        "processor times; for wall times run `make size` on a calm machine.**"
    )


def markdown(table: pd.DataFrame) -> str:
    """A table for the page, numbers with three digits."""
    rows = [[str(c).replace("_", " ") for c in table], ["---"] * table.shape[1]]
    rows += [[_cell(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Any) -> str:
    if isinstance(cell, bool):
        return "**chosen**" if cell else ""
    if isinstance(cell, int):
        return f"{cell:,}"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


if __name__ == "__main__":
    main(*sys.argv[1:])
