"""Features with as many values as coefficients: moderated as limma has them, alone without a test."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api.fitting import fit_values
from mixflow.design import build
from mixflow.formula import parse
from mixflow.inference.contrasts import Contrast
from mixflow.inference.moderation import moderated
from mixflow.inference.saturated import filled
from mixflow.model import Fit
from mixflow.status import Status

FRAME = pd.DataFrame({"arm": np.repeat(["a", "b", "c"], 3)})
SATURATED = [0, 1, 2]
"""Features of the reference without residual degrees of freedom."""


@pytest.fixture(scope="module")
def limma(reference) -> dict:
    return json.loads((reference / "limma_saturated.json").read_text())


def _fitted(values: np.ndarray) -> tuple[Fit, Fit, list[Contrast]]:
    design, fit = build(parse("~ arm"), FRAME), fit_values(values, FRAME, "~ arm")
    every = np.ones(9, dtype=bool)
    names, rows = fit.coef_names, np.eye(len(fit.coef_names))
    single = [Contrast(n, rows[[j]], "t", n, None, (), every) for j, n in enumerate(names)]
    joint = Contrast("arm", rows[1:], "F", "arm", None, (), every)
    return fit, filled(fit, design, values), [*single, joint]


def test_every_number_is_limmas(limma: dict) -> None:
    values = np.array(limma["values"], dtype=float)
    fit, whole, asked = _fitted(values)
    found = moderated(fit, asked, saturated=whole)
    assert list(fit.coef_names) == limma["colnames"]
    np.testing.assert_allclose(found["rdf"], limma["df_residual"], rtol=1e-10)
    np.testing.assert_allclose(found["s2_prior"], limma["s2_prior"], rtol=1e-6)
    np.testing.assert_allclose(found["df_prior"], limma["df_prior"], rtol=1e-6)
    np.testing.assert_allclose(found["s2_post"], limma["s2_post"], rtol=1e-6)
    for ours, theirs in (("estimate", "coefficients"), ("statistic", "t"), ("p_value", "p")):
        np.testing.assert_allclose(found[ours], np.array(limma[theirs], dtype=float), rtol=1e-5)
    df = np.array(limma["df_total"])[:, None]
    np.testing.assert_allclose(found["df"], np.where(np.isnan(found["statistic"]), np.nan, df), rtol=1e-6)


def test_alone_they_have_no_test_and_no_variance(limma: dict) -> None:
    fit, whole, asked = _fitted(np.array(limma["values"], dtype=float))
    found = moderated(fit, asked, saturated=whole)
    assert (fit.status[SATURATED] == Status.TOO_FEW_OBSERVATIONS).all()
    assert np.isnan(found["plain"]["p_value"][SATURATED]).all() and np.isnan(found["s2"][SATURATED]).all()
    told = found["status"][SATURATED]
    expected = [[1, 1, 1], [1, 1, Status.NOT_ESTIMABLE], [1, *[Status.NOT_ESTIMABLE] * 2]]
    np.testing.assert_array_equal(told, expected)
    without = moderated(fit, asked)
    assert np.isnan(without["p_value"][SATURATED]).all()
    np.testing.assert_array_equal(without["statistic"][4:], found["statistic"][4:])


def test_a_joint_test_takes_the_prior_variance_too(limma: dict) -> None:
    values = np.array(limma["values"], dtype=float)
    fit, whole, asked = _fitted(values)
    found = moderated(fit, asked, saturated=whole)
    one = values[0, [0, 3, 6]]  # a value in each arm: the F is the variance of three values over the prior's
    assert found["f_statistic"][0, 0] == pytest.approx(one.var(ddof=1) / found["s2_prior"][0])
    assert found["f_df2"][0, 0] == pytest.approx(found["df_prior"][0])


def test_weights_and_rows_of_their_own_count(limma: dict) -> None:
    values = np.array(limma["values"], dtype=float)
    design = build(parse("~ arm"), FRAME)
    weights = np.arange(1.0, 10.0)
    fit = fit_values(values, FRAME, "~ arm", weights=weights)
    whole = filled(fit, design, values, weights)
    np.testing.assert_allclose(np.diag(whole.beta_cov[0]), [1.0, 1 + 1 / 4, 1 + 1 / 7])
    long = filled(fit, design, values[0], weights, np.zeros(9, dtype=int))
    np.testing.assert_allclose(long.solution[0], whole.solution[0])


def test_without_a_prior_there_is_no_test() -> None:
    values = np.full((2, 9), np.nan)
    values[:, [0, 3, 6]] = [[1.0, 2.0, 4.0], [2.0, 2.5, 1.0]]
    fit, whole, asked = _fitted(values)
    found = moderated(fit, asked, saturated=whole)
    assert np.isnan(found["p_value"]).all() and (found["status"] == Status.TOO_FEW_OBSERVATIONS).all()


def test_a_mixed_model_keeps_its_statuses(limma: dict) -> None:
    frame = FRAME.assign(unit=["u", "v", "w"] * 3)
    design = build(parse("~ arm + (1 | unit)"), frame)
    fit = fit_values(np.array(limma["values"], dtype=float), frame, "~ arm + (1 | unit)")
    assert filled(fit, design, fit.beta) is fit


def test_the_analysis_has_them(limma: dict) -> None:
    values = np.array(limma["values"], dtype=float)
    long = pd.DataFrame({"y": values.ravel(), "feature": np.repeat(np.arange(len(values)), 9)})
    long["arm"] = np.tile(FRAME["arm"], len(values))
    result = mixflow.fit("y ~ arm", long, feature="feature")
    table = result.analyse("moderated").set_index(["contrast", "feature"])
    assert table.loc[("arm[b]", 0), "statistic"] == pytest.approx(limma["t"][0][1], rel=1e-5)
    assert np.isnan(table.loc[("arm[b]", 0), "plain_statistic"])
