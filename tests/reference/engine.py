"""The grid of engine_cases.json: each case fitted by mixflow beside what R found for it (engine/<id>.json)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api import Result
from mixflow.inference.contrasts import Contrast

HERE = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads((HERE / "engine_cases.json").read_text())["cases"]
}
DISAGREEMENTS: dict[str, str] = json.loads((HERE / "engine_disagreements.json").read_text())
"""`<case>.<inference>` -> why mixflow and R differ; such a test is expected to fail, and must (strict)."""


@cache
def by_r(name: str) -> dict[str, Any]:
    """What R found for a case."""
    return json.loads((HERE / "engine" / f"{name}.json").read_text())


def frame_of(case: dict[str, Any]) -> pd.DataFrame:
    """The case's rows with its factors as Categoricals; the index is the row's number in the file."""
    data = pd.read_csv(HERE / "data" / case["data"], keep_default_na=False, na_values=[""])
    data = data.drop(index=case["drop_rows"])
    for name, levels in case["factors"].items():
        text = data[name].map(lambda x: f"{x:g}" if isinstance(x, float) else str(x))
        seen = list(dict.fromkeys(text))
        data[name] = pd.Categorical(text, categories=[x for x in levels if x in seen] if levels else seen)
    return data


def fit_as(case: dict[str, Any], formula: str | None = None, reml: bool | None = None) -> Result:
    """Fit the case's model, or another formula to the same data with the same options."""
    method = case["reml"] if reml is None else reml
    options = dict(case.get("options", {}))
    kr = {"kenward_roger", "kenward_roger_dense"} & {*case["inference"]}
    if kr and method and formula is None:
        options["df"] = "kenward-roger"
    return mixflow.fit(formula or case["formula"], frame_of(case), reml=method, **options)


@cache
def fitted(name: str) -> Result:
    """The case fitted by mixflow, once for all tests."""
    return fit_as(CASES[name])


def asking(inference: str, *engines: str) -> list[Any]:
    """Test parameters: the cases that ask for an inference (all of the engines where it is `estimates`)."""
    return [
        pytest.param(name, id=name, marks=_expected(f"{name}.{inference}"))
        for name, case in CASES.items()
        if (not engines or case["engine"] in engines)
        and (inference == "estimates" or case["inference"].get(inference))
    ]


def _expected(key: str) -> list[Any]:
    reason = DISAGREEMENTS.get(key)
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []


def in_order(result: Result, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """R's rows (with `name`) in the order of mixflow's coefficients; both have the same ones."""
    place = {row["name"]: row for row in rows}
    names = list(result.design.coef_names)
    assert sorted(place) == sorted(names)
    return [place[name] for name in names]


def values(rows: list[dict[str, Any]], key: str) -> np.ndarray:
    """One column of R's rows."""
    return np.array([row[key] for row in rows], dtype=float)


def weights_of(result: Result, coefficients: list[str], rows: list[list[float]]) -> np.ndarray:
    """Contrast rows (r, p) on R's coefficients, in the order of mixflow's."""
    names = list(result.design.coef_names)
    assert sorted(coefficients) == sorted(names)
    return np.atleast_2d(np.array(rows, dtype=float))[:, [coefficients.index(name) for name in names]]


def contrast(result: Result, name: str, rows: np.ndarray, kind: str) -> Contrast:
    """A contrast given by its rows on the coefficients."""
    return Contrast(
        name, np.atleast_2d(rows), kind, name, None, (), np.ones(len(result.design.X), dtype=bool)
    )


def group_name(result: Result, name: str) -> str:
    """mixflow's name of R's group: (1 | a / b) is a:b here; b:a in lme4, a/b in metafor."""
    name = name.replace("/", ":")
    return name if name in result.model.groups else ":".join(reversed(name.split(":")))
