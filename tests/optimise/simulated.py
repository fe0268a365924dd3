"""The 500 simulated features and their design."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features

FOLDER = Path(__file__).parents[1] / "reference" / "simulated500"
FORMULA = "~ condition * time + (1 | subject) + (1 | batch)"


@cache
def design() -> Design:
    """Samples with control as reference."""
    samples = pd.read_csv(FOLDER / "samples.csv", index_col="sample")
    levels = ["control", *sorted(set(samples["condition"]) - {"control"})]
    samples["condition"] = pd.Categorical(samples["condition"], levels)
    return build(parse(FORMULA), samples)


@cache
def table() -> pd.DataFrame:
    """Features in rows."""
    return pd.read_csv(FOLDER / "values.csv.gz", index_col=0)


@cache
def fit_all() -> Fit:
    """All features at once."""
    return fit(np.arange(len(table())))


def fit(rows: np.ndarray) -> Fit:
    """Some of the features."""
    return fit_features(design(), table().to_numpy()[rows], table().index.to_numpy(object)[rows])
