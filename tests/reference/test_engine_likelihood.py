"""Likelihood-ratio tests with AIC and BIC, and limits by the profile likelihood, against R."""

from __future__ import annotations

import re

import pytest

from mixflow.api import Result
from tests.reference.engine import CASES, asking, by_r, fit_as, fitted, group_name

pytestmark = pytest.mark.grid


@pytest.mark.parametrize("name", asking("lrt"))
def test_likelihood_ratio(name: str) -> None:
    """Both models by ML; where variances are tested p is that of the boundary mixture (half of each)."""
    case = CASES[name]
    full = fit_as(case, case["formula"], reml=False)
    for row in by_r(name)["lrt"]:
        found = full.anova(fit_as(case, row["reduced"], reml=False)).iloc[0]
        assert found["fitted_by"] == "ML"
        assert found["statistic"] == pytest.approx(row["chisq"], abs=4e-6, rel=1e-6)
        assert found["df"] == row["df"]
        p = found["p_value"] if row.get("mixture") else found["p_plain"]
        assert p == pytest.approx(row["p"], rel=1e-3, abs=1e-12)
        for side in ("full", "null"):
            for key in ("loglik", "aic", "bic"):
                assert found[f"{side}_{key}"] == pytest.approx(row[f"{side}_model"][key], abs=2e-5)


def _quantity(result: Result, parameter: str) -> tuple[str, str, frozenset[str]]:
    """lme4's name of a parameter as (quantity, group, columns)."""
    if parameter == "sigma":
        return "std_dev", "Residual", frozenset({""})
    if "|" not in parameter:
        return "coefficient", "", frozenset({parameter})
    kind, rest = parameter.split("_", 1)
    columns, group = rest.rsplit("|", 1)
    names = frozenset(columns.split(".") if kind == "cor" else [columns])
    group = group_name(result, re.sub(r"[.]\d+$", "", group))
    return {"sd": "std_dev", "cor": "correlation"}[kind], group, names


@pytest.mark.parametrize("name", asking("profile", "lmer"))
def test_profile_limits(name: str) -> None:
    """95 % limits of standard deviations, correlations, sigma and coefficients, by ML (README: how R's were found)."""
    result = fitted(name)
    table = result.confint(method="profile")
    found = {
        (q, g, frozenset({a, b} - {""}) or frozenset({""})): (low, high)
        for q, g, a, b, low, high in zip(
            table.quantity,
            table.group,
            table.term,
            table.term_2,
            table.conf_low,
            table.conf_high,
            strict=True,
        )
    }
    for row in by_r(name)["profile"]:
        low, high = found[_quantity(result, row["parameter"])]
        width = row["high"] - row["low"]
        assert low == pytest.approx(row["low"], abs=1e-4 * width), row["parameter"]
        assert high == pytest.approx(row["high"], abs=1e-4 * width), row["parameter"]


@pytest.mark.parametrize("name", asking("profile", "rma"))
def test_profile_limits_with_known_variances(name: str) -> None:
    """Limits of tau by metafor's ML log-likelihood with tau given."""
    table = fitted(name).confint(method="profile")
    row = table[table["quantity"] == "std_dev"].iloc[0]
    low, high = by_r(name)["profile"]["tau"]
    assert row["conf_low"] == pytest.approx(low, abs=1e-4 * (high - low))
    assert row["conf_high"] == pytest.approx(high, abs=1e-4 * (high - low))
