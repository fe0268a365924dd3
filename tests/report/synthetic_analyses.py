"""Analyses of the made-up study: tables with the columns of the real ones, numbers by a formula.

Some features have no number and another status, as in the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.derived import ANALYSES
from mixflow.store import analyses


def add(
    tree: xr.DataTree, model: str, made: Mapping[str, tuple[pd.DataFrame, dict[str, Any]]]
) -> xr.DataTree:
    """``tree`` with the analyses ``made`` (table, options) of ``model``."""
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    groups[f"/analyses/{model}"] = xr.Dataset()
    for name, (table, options) in made.items():
        groups[f"/analyses/{model}/{name}"] = dataset(name, table, options)
    return xr.DataTree.from_dict(groups)


def dataset(name: str, table: pd.DataFrame, options: dict[str, Any]) -> xr.Dataset:
    """The group of one analysis as the step `analyse` writes it."""
    own = ANALYSES[name]
    assert list(table) == [column for column in own.columns if column in table], name
    words = {key: getattr(own, key) for key in ("title", "purpose", "help")}
    return analyses.to_dataset(table, own.columns, analysis=name, options=json.dumps(options), **words)


def r2(ids: list[str]) -> pd.DataFrame:
    """Variance explained; the third feature was not fitted."""
    n = len(ids)
    marginal = np.linspace(0.02, 0.6, n)
    table = pd.DataFrame({"feature": ids, "r2_marginal": marginal, "r2_conditional": marginal + 0.2})
    table["icc"] = 0.2
    table["var_fixed"], table["var_random"], table["var_residual"] = marginal, 0.2, 0.8 - marginal
    table["status"] = "ok"
    table.loc[2, ["r2_marginal", "r2_conditional", "var_fixed", "var_random", "var_residual"]] = np.nan
    table.loc[2, "status"] = "too few observations"
    return table


def terms(ids: list[str]) -> pd.DataFrame:
    """Tests of two terms; p-values down to an underflow."""
    n = len(ids)
    p = np.geomspace(1e-12, 1.0, 2 * n)
    p[0] = 0.0
    table = pd.DataFrame({"feature": np.repeat(ids, 2), "term": np.tile(["dose", "time"], n)})
    table["df_num"], table["df"] = np.tile([2.0, 1.0], n), np.where(np.arange(2 * n) % 5 == 0, np.inf, 40.5)
    table["statistic"], table["p_value"], table["q_value"], table["status"] = (
        30 * (1 - p),
        p,
        np.sqrt(p),
        "ok",
    )
    return table


TEXTS = {
    "contrast": ["high vs control"],
    "term": ["dose", "time"],
    "quantity": ["std_dev", "correlation"],
    "group": ["subject"],
    "source": ["dose", "subject", "Residual"],
    "role": ["biological"],
    "smooth": ["s(age, k = 5)"],
    "level": ["A", "B", "C", "D", "E"],
    "at": ["40 (mean - sd)", "50 (mean)"],
    "equivalent": ["yes", "no"],
    "comparison": ["T vs R"],
    "check": ["uniformity", "dispersion", "zeros", "outliers"],
    "family": ["poisson", "nbinom2", "nbinom2 + zi"],
    "best": ["yes", "", ""],
    "scale": ["ratio"],
    "meaning": ["as the model expects"],
    "of": ["high", "low"],
    "leading": ["this model", "presence"],
    "direction": ["same", "opposite"],
}
"""Values of columns of text; every combination of the first found of `SPLIT` is a row of a feature."""
SPLIT = {
    "moderated": "contrast",
    "averaged_tests": "contrast",
    "joint": "contrast",
    "median_contrasts": "contrast",
    "terms": "term",
    "slopes": "quantity",
    "intervals": "quantity",
    "partition": "source",
    "smooths": "level",
    "smooth_edf": "level",
    "benchmarking": "level",
    "slopes_by": "at",
    "means": "of",
    "residual_checks": "check",
    "families": "family",
    "moderated_components": "term",
}
POINTS = 7


def made_up(name: str, ids: list[str]) -> pd.DataFrame:
    """A table of the analysis ``name`` with numbers of the right kind, some missing, some endless."""
    rng = np.random.default_rng(7)
    own, parts = ANALYSES[name], TEXTS.get(SPLIT.get(name, ""), [""])
    repeat = len(parts) * (POINTS if name == "smooths" else 1)
    n = len(ids) * repeat
    table = pd.DataFrame({"feature": np.repeat(ids, repeat)})
    centre = rng.normal(0, 0.3, n)
    for column in list(own.columns)[1:]:
        table[column] = _column(column, n, centre, rng)
    if name in SPLIT:
        table[SPLIT[name]] = np.resize(np.repeat(parts, repeat // len(parts)), n)
    if name == "smooths":
        table["x"] = np.resize(np.linspace(20, 80, POINTS), n)
    numbers = table.select_dtypes("float").columns
    if len(ids) > 3:
        table.loc[table["feature"] == ids[1], numbers] = np.nan
    if "conf_high" in table and len(ids) > 4:
        table.loc[table["feature"] == ids[3], "conf_high"] = np.inf
    return table[list(own.columns)]


def _column(column: str, n: int, centre: np.ndarray, rng: np.random.Generator) -> Any:
    if column == "status":
        return "ok"
    if column in TEXTS:
        return np.resize(TEXTS[column], n)
    if column in ("term_2", "method", "kind", "null", "full", "fitted_by", "slope", "by"):
        return "given"
    if column.endswith("low") or "low_" in column:
        return centre - rng.uniform(0.05, 0.4, n)
    if column.endswith("high") or "high_" in column:
        return centre + rng.uniform(0.05, 0.4, n)
    if column in ("n", "rank", "n_obs"):
        return rng.integers(1, 40, n)
    if column in ("estimate", "ratio", "raw", "shrunken"):
        return centre
    return rng.uniform(0, 1, n)
