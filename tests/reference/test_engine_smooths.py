"""Penalised splines against mgcv (REML or ML; a smooth by a factor with one smoothing parameter, id = 1).

The likelihoods' constants differ by the basis of the null space, so fitted values, sigma and effective degrees of
freedom are compared: together they pin down the smoothing parameters and the random effects' variances. mgcv bounds
a smoothing parameter, so that a variance of zero is one of about 1e-8 there. By ML, mgcv's sig2 is rss / (n - edf);
the ML estimate is that of gam.vcomp.
"""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.inference.smooths import smooth_edf
from tests.reference.engine import CASES, asking, by_r, fitted

pytestmark = pytest.mark.grid


@pytest.mark.parametrize("name", asking("smooth", "gam"))
def test_fitted_values(name: str) -> None:
    result, reference = fitted(name), by_r(name)
    assert result.model.n_obs[0] == reference["n"]
    found = result.predict()[reference["rows"]].to_numpy()[0]
    spread = np.std(reference["fitted"])
    assert np.abs(found - reference["fitted"]).max() < 1e-4 * spread
    sigma = reference["sigma"] if CASES[name]["reml"] else reference["components"][-1]
    assert result.model.sigma[0] == pytest.approx(sigma, rel=1e-5)


@pytest.mark.parametrize("name", asking("smooth", "gam"))
def test_effective_degrees_of_freedom(name: str) -> None:
    result, reference = fitted(name), by_r(name)
    random = {"s(Chick)", "s(Mare)", "s(Rat)", "s(Cow)", "s(Subject)"}
    smooths = [
        e for label, e in zip(reference["labels"], reference["edf"], strict=True) if label not in random
    ]
    np.testing.assert_allclose(smooth_edf(result.fitted)["edf"], smooths, rtol=1e-3)
