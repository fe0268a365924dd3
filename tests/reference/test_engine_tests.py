"""t tests of all coefficients, F tests of all terms and type I/II/III tables against lmerTest and pbkrtest.

lmerTest's derivatives are numerical, so df agree within 1e-3 relative (DESIGN section 6).

"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mixflow.api import Result
from mixflow.inference.tests import test as run_tests
from tests.reference.engine import asking, by_r, contrast, fitted, in_order, values

pytestmark = pytest.mark.grid


def _each_coefficient(result: Result, rows: list[dict[str, Any]], df: str) -> None:
    rows = in_order(result, rows)
    single = [
        contrast(result, row["name"], unit, "t") for row, unit in zip(rows, np.eye(len(rows)), strict=True)
    ]
    found = run_tests(result.model, single, df=df, design=result.design)
    np.testing.assert_allclose(found["std_error"][0], values(rows, "se"), rtol=1e-4)
    np.testing.assert_allclose(found["df"][0], values(rows, "df"), rtol=1e-3)
    np.testing.assert_allclose(found["statistic"][0], values(rows, "t"), rtol=3e-4, atol=3e-4)
    np.testing.assert_allclose(found["p_value"][0], values(rows, "p"), rtol=2e-2, atol=1e-300)


def _each_term(result: Result, tests: list[dict[str, Any]], df: str) -> None:
    names = list(result.design.coef_names)
    for row in tests:
        place = [names.index(name) for name in row["coefficients"]]
        one = contrast(result, row["term"], np.eye(len(names))[place], "F")
        found = run_tests(result.model, [one], df=df, design=result.design)
        assert found["f_df1"][0, 0] == row["num_df"]
        assert found["f_statistic"][0, 0] == pytest.approx(row["f"], rel=3e-4)
        assert found["f_df2"][0, 0] == pytest.approx(row["den_df"], rel=1e-3)
        assert found["f_p_value"][0, 0] == pytest.approx(row["p"], rel=2e-2, abs=1e-300)


@pytest.mark.parametrize("name", asking("satterthwaite", "lmer"))
def test_satterthwaite(name: str) -> None:
    reference = by_r(name)["satterthwaite"]
    _each_coefficient(fitted(name), reference["t"], "satterthwaite")
    _each_term(fitted(name), reference["f"], "satterthwaite")


@pytest.mark.parametrize("name", asking("kenward_roger", "lmer"))
def test_kenward_roger(name: str) -> None:
    reference = by_r(name)["kenward_roger"]
    _each_coefficient(fitted(name), reference["t"], "kenward-roger")
    _each_term(fitted(name), reference["f"], "kenward-roger")


@pytest.mark.parametrize("name", asking("type", "lmer"))
def test_types(name: str) -> None:
    """lmerTest's anova of type I, II and III, by Satterthwaite and (unweighted) by Kenward-Roger."""
    result = fitted(name)
    for df, tables in by_r(name)["type"].items():
        for type_, rows in tables.items():
            found = result.terms(type=int(type_), df=df).set_index("term")
            assert list(found.index) == [row["term"] for row in rows]
            np.testing.assert_allclose(found["df_num"], values(rows, "num_df"))
            np.testing.assert_allclose(found["statistic"], values(rows, "f"), rtol=3e-4)
            np.testing.assert_allclose(found["df"], values(rows, "den_df"), rtol=1e-3)
            np.testing.assert_allclose(found["p_value"], values(rows, "p"), rtol=2e-2, atol=1e-300)


@pytest.mark.parametrize("name", asking("wald", "lmer"))
def test_wald_limits(name: str) -> None:
    """Estimate plus and minus the t quantile by Satterthwaite's df."""
    result = fitted(name)
    every = [
        contrast(result, c, unit, "t")
        for c, unit in zip(result.design.coef_names, np.eye(result.design.rank), strict=True)
    ]
    found = run_tests(result.model, every, df="satterthwaite")
    rows = in_order(result, by_r(name)["wald"])
    width = values(rows, "high") - values(rows, "low")
    assert (np.abs(found["conf_low"][0] - values(rows, "low")) < 3e-4 * width).all()
    assert (np.abs(found["conf_high"][0] - values(rows, "high")) < 3e-4 * width).all()


@pytest.mark.parametrize("name", asking("satterthwaite_dense"))
def test_satterthwaite_of_residual_structures(name: str) -> None:
    """Fai and Cornelius' df on nlme's likelihood written out by dense matrices, derivatives by numDeriv."""
    result = fitted(name)
    rows = in_order(result, by_r(name)["satterthwaite"])
    table = result.contrast({row["name"]: {row["name"]: 1} for row in rows}, df="satterthwaite")
    np.testing.assert_allclose(table["df"], values(rows, "df"), rtol=1e-3)


@pytest.mark.parametrize("name", asking("containment"))
def test_containment(name: str) -> None:
    """Denominator df of nlme's lme: the level at which a coefficient's column varies."""
    result = fitted(name)
    rows = in_order(result, by_r(name)["containment"])
    table = result.contrast({row["name"]: {row["name"]: 1} for row in rows}, df="containment")
    np.testing.assert_array_equal(table["df"], values(rows, "df"))


@pytest.mark.parametrize("name", asking("type_containment"))
def test_types_with_containment(name: str) -> None:
    """nlme's anova, sequential and marginal (of numbers and of factors in treatment coding: the coefficients).

    Sequential: the df only. Its F is of terms made orthogonal by the estimated V, mixflow's (as lmerTest's
    and SAS's) of terms made orthogonal by X alone: two hypotheses where data are unbalanced.
    """
    result = fitted(name)
    for type_, rows in by_r(name)["type_containment"].items():
        rows = [row for row in rows if row["term"] != "(Intercept)"]
        names = list(result.design.coef_names)
        if type_ == "3":
            _marginal(result, rows, names)
            continue
        found = result.terms(type=1, df="containment").set_index("term")
        assert list(found.index) == [row["term"] for row in rows]
        np.testing.assert_allclose(found["df"], values(rows, "den_df"))
        assert (found["status"] == "ok").all() and found["statistic"].notna().all()


def _marginal(result: Result, rows: list[dict[str, Any]], names: list[str]) -> None:
    """nlme's marginal tests are of the coefficients of a term, whatever contains it."""
    for row in rows:
        place = [j for j, name in enumerate(names) if re.sub(r"\[[^]]*\]", "", name) == row["term"]]
        one = contrast(result, row["term"], np.eye(len(names))[place], "F")
        found = run_tests(result.model, [one], df="containment", design=result.design)
        assert found["f_df2"][0, 0] == row["den_df"]
        assert found["f_statistic"][0, 0] == pytest.approx(row["f"], rel=1e-3)


@pytest.mark.parametrize("name", asking("residual"))
def test_residual_df(name: str) -> None:
    result = fitted(name)
    table = result.contrast({c: {c: 1} for c in result.design.coef_names}, df="residual")
    assert (table["df"] == by_r(name)["residual"]["df"]).all()


@pytest.mark.parametrize("name", asking("z", "rma", "rma.mv"))
def test_z(name: str) -> None:
    """metafor's tests by the normal distribution."""
    result = fitted(name)
    rows = in_order(result, by_r(name)["coefficients"])
    table = result.contrast({row["name"]: {row["name"]: 1} for row in rows}, df="z")
    np.testing.assert_allclose(table["statistic"], values(rows, "z"), rtol=3e-4, atol=3e-4)
    np.testing.assert_allclose(table["p_value"], values(rows, "p"), rtol=3e-3)
