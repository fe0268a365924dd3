"""Generalised mixed models beside R; glmm/glmm.R wrote the values (its head says which package answers which case).

The optimum is not below R's, estimates lie within 1e-3 of R's standard errors, and these agree to 1 %.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixflow
from tests.reference.glmm_cases import CASES, frame, options

LOGLIK = 1e-5
PLAIN = ("cbpp", "cbpp_agq9", "wine_fixed")
"""Compiled in seconds: these run with every `make test`."""


def check(case: str, reference: Path) -> None:
    theirs = json.loads((reference / "glmm" / "glmm.json").read_text())[case]
    found = mixflow.fit(CASES[case]["formula"], frame(reference / "data", case), **options(case))
    assert found.status.iloc[0] in expected(case, theirs)
    assert found.loglik.iloc[0] > theirs["loglik"] - 1e-6
    assert abs(found.loglik.iloc[0] - theirs["loglik"]) < LOGLIK
    for component, part in theirs["parts"].items():
        own = distinct(found.coefficients[found.coefficients["component"] == component])
        same(own, numbers(part["estimate"]), numbers(part["se"]))
    ours = found.variance_components["std_dev"].dropna().to_numpy(float)
    np.testing.assert_allclose(np.sort(ours), np.sort(numbers(theirs.get("sd", []))), rtol=1e-3, atol=1e-4)


def expected(case: str, theirs: dict[str, Any]) -> tuple[str, ...]:
    """Statuses that the case may end with; a parameter without a finite estimate is null in R's answer."""
    null = any(None in np.atleast_1d(part["se"]).tolist() for part in theirs["parts"].values())
    return ("simpler family",) if null or "simpler" in CASES[case] else ("ok", "singular")


def distinct(table: pd.DataFrame) -> pd.DataFrame:
    """Without the thresholds beside categories that nobody chose: infinite, or those of their neighbours."""
    if not ((table["component"] == "family") & table["term"].str.contains("|", regex=False)).all():
        return table
    return table[~np.isinf(table["estimate"])].drop_duplicates("estimate")


def same(own: pd.DataFrame, estimate: np.ndarray, error: np.ndarray) -> None:
    """Estimates and standard errors; what has no finite estimate (null) has no standard error here."""
    assert len(own) == len(estimate)
    known = np.isfinite(error)
    assert np.isnan(own["std_error"][~known]).all()
    np.testing.assert_array_less(np.abs(own["estimate"] - estimate)[known], 1e-3 * error[known])
    np.testing.assert_allclose(own["std_error"][known], error[known], rtol=1e-2)


def numbers(values: Any) -> np.ndarray:
    """A vector of one is a number in R's JSON, and standard deviations of older entries have names."""
    plain = list(values.values()) if isinstance(values, dict) else values
    return np.atleast_1d(np.asarray(plain, dtype=float))


@pytest.mark.parametrize("case", PLAIN)
def test_small_models_equal_r(case, reference):
    check(case, reference)


@pytest.mark.grid
@pytest.mark.parametrize("case", [name for name in CASES if name not in PLAIN])
def test_models_equal_r(case, reference):
    check(case, reference)
