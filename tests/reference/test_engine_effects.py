"""Conditional modes, predictions and R2 against R."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.reference.engine import CASES, asking, by_r, fitted, group_name

pytestmark = pytest.mark.grid


@pytest.mark.parametrize("name", asking("modes"))
def test_modes(name: str) -> None:
    """Conditional modes (lme4, nlme, glmmTMB, metafor) and, of lme4 and metafor, their standard deviations."""
    result, reference = fitted(name), by_r(name)
    table = result.random_effects
    only = result.model.groups[0]
    sds = table["std_error"].to_numpy()
    place = {
        (g, lv, t): i for i, (g, lv, t) in enumerate(zip(table.group, table.level, table.term, strict=True))
    }
    for row in reference["modes"]:
        group = group_name(result, row["group"]) if "group" in row else only
        level = row["level"].replace("/", ":")
        reversed_ = ":".join(reversed(level.split(":")))
        term = row.get("term", "(Intercept)")
        i = place[(group, level, term)] if (group, level, term) in place else place[(group, reversed_, term)]
        tolerance = 1e-3 * max(sds[i], 1e-3 * result.model.sigma[0])
        assert table["estimate"].iloc[i] == pytest.approx(row["mode"], abs=tolerance)
        if "sd" in row:
            assert sds[i] == pytest.approx(row["sd"], abs=tolerance)


@pytest.mark.parametrize("name", asking("predict", "lmer"))
def test_predictions(name: str) -> None:
    """Known groups with their modes, new groups with the fixed part alone (lme4's allow.new.levels)."""
    result, reference = fitted(name), by_r(name)["predict"]
    new = pd.DataFrame(CASES[name]["inference"]["predict"])
    found = result.predict(new).to_numpy()[0]
    np.testing.assert_allclose(found, reference["conditional"], rtol=1e-5)


@pytest.mark.parametrize("name", asking("r2", "lmer"))
def test_r2(name: str) -> None:
    """Nakagawa and Schielzeth, with Johnson's mean for random slopes; by the formula from lmer's parts."""
    row, reference = fitted(name).r2().iloc[0], by_r(name)["r2"]
    scale = reference["fixed"] + reference["random"] + reference["residual"]
    assert row["var_fixed"] == pytest.approx(reference["fixed"], abs=1e-4 * scale)
    assert row["var_random"] == pytest.approx(reference["random"], abs=1e-4 * scale)
    assert row["var_residual"] == pytest.approx(reference["residual"], abs=1e-4 * scale)
    assert row["r2_marginal"] == pytest.approx(reference["marginal"], abs=1e-4)
    assert row["r2_conditional"] == pytest.approx(reference["conditional"], abs=1e-4)
