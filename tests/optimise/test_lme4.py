"""Every case of the list against lme4 and lmerTest (tests/reference/gaussian_cases.json, committed first)."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.inference import contrasts
from mixflow.inference.satterthwaite import degrees_of_freedom
from mixflow.inference.tests import test as run_tests
from mixflow.optimise.components import components
from mixflow.optimise.prepare import prepare
from mixflow.status import Status
from tests.reference.cases import BY_R, CASES, Fitted, fitted


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_agrees_with_r(case: dict) -> None:
    by_r = BY_R[case["id"]]
    got = fitted(case)
    if "error" in by_r:
        assert got.fit.status[0] == Status.ONE_OBSERVATION_PER_LEVEL
        assert "number of levels of each grouping factor must be < number of observations" in by_r["error"]
        return
    _objective(got, by_r)
    _coefficients(got, by_r)
    _components(got, by_r)
    _modes(got, by_r)
    _joint_tests(got, by_r)


def _objective(got: Fitted, by_r: dict) -> None:
    """Our minimum and R's, the lowest of many starts, are within 1e-6."""
    objective = -2 * got.fit.loglik[0]
    assert objective == pytest.approx(by_r["objective"], abs=1e-6)
    assert (got.fit.status[0] == Status.SINGULAR) == by_r["singular"]
    assert got.fit.status[0] in (Status.OK, Status.SINGULAR)
    assert got.fit.n_obs[0] == by_r["n"]


def _coefficients(got: Fitted, by_r: dict) -> None:
    rows = by_r["coefficients"]
    assert list(got.design.coef_names) == [row["name"] for row in rows]
    se = np.array([row["se"] for row in rows])
    assert np.abs(got.fit.beta[0] - [row["estimate"] for row in rows]).max() < 1e-4 * se.min()
    found = np.sqrt(np.diag(got.fit.beta_cov[0]))
    np.testing.assert_allclose(found, se, rtol=1e-5)
    df = [degrees_of_freedom(got.fit, row[None, :])[1][0] for row in np.eye(len(se))]
    np.testing.assert_allclose(df, [row["df"] for row in rows], rtol=1e-3)
    table = run_tests(got.fit, contrasts.build_coefficients(got.design))
    np.testing.assert_allclose(table["p_value"][0], [row["p"] for row in rows], rtol=2e-2, atol=1e-300)


def _components(got: Fitted, by_r: dict) -> None:
    """Covariance matrices of the random terms, relative to the largest variance of each."""
    names = components(prepare(got.design, True)).names
    found = dict(zip(names, got.fit.variance[0], strict=True))
    assert got.fit.sigma[0] == pytest.approx(by_r["sigma"], rel=1e-5)
    for term in by_r["random_terms"]:
        group = _group(got, term["group"])
        matrix = np.array(term["covariance"]).reshape(len(term["columns"]), -1)
        size = max(np.abs(matrix).max(), by_r["sigma"] ** 2 * 1e-3)
        for a, first in enumerate(term["columns"]):
            for b, second in enumerate(term["columns"][: a + 1]):
                key = (group, first, "") if a == b else (group, second, first)
                assert found[key] == pytest.approx(matrix[a, b], abs=2e-4 * size)


def _group(got: Fitted, name: str) -> str:
    """mixflow's name of a group: (1 | a / b) is a:b here, as it is written, and b:a in lme4."""
    return name if name in got.fit.groups else ":".join(reversed(name.split(":")))


def _modes(got: Fitted, by_r: dict) -> None:
    for row in by_r["modes"]:
        group = _group(got, row["group"])
        level = row["level"] if group == row["group"] else ":".join(reversed(row["level"].split(":")))
        place = got.fit.effect_names[group].index((level, row["term"]))
        tolerance = 1e-3 * max(row["sd"], 1e-3 * by_r["sigma"])
        assert got.fit.modes[group][0, place] == pytest.approx(row["mode"], abs=tolerance)
        assert got.fit.mode_sds[group][0, place] == pytest.approx(row["sd"], abs=tolerance)


def _joint_tests(got: Fitted, by_r: dict) -> None:
    """F tests that all coefficients of a term are zero, with lmerTest's denominator df."""
    names = list(got.design.coef_names)
    for joint in by_r["joint_tests"]:
        rows = np.eye(len(names))[[names.index(name) for name in joint["coefficients"]]]
        every = np.ones(len(got.design.X), dtype=bool)
        contrast = contrasts.Contrast(joint["term"], rows, "F", joint["term"], None, (), every)
        found = run_tests(got.fit, [contrast])
        assert found["f_statistic"][0, 0] == pytest.approx(joint["f"], rel=1e-4)
        assert found["f_df1"][0, 0] == joint["num_df"]
        assert found["f_df2"][0, 0] == pytest.approx(joint["den_df"], rel=1e-3)
        assert found["f_p_value"][0, 0] == pytest.approx(joint["p"], rel=2e-2, abs=1e-300)


def test_the_figures_of_the_issue() -> None:
    by_id = {case["id"]: case for case in CASES}
    for name, objective in {
        "sleepstudy_reml": 1743.62827,
        "sleepstudy_ml": 1751.93934,
        "penicillin_ml": 332.18835,
        "pastes_ml": 247.99447,
        "dyestuff2_ml": 162.87304,
    }.items():
        got = fitted(by_id[name])
        assert -2 * got.fit.loglik[0] == pytest.approx(objective, abs=5e-6)
        if name == "dyestuff2_ml":
            assert got.fit.theta[0, 0] == 0.0
            assert got.fit.status[0] == Status.SINGULAR
