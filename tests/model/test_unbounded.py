"""Parameters beside the mean without a finite estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.model.unbounded import FAR, standing, told


def test_told_is_infinite_and_standing_is_not() -> None:
    more, cov = np.array([[2.0, -9.0, np.nan], [1.0, 8.0, 3.0]]), np.tile(np.eye(3), (2, 1, 1))
    cov[0, 1, :] = cov[0, :, 1] = np.nan
    found = told(more, cov)
    np.testing.assert_array_equal(found, [[2.0, -np.inf, np.nan], [1.0, 8.0, 3.0]])
    np.testing.assert_array_equal(standing(found), [[2.0, -FAR, np.nan], [1.0, 8.0, 3.0]])


@pytest.mark.grid
def test_a_size_and_degrees_of_freedom_without_an_estimate_are_infinite() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([f"g{i:02d}" for i in range(12)], 8)
    table = pd.DataFrame({"g": group, "x": rng.normal(size=96)})
    effect = np.repeat(rng.normal(0, 0.5, 12), 8)
    table["count"] = np.round(np.exp(1 + 0.3 * table["x"] + effect))
    table["even"] = rng.uniform(-1, 1, 96) + effect
    for formula, family in (("count ~ x + (1 | g)", "nbinom2"), ("even ~ x + (1 | g)", "t")):
        found = mixflow.fit(formula, table, family=family)
        last = found.coefficients.iloc[-1]
        assert found.status.iloc[0] == "simpler family"
        assert last["estimate"] == np.inf and np.isnan(last["std_error"])
        assert np.isposinf(found.model.more[0, -1])
