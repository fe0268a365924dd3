"""A random slope's variance and correlation as answers, on sleepstudy and over features of every ending."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.refit import Fitted
from mixflow.inference.variances import COLUMNS, slopes
from mixflow.optimise.fitting import fit_features
from tests.inference.many_features import fitted
from tests.inference.test_lrt import R, table


def test_sleepstudy_by_lme4() -> None:
    """Statistics by anova(refit = FALSE), limits by confint; 42.8368 with 2 df, 0.0410 with 1."""
    design = build(parse("Reaction ~ Days + (Days | Subject)"), table("sleepstudy"))
    assert design.response is not None
    y = design.response[None, :]
    found = slopes(Fitted(fit_features(design, y, ["y"]), design, y), "Subject", "Days")
    assert list(found) == list(COLUMNS)
    assert found["quantity"].tolist() == ["std_dev", "correlation"]
    by_r = [p["chisq"] for p in R["pairs"] if p["data"] == "sleepstudy" and "Days + (" in p["null"]]
    np.testing.assert_allclose(found["statistic"], by_r[:2], atol=2e-6)
    sd, rho = found.itertuples()
    np.testing.assert_allclose(
        sd.p_value, (chi2.sf(sd.statistic, 1) + chi2.sf(sd.statistic, 2)) / 2, rtol=1e-12
    )
    np.testing.assert_allclose(rho.p_value, chi2.sf(rho.statistic, 1), rtol=1e-12)
    np.testing.assert_allclose([sd.conf_low, sd.conf_high], [3.801177, 8.753392], rtol=1e-5)
    np.testing.assert_allclose([rho.conf_low, rho.conf_high], [-0.481493, 0.685019], atol=1e-5)


def test_every_ending_and_any_order() -> None:
    model = fitted()
    whole = slopes(model, "subject", "x")
    by = whole.set_index(["feature", "quantity"]).sort_index()
    assert by.loc[("steep", "std_dev"), "p_value"] < 1e-6
    assert by.loc[("singular", "std_dev"), "p_value"] > 0.4
    assert by.loc[("singular", "std_dev"), "status"] == "at the boundary"
    assert by.loc[("singular", "correlation"), "status"] == "not defined"
    assert by.loc["constant", "p_value"].isna().all()
    assert by.loc[("one level", "std_dev"), "status"] == "too few levels"
    part = slopes(fitted(features=[5, 1]), "subject", "x").drop(columns="q_value")
    expected = pd.concat([whole[whole["feature"] == name] for name in ("steep", "gaps")])
    pd.testing.assert_frame_equal(
        part, expected.drop(columns="q_value").reset_index(drop=True), check_exact=True
    )
    found = ANALYSES["slopes"].run(Subject(model.fit, model.design, model.values), group="subject", term="x")
    pd.testing.assert_frame_equal(found, whole)


def test_independent_effects_have_no_correlation() -> None:
    model = fitted("~ x + (x || subject)", features=[0])
    assert slopes(model, "subject", "x")["quantity"].tolist() == ["std_dev"]
    with pytest.raises(MixflowError, match=r"\(Intercept\) of subject, x of subject"):
        slopes(model, "subject", "time")
