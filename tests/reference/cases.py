"""The cases of gaussian_cases.json as data frames beside what R found for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = json.loads((HERE / "gaussian_cases.json").read_text())["cases"]
BY_R: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads((HERE / "gaussian.json").read_text())["cases"]
}


@dataclass(frozen=True)
class Fitted:
    """A case fitted by mixflow."""

    design: Design
    fit: Fit
    values: np.ndarray
    weights: np.ndarray | None


def frame_of(case: dict[str, Any]) -> pd.DataFrame:
    """The case's rows with its factors as Categoricals."""
    data = pd.read_csv(HERE / "data" / case["data"], keep_default_na=False, na_values=[""])
    for name, levels in case["factors"].items():
        text = data[name].map(lambda x: f"{x:g}" if isinstance(x, float) else str(x))
        data[name] = pd.Categorical(text, categories=levels or list(dict.fromkeys(text)))
    return data.drop(index=case["drop_rows"])


def fitted(case: dict[str, Any], *, kr: bool = False) -> Fitted:
    """Fit the case: the response's missing rows as NaN, weights as given; ``kr``: with Kenward-Roger."""
    frame = frame_of(case)
    design = build(parse(case["formula"]), frame)
    assert design.response is not None
    y = design.response.astype(float).copy()
    y[np.isin([int(label) for label in design.labels], case["missing_response"])] = np.nan
    weights = None if case["weights"] is None else frame[case["weights"]].to_numpy(float)[design.rows]
    fit = fit_features(design, y[None, :], [case["id"]], reml=case["reml"] or kr, weights=weights, kr=kr)
    return Fitted(design, fit, y, weights)
