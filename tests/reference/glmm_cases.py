"""The generalised models that are held against R, as mixflow fits them: glmm_cases.json, which glmm.R reads too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

LIST = json.loads((Path(__file__).parent / "glmm_cases.json").read_text())
CASES: dict[str, dict[str, Any]] = LIST["cases"]
"""By name: ``table``, ``formula``, options of mixflow.fit, ``r``: how R answers where it is not plain, ``simpler``: the family
whose answer it is, where the dispersion has no finite estimate."""

TABLES: dict[str, dict[str, Any]] = LIST["tables"]
"""By name: ``file`` below tests/reference/data, columns that are ``factors``, levels of ``ordered`` ones."""


def options(case: str) -> dict[str, Any]:
    """What is given to `mixflow.fit` beside formula and data."""
    return {k: v for k, v in CASES[case].items() if k not in ("table", "formula", "r", "simpler")}


def frame(folder: Path, case: str) -> pd.DataFrame:
    """The table of a case. ``folder``: tests/reference/data."""
    spec = TABLES[CASES[case]["table"]]
    ordered = spec.get("ordered", {})
    table = pd.read_csv(folder / spec["file"], dtype=dict.fromkeys([*spec["factors"], *ordered], str))
    for column, levels in ordered.items():
        table[column] = pd.Categorical(table[column], levels, ordered=True)
    return table
