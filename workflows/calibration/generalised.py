"""Calibration of generalised models: generalised.py CONFIG REPORTS.

Writes generalised.csv (bias of the coefficients and of the groups' standard deviation, coverage of 95 % intervals,
rejections of true null hypotheses; by Laplace, adaptive quadrature and REML) and generalised.svg.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from scipy import stats

from mixflow.design import build
from mixflow.family import named
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.generalised import fit_generalised
from mixflow.report.pictures.base import COLOURS, MARKERS

CONTRASTS = ("between", "within")
FORMULA = "~ between + within + (1 | group)"
Case = tuple[str, int, int, float]
"""Family, groups, rows of a group, standard deviation between groups."""


def cases(asked: dict[str, Any]) -> list[Case]:
    """Every combination, in the order of the config."""
    return list(itertools.product(asked["families"], asked["groups"], asked["rows"], asked["sds"]))


def sheet(groups: int, rows: int) -> pd.DataFrame:
    """One row a value: `between` compares the halves of the groups, `within` every second row with the rest."""
    group = np.repeat(np.arange(groups), rows)
    between, within = (group >= groups // 2).astype(float), np.tile(np.arange(rows) % 2.0, groups)
    return pd.DataFrame({"group": [f"g{g + 1}" for g in group], "between": between, "within": within})


def truth(asked: dict[str, Any], features: int) -> np.ndarray:
    """True coefficients of `between` and `within`, (N, 2): each has its effect in every second feature."""
    first = np.arange(features) % 2 == 0
    return asked["effect"] * np.stack([first, ~first], axis=1).astype(float)


def simulate(config: dict[str, Any], case: Case, features: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The sheet and the outcomes (feature, row, column of the family) of one case."""
    asked = config["generalised"]
    family, groups, rows, sd = case
    rng = np.random.default_rng([config["seed"], 4, cases(asked).index(case)])
    frame, beta = sheet(groups, rows), truth(asked, features)
    level = np.repeat(rng.normal(0, sd, (features, groups)), rows, axis=1)
    eta = asked["families"][family] + level + beta @ frame[list(CONTRASTS)].to_numpy().T
    if family == "binomial":
        y = (rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(float)
        return frame, np.stack([y, 1 - y], axis=2)
    size = asked["size"]
    return frame, rng.poisson(np.exp(eta) * rng.gamma(size, 1 / size, eta.shape)).astype(float)[:, :, None]


def applies(method: dict[str, Any], case: Case) -> bool:
    """Whether a method is asked for in this case (`most_rows` by family, `most_groups`)."""
    family, groups, rows, _ = case
    return rows <= method.get("most_rows", {}).get(family, rows) and groups <= method.get(
        "most_groups", groups
    )


def fit(family: str, frame: pd.DataFrame, y: np.ndarray, method: dict[str, Any]) -> Fit:
    """All features of a case, in one call."""
    designs = {"mu": build(parse(FORMULA), frame)}
    if family != "binomial":
        designs["dispersion"] = build(parse("~ 1"), frame)
    options = {key: method[key] for key in ("nodes", "reml") if key in method}
    return fit_generalised(designs, named(family), y, np.arange(len(y)).astype(str), modes=False, **options)


def summary(config: dict[str, Any], case: Case, found: Fit) -> list[dict[str, Any]]:
    """A row for each contrast: what the fits say, beside what is true."""
    beta = truth(config["generalised"], len(found.status))
    rows = []
    for k, name in enumerate(CONTRASTS):
        at = found.coef_names.index(name)
        estimate, variance = found.solution[:, at], found.beta_cov[:, at, at]
        good = found.fitted & np.isfinite(estimate) & (variance > 0) & ~_separated(found, at)
        row = {"contrast": name, "fitted": int(good.sum())} | spread(case, found)
        df = case[1] - 2 if name == "between" else np.inf
        rows.append(row | rates(estimate[good], variance[good] ** 0.5, beta[good, k], df, config["level"]))
    return rows


def _separated(found: Fit, at: int) -> np.ndarray:
    """Whether a coefficient has no finite estimate."""
    return np.abs(found.null_space[:, at, :]).max(axis=1) > 1e-8


def spread(case: Case, found: Fit) -> dict[str, float]:
    """The groups' standard deviation: mean and median estimate over the truth, and how many are zero."""
    sd = np.sqrt(found.variance[found.fitted, 0])
    return {
        "sd_mean": sd.mean() / case[3],
        "sd_median": float(np.median(sd)) / case[3],
        "sd_error": sd.std(ddof=1) / np.sqrt(len(sd)) / case[3],
        "sd_zero": (sd == 0).mean(),
    }


def rates(
    estimate: np.ndarray, se: np.ndarray, true: np.ndarray, df: float, level: float
) -> dict[str, float]:
    """Bias where there is an effect, coverage over all, rejections where there is none; by z and by t on ``df``."""
    some, z = true != 0, (estimate - true) / se
    limits = {"z": stats.norm.isf(level / 2), "t": stats.t.isf(level / 2, df) if np.isfinite(df) else np.nan}
    out = {
        "bias": (estimate - true)[some].mean(),
        "bias_in_se": (estimate - true)[some].mean() / se[some].mean(),
        "bias_error": estimate[some].std(ddof=1) / np.sqrt(some.sum()) / se[some].mean(),
        "se_ratio": se.mean() / (estimate - true).std(ddof=1),
    }
    for name, limit in limits.items():
        inside, none = np.abs(z) <= limit, np.abs(z[~some]) > limit
        told = np.isfinite(limit)
        out[f"coverage_{name}"] = inside.mean() if told else np.nan
        out[f"rejected_{name}"] = none.mean() if told else np.nan
    return out


def measure(
    config: dict[str, Any], features: int | None = None, only: list[Case] | None = None
) -> pd.DataFrame:
    """Fit and summarise every case by every method."""
    asked, rows = config["generalised"], []
    for case in only or cases(asked):
        frame, y = simulate(config, case, features or asked["features"])
        for name, method in asked["methods"].items():
            if applies(method, case):
                own = dict(zip(("family", "groups", "rows", "sd"), case, strict=True)) | {"method": name}
                rows += [own | row for row in summary(config, case, fit(case[0], frame, y, method))]
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame, path: Path) -> None:
    """Bias of the sd and of an effect, and coverage, by case; a column of panels for each family."""
    panels = (
        ("within", "sd_mean", "mean estimate of the groups' sd (true = 1)", 1.0),
        ("within", "bias_in_se", "bias of a comparison within groups (standard errors)", 0.0),
        ("between", "coverage_z", "coverage of the 95 % interval, between groups (%)", 95.0),
    )
    families = list(dict.fromkeys(table["family"]))
    drawn = Figure(figsize=(183 / 25.4, 190 / 25.4), layout="constrained")
    grid = drawn.subplots(len(panels), len(families), sharey=True, sharex="row", squeeze=False)
    for line, (contrast, column, label, right) in zip(grid, panels, strict=True):
        for axes, family in zip(line, families, strict=True):
            part = table[(table["contrast"] == contrast) & (table["family"] == family)]
            _panel(axes, part, column, right)
            axes.set_title(family, loc="left", fontsize=8)
            axes.set_xlabel(label, fontsize=8)
    grid[0][0].invert_yaxis()
    grid[0][-1].legend(frameon=False, fontsize=8, loc="lower right")
    with mpl.rc_context({"svg.hashsalt": "generalised"}):  # the same names in the file each time
        drawn.savefig(path, metadata={"Date": None})


def _panel(axes: Any, part: pd.DataFrame, column: str, right: float) -> None:
    axes.axvline(right, color="#8b93a0", linewidth=0.8)
    names = [f"{c.groups} x {c.rows}, sd {c.sd:g}" for c in part.itertuples()]
    part, names = part.assign(case=names), list(dict.fromkeys(names))
    for i, (method, own) in enumerate(part.groupby("method", sort=False)):
        values = own[column] * (100 if column.startswith("coverage") else 1)
        places = np.array([names.index(case) for case in own["case"]]) + 0.24 * (i - 1)
        axes.plot(values, places, MARKERS[i], color=COLOURS[i], markersize=4, label=method)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right"]].set_visible(False)


def main(config_file: str, reports: str) -> None:
    """Write the table and the figure."""
    table = measure(yaml.safe_load(Path(config_file).read_text()))
    table.to_csv(Path(reports) / "generalised.csv", index=False, float_format="%.6g")
    figure(table, Path(reports) / "generalised.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
