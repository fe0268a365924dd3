"""The part of docs/reference.md about generalised models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.reference.glmm_cases import CASES, TABLES

HERE = Path(__file__).parent
DIFFERENCES: dict[str, str] = json.loads((HERE / "glmm_differences.json").read_text())
"""Where a package of R gives another answer, with the log-likelihoods that show whose is better."""

OPTIONS = ("link", "zi", "dispersion", "weights", "thresholds", "nagq")


def lines() -> list[str]:
    """Text of the section."""
    files = {TABLES[case["table"]]["file"] for case in CASES.values()}
    return [
        "## Generalised models",
        "",
        f"{len(CASES)} cases over {len(files)} data sets (tests/reference/glmm_cases.json, listed before R had run),",
        "each fitted by R and polished there to where the gradient is nothing (tests/reference/glmm/lib.R). Held:",
        "log-likelihood within 1e-5 and not below R's by more than 1e-6, estimates within 1e-3 standard errors,",
        "standard errors within 1 %, standard deviations of random effects within 0.1 %. Where neither glmmTMB 1.1.5,",
        "lme4, ordinal nor survival has the model (random effects of a dispersion, log-normal, limits with random",
        "effects), R's answer is Laplace's approximation by TMB of densities written there (reference.cpp), or an",
        "integral by 101 points. Cumulative models are polished by that template: ordinal's gradients are numeric.",
        "GLMMadaptive is not in the Debian archive: it was not compared.",
        "",
        "| family | cases | data sets | with random effects | options | answered by |",
        "|---|---|---|---|---|---|",
        *(_row(name) for name in dict.fromkeys(case["family"] for case in CASES.values())),
        "",
        "### Where a package of R answers otherwise",
        "",
        *(f"- `{name}`: {text}" for name, text in DIFFERENCES.items()),
    ]


def _row(family: str) -> str:
    own = {name: case for name, case in CASES.items() if case["family"] == family}
    answers = json.loads((HERE / "glmm" / "glmm.json").read_text())
    files = {TABLES[case["table"]]["file"] for case in own.values()}
    random = sum("|" in case["formula"] for case in own.values())
    packages = dict.fromkeys(answers[name]["package"] for name in own)
    used = ", ".join(text for key in OPTIONS if (text := _used(key, list(own.values()))))
    return f"| {family} | {len(own)} | {len(files)} | {random} | {used} | {'; '.join(packages)} |"


def _used(key: str, cases: list[dict[str, Any]]) -> str:
    values = [case[key] for case in cases if key in case]
    if not values:
        return ""
    if key in ("link", "thresholds", "nagq"):
        return f"{key} {'/'.join(str(v) for v in sorted(dict.fromkeys(values)))}"
    return f"{key} with random terms" if any("|" in v for v in values) else key
