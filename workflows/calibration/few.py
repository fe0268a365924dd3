"""Tables of few features: few.py CONFIG WORK REPORTS. Does a prior that they fit themselves still hold 5 %?

Writes few.csv: rejections of null hypotheses by `averaged_tests` and Satterthwaite, over many small tables cut
from the features of two scenarios.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from measure import CONTRASTS

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.inference.contrasts import Contrast, from_weights
from mixflow.inference.moderate_components import moderate_components
from mixflow.inference.tests import test
from mixflow.optimise.fitting import fit_features

METHODS = ("averaged", "satterthwaite")


def rejections(design: Design, values: np.ndarray, asked: list[Contrast], level: float) -> np.ndarray:
    """Share of rejections in one table, by method and contrast. (2, contrasts)."""
    fit = fit_features(design, values, list(map(str, range(len(values)))), modes=False)
    found = moderate_components(fit, design, values, asked), test(fit, asked)
    return np.array([(f["p_value"] < level).mean(axis=0) for f in found])


def few(config: dict[str, Any], scenario: str, frame: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Mean share of rejections over tables, and its standard error, for each size of a table."""
    design, rows = build(parse(config["formula"]), frame), []
    asked = from_weights({name: {name: 1.0} for name in CONTRASTS}, design)
    for size, tables in config["few"]["tables"].items():
        parts = np.split(values[: size * tables], tables)
        found = np.array([rejections(design, part, asked, config["level"]) for part in parts])
        mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(tables)
        for i, method in enumerate(METHODS):
            for k, contrast in enumerate(CONTRASTS):
                row = {"scenario": scenario, "features": size, "tables": tables, "contrast": contrast}
                rows.append(row | {"method": method, "rejected": mean[i, k], "rejected_se": error[i, k]})
    return pd.DataFrame(rows)


def main(config_file: str, work: str, reports: str) -> None:
    """Write few.csv."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    parts = []
    for scenario in config["few"]["scenarios"]:
        frame, values = (
            pd.read_csv(folder / f"{scenario}.samples.csv"),
            np.load(folder / f"{scenario}.npz")["values"],
        )
        parts.append(few(config, scenario, frame, values))
    pd.concat(parts).to_csv(Path(reports) / "few.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main(*sys.argv[1:])
