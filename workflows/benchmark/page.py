"""Tables, figure and page of the benchmark: page.py CONFIG WORK PAGE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import tables
import yaml

matplotlib.use("svg")

TEXT = """# How fast mixflow is

{features} simulated features x {samples} samples in {groups} groups, {missing:.0%} of the values missing,
model `{formula}`, REML, Satterthwaite degrees of freedom of all coefficients in both programs.
Written by `make bench`; [docs/benchmarks.md](../../docs/benchmarks.md) says what is measured and how.

{headline}

{speed}

Wall: milliseconds by the clock for each feature, median of the repetitions (lowest to highest). CPU:
processor time of all threads and processes. Ratio: lmerTest's time over that of the row. Load: highest load
average of the machine during the measurements; above {cores}, others were at work beside them, and the wall
times say less than the CPU times. lmerTest fitted a random subset; its time holds no start of R, no reading
and no warm-up. Peak memory: of the process, imports included; of all processes together for the shards; of
the largest process for lmerTest.

## Before the first feature

Once a process, not in the times above.

{compilation}

## Agreement with lmerTest

On the features that both fitted, lme4 at its default settings (its optimiser stops early: its degrees of
freedom are good to some 1e-3; tests/reference holds the comparison with tight settings).

{agreement}

## What is left

One run on all features from store to store, by step (`steps.tsv`).

![Time by step](steps.svg)

## Machine

{machine}
"""


def main(config_file: str, work: str, page: str) -> None:
    """Write the tables as TSV, the figure and README.md into the folder ``page``."""
    config, folder, out = yaml.safe_load(Path(config_file).read_text()), Path(work), Path(page)
    out.mkdir(parents=True, exist_ok=True)
    kinds = ("peer", "mixflow", "shards")
    peer, mixflow, shards = (tables.rounds(folder, kind, config["rounds"]) for kind in kinds)
    found = {
        "speed": tables.speed(peer, mixflow, shards, config["cores"]),
        "compilation": tables.compilation(mixflow),
        "agreement": tables.agreement(folder, peer),
        "steps": tables.profile(mixflow),
        "machine": tables.description(peer, mixflow),
    }
    for name, table in found.items():
        table.to_csv(out / f"{name}.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    figure(found["steps"], out / "steps.svg")
    (out / "README.md").write_text(text(config, found), encoding="utf-8")
    print(f"{headline(found['speed'], config['cores'])}\nThe tables: {out}/README.md")


def text(config: dict[str, Any], found: dict[str, pd.DataFrame]) -> str:
    """The page."""
    shown = {name: markdown(SHOWN.get(name, lambda table: table)(table)) for name, table in found.items()}
    return TEXT.format(**config, **shown, headline=headline(found["speed"], config["cores"]))


def headline(speed: pd.DataFrame, cores: int) -> str:
    """The result in a sentence."""
    best = speed.iloc[1:3]["wall_ms_per_feature"].idxmin()
    own, peer = speed.loc[best], speed.iloc[0]
    busy = speed["load_average"].max() > BUSY * cores
    warning = " The machine was busy: believe the CPU times, and measure again when it is calm."
    return (
        f"**{own['wall_ratio']:.0f} times as fast as lmerTest by the clock ({own['cpu_ratio']:.0f} times in "
        f"processor time)**: {own['wall_ms_per_feature']:.3g} ms a feature ({own['what']}) beside "
        f"{peer['wall_ms_per_feature']:.3g} ms ({peer['what']}).{warning if busy else ''}"
    )


def _speed(table: pd.DataFrame) -> pd.DataFrame:
    wall = [
        f"{_number(row.wall_ms_per_feature)} ({_number(row.lowest)} to {_number(row.highest)})"
        for row in table.itertuples()
    ]
    columns = {
        "": table["what"],
        "features": table["features"],
        "repetitions": table["repetitions"],
        "wall ms": wall,
        "CPU ms": table["cpu_ms_per_feature"],
        "features/s": table["features_per_second"].round(),
        "wall ratio": table["wall_ratio"].round(1),
        "CPU ratio": table["cpu_ratio"].round(1),
        "peak MB": table["peak_memory_mb"].round(),
        "load": table["load_average"].round(1),
    }
    return pd.DataFrame(columns)


BUSY = 1.5
"""Load average over cores from which the wall times are not to be believed."""

SHOWN = {"speed": _speed}


def markdown(table: pd.DataFrame) -> str:
    """A table for the page, numbers with three digits."""
    rows = [[str(c).replace("_", " ") for c in table], ["---"] * table.shape[1]]
    rows += [[_number(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(cell: Any) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if cell.is_integer() or abs(cell) >= 1000 else f"{cell:.3g}"


def figure(table: pd.DataFrame, path: Path) -> None:
    """Time by step as bars, first step on top."""
    from matplotlib import pyplot as plt

    style = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "benchmark", "axes.spines.right": False}
    with plt.rc_context(style | {"axes.spines.top": False}):
        fig, axes = plt.subplots(figsize=(183 / 25.4, 85 / 25.4), layout="constrained")
        colours = ["#D55E00" if "kernel" in step else "#0072B2" for step in table["step"]]
        bars = axes.barh(table["step"], table["ms_per_feature"] * 1e3, color=colours)
        share = table["seconds"] / max(table["seconds"].sum(), 1e-300)
        axes.bar_label(bars, [f"{s:.0%}" for s in share], padding=3)
        axes.invert_yaxis()
        axes.set_xlabel(
            "microseconds a feature, by the clock (orange: compiled kernels on all cores; blue: host)"
        )
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


if __name__ == "__main__":
    main(*sys.argv[1:])
