"""What a feature's rows say nothing about has no estimate, and the rest is that of the feature alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.api.fitting import fit_values


def _frame() -> pd.DataFrame:
    cells = [(f"s{i}", f"v{t}", f"c{i % 3}") for i in range(12) for t in range(3)]
    frame = pd.DataFrame(cells, columns=["subject", "visit", "site"])
    return frame.assign(x=np.random.default_rng(5).normal(size=len(frame)))


@pytest.mark.parametrize(
    ("options", "column", "level", "known"),
    [
        ({"residual": "us(visit | subject)"}, "visit", "v2", [True, True, False, False, False]),
        ({"residual": "us(visit | subject)"}, "visit", "v0", [False, False, False, True, False]),
        ({"dispersion": "~ site"}, "site", "c1", [False, True]),
        ({"dispersion": "~ site"}, "site", "c0", [False, False]),
    ],
)
def test_no_estimate_of_what_was_not_observed(
    options: dict, column: str, level: str, known: list[bool]
) -> None:
    frame = _frame()
    values = np.random.default_rng(6).normal(size=(2, len(frame)))
    here = (frame[column] != level).to_numpy()
    values[1, ~here] = np.nan
    fit = fit_values(values, frame, "~ x", **options)
    alone = fit_values(values[1:, here], frame[here].reset_index(drop=True), "~ x", **options)
    assert np.isfinite(fit.structure[0]).all()
    np.testing.assert_array_equal(np.isfinite(fit.structure[1]), known)
    np.testing.assert_allclose(fit.loglik[1], alone.loglik[0], rtol=1e-10)
    np.testing.assert_allclose(fit.beta_cov[1], alone.beta_cov[0], rtol=1e-4)
    np.testing.assert_allclose(fit.sigma[1], alone.sigma[0], rtol=1e-5)
    assert fit.n_parameters[1] == alone.n_parameters[0]


def test_a_correlation_without_pairs_has_no_estimate() -> None:
    frame = _frame()
    values = np.random.default_rng(6).normal(size=(2, len(frame)))
    values[1, (frame["visit"] != "v1").to_numpy()] = np.nan
    fit = fit_values(values, frame, "~ x", residual="ar1(visit | subject)")
    assert np.isfinite(fit.structure[0, 0])
    assert np.isnan(fit.structure[1, 0])
    assert fit.fitted.all()


@pytest.mark.parametrize(
    ("options", "column", "level"),
    [({"dispersion": "~ site"}, "site", "c0"), ({"residual": "us(visit | subject)"}, "visit", "v0")],
)
def test_without_the_reference_sigma_is_that_of_the_first_level_seen(
    options: dict, column: str, level: str
) -> None:
    """Also beside a random effect, whose variance is that of the feature fitted alone."""
    frame = _frame()
    random = np.random.default_rng(8)
    values = random.normal(size=(1, len(frame))) + np.repeat(2 * random.normal(size=4), 9)
    frame["clinic"] = np.repeat(["k", "l", "m", "n"], 9)
    here = (frame[column] != level).to_numpy()
    values = np.vstack([values, np.where(here, values[0], np.nan)])
    fit = fit_values(values, frame, "~ x + (1 | clinic)", **options)
    alone = fit_values(values[:1, here], frame[here].reset_index(drop=True), "~ x + (1 | clinic)", **options)
    np.testing.assert_allclose(fit.loglik[1], alone.loglik[0], rtol=1e-10)
    np.testing.assert_allclose(fit.sigma[1], alone.sigma[0], rtol=1e-4)
    np.testing.assert_allclose(fit.theta[1, 0], alone.theta[0, 0], rtol=1e-4)
    np.testing.assert_allclose(fit.variance[1], alone.variance[0], rtol=1e-4)
    np.testing.assert_allclose(fit.aic[1], alone.aic[0])
