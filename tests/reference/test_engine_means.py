"""Estimated marginal means and their contrasts against emmeans, by Satterthwaite and by Kenward-Roger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mixflow.api import Result
from mixflow.inference import mean_contrasts
from mixflow.inference import means as marginal
from mixflow.inference.tests import test as run_tests
from tests.reference.engine import CASES, asking, by_r, contrast, fitted, values, weights_of

pytestmark = pytest.mark.grid


def _compare(result: Result, found: dict[str, Any], df: str) -> np.ndarray:
    """Test R's own rows of weights, and return them in the order of mixflow's coefficients."""
    rows = weights_of(result, found["coefficients"], found["weights"])
    single = [contrast(result, row["label"], w, "t") for row, w in zip(found["table"], rows, strict=True)]
    tests, table = run_tests(result.model, single, df=df, design=result.design), found["table"]
    se = values(table, "se")
    assert (np.abs(tests["estimate"][0] - values(table, "estimate")) < 1e-4 * se).all()
    np.testing.assert_allclose(tests["std_error"][0], se, rtol=1e-4)
    np.testing.assert_allclose(tests["df"][0], values(table, "df"), rtol=1e-3)
    np.testing.assert_allclose(tests["p_value"][0], values(table, "p"), rtol=2e-2, atol=1e-300)
    width = values(table, "high") - values(table, "low")
    assert (np.abs(tests["conf_low"][0] - values(table, "low")) < 5e-4 * width).all()
    assert (np.abs(tests["conf_high"][0] - values(table, "high")) < 5e-4 * width).all()
    return rows


@pytest.mark.parametrize("name", asking("means", "lmer"))
def test_means(name: str) -> None:
    """The same means (the same weights on the coefficients) with the same tests; pairs later minus earlier."""
    result = fitted(name)
    for entry in by_r(name)["means"]:
        at = {k: v[0] if isinstance(v, list) else v for k, v in (entry["at"] or {}).items()}
        rows = _compare(result, entry["means"], entry["df"])
        cells = marginal.means(result.design, entry["factor"], at)
        np.testing.assert_allclose(cells.L, rows, atol=1e-9 * np.abs(rows).max())
        if "pairwise" in entry:
            pairs = _compare(result, entry["pairwise"], entry["df"])
            np.testing.assert_allclose(marginal.pairs(cells)[1], -pairs, atol=1e-9 * np.abs(rows).max())


@pytest.mark.parametrize("name", asking("means", "lmer"))
def test_contrasts_of_means(name: str) -> None:
    """Treatments against control, polynomial and interaction contrasts: R's weights on the coefficients."""
    result = fitted(name)
    asked = CASES[name]["inference"]["means"]
    for entry, words in zip(by_r(name)["means"], asked, strict=True):
        for kind in ("trt.vs.ctrl", "poly", "interaction"):
            if kind in entry:
                rows = _compare(result, entry[kind], entry["df"])
                own = _own(result, entry, kind, words)
                unmatched = [
                    r for r in rows if not np.isclose(own, r, atol=1e-9 * np.abs(rows).max()).all(1).any()
                ]
                assert not unmatched and len(own) == len(rows), kind


def _own(result: Result, entry: dict[str, Any], kind: str, words: dict[str, Any]) -> np.ndarray:
    """The weights on the coefficients that mixflow's words give: emmeans' rows, in whatever order."""
    at = {k: v[0] if isinstance(v, list) else v for k, v in (entry["at"] or {}).items()}
    if kind != "interaction":
        cells = marginal.means(result.design, entry["factor"], at)
        return mean_contrasts.weights(kind, cells.names)[1] @ cells.L
    factors = [entry["factor"], words["interaction"]]
    cells = marginal.means(result.design, factors, at)
    levels = [marginal.a_factor(result.design, f).levels for f in factors]
    return mean_contrasts.interaction(["pairwise", "pairwise"], levels)[1] @ cells.L
