"""All tests of one scenario by mixflow: measure.py CONFIG SCENARIO WORK.

Writes WORK/SCENARIO.tests.npz (p, interval, df of every feature, contrast and method, of null features and
with effects) and WORK/SCENARIO.variances.npz (group variance over residual variance, alone and moderated).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.inference.contrasts import Contrast, from_weights
from mixflow.inference.hat_df import hat_df
from mixflow.inference.moderate_components import moderate_components
from mixflow.inference.moderation import moderated
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features

CONTRASTS = ("between", "within")
METHODS = ("satterthwaite", "kenward-roger", "z", "moderated", "dream", "averaged")
"""Three of each feature alone; three that borrow: limma's variances by information about sigma and by dream's
rule, and averaged over variance ratios (docs/moderating-components.md)."""
KEPT = ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high")


def tests(
    fit: Fit, design: Design, values: np.ndarray, asked: list[Contrast], level: float
) -> dict[str, Any]:
    """Arrays (N, contrasts) of each method: {method: {name: array}}; and the moderated components."""
    at = 1 - level
    found = {m: test(fit, asked, df=m, design=design, level=at) for m in METHODS[:3]}
    found["moderated"] = moderated(fit, asked, level=at)
    found["dream"] = moderated(fit, asked, level=at, rule="dream", rdf=hat_df(fit, design, values))
    found["averaged"] = moderate_components(fit, design, values, asked, level=at)
    return found


def run(config: dict[str, Any], frame: pd.DataFrame, values: np.ndarray) -> tuple[dict, dict]:
    """Tests as {method/name: (N, contrasts)}, ``power/method`` p-values with effects; and variance ratios."""
    design = build(parse(config["formula"]), frame)
    ids = list(map(str, range(len(values))))
    asked = from_weights({name: {name: 1.0} for name in CONTRASTS}, design)
    fit = fit_features(design, values, ids, kr=True, modes=False)
    found = tests(fit, design, values, asked, config["level"])
    out = {f"{m}/{name}": found[m][name] for m in METHODS for name in KEPT if name in found[m]}
    out["theta"] = fit.theta[:, 0]
    shift = sum(size * frame[name].to_numpy() for name, size in config["effect"].items())
    some = slice(config["power_features"])
    again = fit_features(design, values[some] + shift, ids[some], kr=True, modes=False)
    moved = tests(again, design, values[some] + shift, asked, config["level"])
    out |= {f"power/{m}": moved[m]["p_value"] for m in METHODS}
    ratios = {
        "plain": fit.variance,
        "moderated": found["averaged"]["variance"],
        "residual_limma": found["moderated"]["s2_post"],
        "prior_theta": found["averaged"]["prior"].values,
        "prior_weight": found["averaged"]["prior"].weights,
    }
    return out, ratios


def main(config_file: str, scenario: str, work: str) -> None:
    """Write the scenario's results."""
    config, folder = yaml.safe_load(Path(config_file).read_text()), Path(work)
    values = np.load(folder / f"{scenario}.npz")["values"]
    found, ratios = run(config, pd.read_csv(folder / f"{scenario}.samples.csv"), values)
    np.savez(folder / f"{scenario}.tests.npz", **found)
    np.savez(folder / f"{scenario}.variances.npz", **ratios)


if __name__ == "__main__":
    main(*sys.argv[1:])
