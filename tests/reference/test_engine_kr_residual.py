"""Kenward-Roger with residual structures: the printed formulas of 1997 on nlme's marginal covariances."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference.engine import asking, by_r, fitted, in_order, values

pytestmark = pytest.mark.grid


@pytest.mark.parametrize("name", asking("kenward_roger_dense"))
def test_kenward_roger_of_residual_structures(name: str) -> None:
    result = fitted(name)
    rows = in_order(result, by_r(name)["kenward_roger"]["t"])
    table = result.contrast({row["name"]: {row["name"]: 1} for row in rows}, df="kenward-roger")
    np.testing.assert_allclose(table["std_error"], values(rows, "se"), rtol=1e-4)
    np.testing.assert_allclose(table["df"], values(rows, "df"), rtol=1e-3)
