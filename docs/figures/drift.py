"""Drift within batches: how it is found, and what it does to a test of condition (docs/drift.md).

Run in the project's folder: python docs/figures/drift.py
Writes drift.csv and drift.svg beside itself and prints the tables. Takes about a minute.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mixflow.api import fit_values
from mixflow.design import build
from mixflow.formula import parse
from mixflow.harmonise.drift import drift
from mixflow.inference.contrasts import from_weights
from mixflow.inference.tests import test

HERE = Path(__file__).parent
SEED, FEATURES, LEVEL = 20261121, 600, 0.05
BATCHES, SIZE = ("A", "B", "C"), 40
MODELS = ("~ condition + batch", "~ condition + batch + s(place, k = 8, by = batch)")


def sheet(rng: np.random.Generator, early: float) -> pd.DataFrame:
    """Three batches of 40 injections, every fifth a QC; ``early``: how much cases tend to come first."""
    place = np.tile(np.arange(SIZE), len(BATCHES))
    chance = 1 / (1 + np.exp(early * (place - SIZE / 2) / 10))
    return pd.DataFrame({
        "injection": np.arange(1, len(place) + 1),
        "place": place.astype(float),
        "batch": np.repeat(BATCHES, SIZE),
        "condition": (rng.uniform(size=len(place)) < chance).astype(float),
        "qc": place % 5 == 0,
    })  # fmt: skip


def values(rng: np.random.Generator, frame: pd.DataFrame, size: float) -> np.ndarray:
    """Log intensities: noise 0.5, people 0.5, batches 1, and a drift of its own for each feature and batch."""
    place, batch = frame["place"].to_numpy(), frame["batch"].map(BATCHES.index).to_numpy()
    y = 0.5 * rng.normal(size=(FEATURES, len(frame))) + rng.normal(size=(FEATURES, 3))[:, batch]
    y += np.where(frame["qc"], 0.0, 0.5 * rng.normal(size=y.shape))
    fall = size * np.abs(rng.normal(size=(FEATURES, 3)))[:, batch]
    return y - fall * (1 - np.exp(-place / 12))


def rejected(y: np.ndarray, frame: pd.DataFrame, formula: str) -> float:
    """Percent of features, none with an effect, in which the condition is called at the 5 % level."""
    study = (~frame["qc"]).to_numpy()
    own = frame[study].reset_index(drop=True)
    fit = fit_values(y[:, study], own, formula)
    asked = from_weights({"condition": {"condition": 1.0}}, build(parse(formula), own))
    return float(100 * (test(fit, asked)["p_value"][:, 0] < LEVEL).mean())


def simulate() -> tuple[pd.DataFrame, tuple[np.ndarray, pd.DataFrame]]:
    """Rejections by order of injection, drift and model; the last drifting study for the picture."""
    rows, kept = [], None
    for layout, early in (("at random", 0.0), ("cases first", 1.5)):
        for size in (0.0, 1.0):
            rng = np.random.default_rng([SEED, int(10 * early), int(size)])
            frame = sheet(rng, early)
            y = values(rng, frame, size)
            found = drift(y, frame, "injection", "batch", is_qc=frame["qc"].to_numpy()).table()
            rates = [round(rejected(y, frame, formula), 1) for formula in MODELS]
            called = round(float(100 * (found["p_value"] < LEVEL).mean()), 1)
            share = round(float(found["share"].median()), 2)
            rows.append((layout, "drift" if size else "none", called, share, *rates))
            kept = (y, frame) if size else kept
    assert kept is not None
    names = ["order", "drift", "features_called_drifting_percent", "median_share", *MODELS]
    return pd.DataFrame(rows, columns=names), kept


def draw(y: np.ndarray, frame: pd.DataFrame) -> Figure:
    """The feature whose drift in QC samples is clearest, its curves by batch with pointwise limits."""
    mpl.rcParams.update({"svg.hashsalt": "mixflow", "svg.fonttype": "none", "font.size": 8})
    qc = frame["qc"].to_numpy()
    found = drift(y, frame, "injection", "batch", is_qc=qc)
    feature = int(found.table()["p_value"].idxmin())
    lines = found.curve(feature)
    figure = Figure(figsize=(6.0, 2.4), layout="constrained")
    axes = figure.add_subplot()
    for name, colour in zip(BATCHES, ("#4477AA", "#CC6677", "#228833"), strict=True):
        own = (frame["batch"] == name).to_numpy()
        first = frame.loc[own, "injection"].min()
        axes.plot(
            frame.loc[own & ~qc, "injection"], y[feature, own & ~qc], "o", ms=2.5, mfc="none", c=colour, lw=0
        )
        axes.plot(frame.loc[own & qc, "injection"], y[feature, own & qc], "s", ms=4, c=colour)
        line = lines[lines["batch"] == name]
        middle = y[feature, own & qc].mean() + line["estimate"]
        axes.plot(first + line["order"], middle, c=colour, lw=1.2)
        half = 1.96 * line["std_error"]
        axes.fill_between(first + line["order"], middle - half, middle + half, color=colour, alpha=0.15, lw=0)
    axes.set(xlabel="injection", ylabel="log intensity")
    axes.set_title("QC samples (squares), study samples (circles), smooth drift by batch", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Simulate, write table and picture, print the table."""
    table, (y, frame) = simulate()
    table.to_csv(HERE / "drift.csv", index=False)
    draw(y, frame).savefig(HERE / "drift.svg", metadata={"Date": None})
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
