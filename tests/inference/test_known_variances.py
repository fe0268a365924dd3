"""Tests and predictions where residual variances are known: nothing is estimated of them, so tests are normal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixflow
from mixflow.errors import MixflowError


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    v = random.uniform(0.5, 4.0, 24)
    frame = pd.DataFrame({"study": np.repeat(np.arange(12), 2), "arm": np.tile(list("abcabd"), 4), "v": v})
    return frame.assign(y=0.5 * np.sqrt(v) * random.normal(size=24))  # less spread than v says: tau is zero


def test_joint_tests_of_a_model_without_random_effects_are_chi_squared(frame: pd.DataFrame) -> None:
    """The Wald statistic of the arms, (L b)' (L (X'V^-1 X)^-1 L')^-1 (L b), on 3 degrees of freedom."""
    table = mixflow.fit("y ~ arm", frame, variances="v").terms().iloc[0]
    X = np.column_stack([np.ones(24), *((frame["arm"] == level).to_numpy(float) for level in "bcd")])
    cov = np.linalg.inv(X.T @ (X / frame["v"].to_numpy()[:, None]))
    beta = cov @ X.T @ (frame["y"] / frame["v"]).to_numpy()
    statistic = beta[1:] @ np.linalg.solve(cov[1:, 1:], beta[1:])
    assert table["df_num"] * table["statistic"] == pytest.approx(statistic)
    assert table["p_value"] == pytest.approx(stats.chi2.sf(statistic, 3))
    assert table["status"] == "ok"


def test_a_variance_between_studies_of_zero_leaves_the_common_effect(frame: pd.DataFrame) -> None:
    between = mixflow.fit("y ~ 1 + (1 | study)", frame, variances="v")
    common = mixflow.fit("y ~ 1", frame, variances="v")
    assert between.status.item() == "singular"
    columns = ["estimate", "std_error", "df", "statistic", "p_value"]
    told, alone = (fit.coefficients[columns].to_numpy(float) for fit in (between, common))
    np.testing.assert_allclose(told, alone, rtol=1e-6)
    assert np.isinf(told[0, 2])


def test_what_needs_an_estimated_residual_variance_is_refused(frame: pd.DataFrame) -> None:
    fit = mixflow.fit("y ~ arm + (1 | study)", frame, variances="v")
    with pytest.raises(MixflowError, match="nothing to borrow"):
        fit.analyse("moderated")
    with pytest.raises(MixflowError, match="differ between rows"):
        fit.analyse("icc", group="study")
