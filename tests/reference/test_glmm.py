"""Generalised mixed models beside glmmTMB (Laplace) and lme4 (quadrature); glmm/glmm.R wrote the values.

The optimum is not below R's, estimates lie within 1e-3 of R's standard errors, and these agree to 1 %.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mixflow
from tests.reference.glmm_cases import CASES, frame, options

LOGLIK = 1e-5
PLAIN = ("cbpp", "cbpp_agq9")
"""Compiled in seconds: these run with every `make test`."""


def check(case: str, reference: Path) -> None:
    theirs = json.loads((reference / "glmm" / "glmm.json").read_text())[case]
    found = mixflow.fit(CASES[case]["formula"], frame(reference / "data", case), **options(case))
    assert found.status.iloc[0] in ("ok", "singular")
    assert found.loglik.iloc[0] > theirs["loglik"] - 1e-6
    assert abs(found.loglik.iloc[0] - theirs["loglik"]) < LOGLIK
    for component, part in theirs["parts"].items():
        own = found.coefficients[found.coefficients["component"] == component]
        estimate, error = numbers(part["estimate"]), numbers(part["se"])
        assert len(own) == len(estimate)
        np.testing.assert_array_less(np.abs(own["estimate"] - estimate), 1e-3 * error)
        np.testing.assert_allclose(own["std_error"], error, rtol=1e-2)
    sds = np.sort([sd for name, sd in theirs["sd"].items()])
    ours = found.variance_components["std_dev"].dropna()
    np.testing.assert_allclose(np.sort(ours), sds, rtol=1e-3)


def numbers(values: Any) -> np.ndarray:
    """A vector of one is a number in R's JSON."""
    return np.atleast_1d(np.asarray(values, dtype=float))


@pytest.mark.parametrize("case", PLAIN)
def test_small_models_equal_r(case, reference):
    check(case, reference)


@pytest.mark.grid
@pytest.mark.parametrize("case", [name for name in CASES if name not in PLAIN])
def test_models_equal_r(case, reference):
    check(case, reference)
