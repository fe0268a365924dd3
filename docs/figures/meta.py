"""The forest plot of docs/meta-analysis.md, and the numbers beside it.

Run in the project's folder: python docs/figures/meta.py
Writes meta.svg beside itself and prints the results. Takes a few seconds.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import mixflow
from mixflow.api import MetaResult

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "tests" / "reference" / "meta" / "data"


def catheters() -> MetaResult:
    """Infections by catheters with and without an anti-infective coating (Niel-Weise and others 2007)."""
    trials = pd.read_csv(DATA / "dat_nielweise2007__metadat.csv")
    return mixflow.meta_counts(trials, ("ai", "n1i"), ("ci", "n2i"), measure="OR", study="author")


def main() -> None:
    """Write the picture, print the numbers."""
    found = catheters()
    print(found)
    mixflow.forest_plot(found, HERE / "meta.svg")


if __name__ == "__main__":
    main()
