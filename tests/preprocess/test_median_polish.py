"""Tukey's median polish against R's stats::medpolish (tests/reference/median_polish.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixflow.preprocess.median_polish import median_polish, nan_median

ROOT = Path(__file__).parents[1] / "reference"
CASES: dict[str, dict[str, Any]] = json.loads((ROOT / "median_polish.json").read_text())["cases"]


def array(case: dict[str, Any], key: str) -> np.ndarray:
    return np.array(
        [np.nan if v is None else v for v in np.atleast_1d(np.array(case[key], dtype=object))], float
    )


def table(case: dict[str, Any], key: str = "values") -> np.ndarray:
    return array(case, key).reshape(case["rows"], case["columns"])


@pytest.mark.parametrize("name", CASES)
def test_as_medpolish_of_r(name: str) -> None:
    case = CASES[name]
    ours = median_polish(table(case)[None], case["eps"], case["maxiter"])
    np.testing.assert_allclose(ours.overall[0], case["overall"], atol=1e-12)
    np.testing.assert_allclose(ours.row[0], array(case, "row"), atol=1e-12)
    np.testing.assert_allclose(ours.column[0], array(case, "column"), atol=1e-12)
    np.testing.assert_allclose(ours.residual[0], table(case, "residual"), atol=1e-12)
    assert bool(ours.converged[0]) == case["converged"]


def test_tables_side_by_side_are_polished_as_if_alone() -> None:
    """Padding with NaN, and tables that need more iterations, change nothing."""
    names = ["deaths", "missing", "heavy", "sparse", "empty_row", "one_cell"]
    rows, columns = (max(CASES[name][key] for name in names) for key in ("rows", "columns"))
    stack = np.full((len(names), rows, columns), np.nan)
    for k, name in enumerate(names):
        stack[k, : CASES[name]["rows"], : CASES[name]["columns"]] = table(CASES[name])
    together = median_polish(stack)
    for k, name in enumerate(names):
        alone = median_polish(table(CASES[name])[None])
        i, j = table(CASES[name]).shape
        np.testing.assert_array_equal(together.overall[k], alone.overall[0])
        np.testing.assert_array_equal(together.row[k, :i], alone.row[0])
        np.testing.assert_array_equal(together.column[k, :j], alone.column[0])
        assert together.iterations[k] == alone.iterations[0]
    assert len(set(together.iterations.tolist())) > 1


def test_parts_add_up_to_the_values() -> None:
    values = table(CASES["sparse"])
    ours = median_polish(values[None])
    total = ours.overall[0] + ours.row[0][:, None] + ours.column[0][None, :] + ours.residual[0]
    np.testing.assert_allclose(total, values, atol=1e-12)


def test_a_table_without_values_has_no_effects() -> None:
    ours = median_polish(np.full((1, 3, 2), np.nan))
    assert np.isnan(ours.row).all() and np.isnan(ours.column).all() and ours.converged.all()


def test_median_without_the_missing() -> None:
    values = np.array([[3.0, np.nan, 1.0], [np.nan, np.nan, np.nan], [5.0, 1.0, 2.0], [np.nan, 4.0, np.nan]])
    np.testing.assert_array_equal(nan_median(values), [2.0, np.nan, 2.0, 4.0])
    assert nan_median(np.empty((2, 0))).shape == (2,)
