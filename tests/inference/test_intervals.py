"""Intervals: profile against lme4's confint and against a dense deviance, Wald, bootstrap; every ending."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2, norm

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.bootstrap import bootstrap, replicate_estimates
from mixflow.inference.intervals import confint
from mixflow.inference.quantities import COLUMNS, names
from mixflow.inference.refit import Fitted
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.natural import CORRELATION, STD_DEV, Natural
from tests.inference.many_features import IDS, fitted, study
from tests.inference.test_lrt import R, table

KEY = ["feature", "group", "term", "term_2", "quantity"]


def _of_r(name: str) -> tuple[str, str, frozenset[str]]:
    """lme4's name of a parameter as quantity, group, terms."""
    if name == "sigma":
        return STD_DEV, "Residual", frozenset([""])
    kind, _, rest = name.partition("_")
    if kind in ("sd", "cor") and "|" in rest:
        terms, group = rest.split("|")
        parts = terms.split(".") if kind == "cor" else [terms]
        return (CORRELATION if kind == "cor" else STD_DEV), group, frozenset(parts)
    return "coefficient", "", frozenset([name])


@pytest.mark.parametrize("case", R["profiles"], ids=lambda c: f"{c['data']}: {c['formula']}")
def test_profile_against_lme4(case: dict) -> None:
    """lme4's limits are interpolated from points, hence 1e-4 of the interval's width and no less.

    Widest apart is the mean of Dyestuff2: 4.3121, 4.31267 by R with 8 and 16 points a unit; here 4.31284.
    """
    design = build(parse(case["formula"]), table(case["data"]))
    assert design.response is not None
    y = design.response[None, :]
    model = Fitted(fit_features(design, y, ["y"]), design, y)
    found = confint(model, "profile")
    rows = {
        (row.quantity, row.group, frozenset([row.term, row.term_2] if row.term_2 else [row.term])): row
        for row in found.itertuples()
    }
    assert len(rows) == len(case["names"])
    for name, low, high in zip(case["names"], case["low"], case["high"], strict=True):
        row = rows[_of_r(name)]
        np.testing.assert_allclose([row.conf_low, row.conf_high], [low, high], atol=1e-4 * (high - low))
        assert row.status == ("at the boundary" if low == 0 else "ok")
    wald = confint(model, "wald", df="z").query("quantity == 'coefficient'")  # lme4's Wald limits are normal
    np.testing.assert_allclose(wald["conf_low"], case["wald_low"], rtol=1e-6)
    np.testing.assert_allclose(wald["conf_high"], case["wald_high"], rtol=1e-6)


def _dense(feature: int):
    """-2 log-likelihood (ML) of (sd, sd, rho, sigma), coefficients swept out, by dense matrices."""
    frame, y = study()
    seen = np.isfinite(y[feature])
    x, level, values = frame["x"].to_numpy()[seen], frame["subject"].to_numpy()[seen], y[feature, seen]
    design = np.column_stack([np.ones(len(x)), x])
    same = np.equal.outer(level, level)

    def value(a: float, b: float, rho: float, sigma: float) -> float:
        cov = np.array([[a * a, rho * a * b], [rho * a * b, b * b]])
        v = (design @ cov @ design.T) * same + sigma**2 * np.eye(len(x))
        inverse = np.linalg.inv(v)
        beta = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ values)
        rest = values - design @ beta
        return float(np.linalg.slogdet(v)[1] + rest @ inverse @ rest + len(x) * np.log(2 * np.pi))

    return value


def _least(value, start: list[float]) -> float:
    """Least deviance over the free parameters."""
    tight = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
    found = minimize(value, start, method="Nelder-Mead", options=tight)
    return float(minimize(value, found.x, method="Nelder-Mead", options=tight).fun)


@pytest.mark.grid
def test_profile_against_a_dense_deviance() -> None:
    """The correlation's lower limit of a steep feature; lme4's spline fails there ('non-monotonic profile')."""
    found = confint(fitted(), "profile").set_index(KEY)
    row = found.loc[("steep", "subject", "(Intercept)", "x", CORRELATION)]
    assert row["conf_high"] == 1.0 and row["status"] == "at the boundary"
    value = _dense(5)
    best = _least(lambda v: value(abs(v[0]), abs(v[1]), np.tanh(v[2]), np.exp(v[3])), [0.8, 2.5, 0.8, 0.0])
    rho = row["conf_low"]
    held = _least(lambda v: value(abs(v[0]), abs(v[1]), rho, np.exp(v[2])), [0.8, 2.5, 0.0])
    np.testing.assert_allclose(held - best, chi2.ppf(0.95, 1), atol=1e-5)
    sd = found.loc[("gaps", "subject", "(Intercept)", "", STD_DEV), "conf_high"]
    value = _dense(1)
    best = _least(lambda v: value(abs(v[0]), abs(v[1]), np.tanh(v[2]), np.exp(v[3])), [1.0, 0.7, 0.1, 0.0])
    held = _least(lambda v: value(sd, abs(v[0]), np.tanh(v[1]), np.exp(v[2])), [0.7, 0.1, 0.0])
    np.testing.assert_allclose(held - best, chi2.ppf(0.95, 1), atol=1e-5)


@pytest.mark.parametrize("method", ["wald", "profile", "bootstrap"])
def test_every_ending_and_any_order(method: str) -> None:
    whole = confint(fitted(), method, replicates=30)
    assert list(whole)[: len(COLUMNS)] == list(COLUMNS)
    assert list(whole["feature"].unique()) == list(IDS)
    by = whole.set_index(KEY).sort_index()
    assert (by.loc["constant", "status"] == "no variation").all()
    assert by.loc[["constant", "one level"], ["conf_low", "conf_high"]].isna().all(axis=None)
    singular = by.loc[("singular", "subject", "x", "", STD_DEV)]
    assert singular["estimate"] == 0
    if method != "wald":
        assert singular["conf_low"] == 0 and singular["conf_high"] > 0
    correlation = by.loc[("singular", "subject", "(Intercept)", "x", CORRELATION)]
    assert np.isnan(correlation["conf_low"]) and correlation["status"] == "not defined"
    inside = whole.dropna(subset=["conf_low", "estimate"])
    inside = inside[inside["feature"] != "singular"]
    assert ((inside["conf_low"] <= inside["estimate"]) & (inside["estimate"] <= inside["conf_high"])).all()
    part = confint(fitted(features=[5, 0]), method, replicates=30)
    expected = pd.concat([whole[whole["feature"] == name] for name in ("steep", "whole")])
    pd.testing.assert_frame_equal(part, expected.reset_index(drop=True), check_exact=True)


def test_wald_of_a_variance_is_the_textbooks() -> None:
    """Without random effects log sigma has variance 1 / (2 df): nothing else is left of the formula."""
    frame, y = study()
    design = build(parse("~ x"), frame)
    model = Fitted(fit_features(design, y[:1], IDS[:1]), design, y[:1])
    row = confint(model, "wald").query("group == 'Residual'").iloc[0]
    half = norm.ppf(0.975) / np.sqrt(2 * (60 - 2))
    np.testing.assert_allclose(row["conf_high"] / row["estimate"], np.exp(half), rtol=1e-6)


def test_bootstrap_quantiles_and_failures() -> None:
    model = fitted()
    wanted = names(model.fit)
    drawn = replicate_estimates(model, wanted, 60, 4)
    found = bootstrap(model, wanted, 0.9, replicates=60, seed=4)
    row = found[(found["feature"] == "whole") & (found["quantity"] == STD_DEV)].iloc[0]
    own = drawn[0, :, 0]
    low, high = np.quantile(own, [0.05, 0.95], method="weibull")
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [low, high], rtol=1e-14)
    assert (found["failed"].to_numpy().reshape(6, -1)[0] == (~np.isfinite(drawn[0])).sum(axis=0)).all()
    basic = bootstrap(model, wanted, 0.9, replicates=60, seed=4, kind="basic")
    other = basic.loc[row.name]
    np.testing.assert_allclose(other["conf_low"], max(0.0, 2 * row["estimate"] - high), rtol=1e-12)
    assert (found.query("feature == 'constant'")["replicates"] == 0).all()


def test_some_quantities_and_refusals() -> None:
    model = fitted(features=[0])
    wanted = [Natural(STD_DEV, "subject", "x")]
    assert confint(model, "profile", quantities=wanted)["term"].tolist() == ["x"]
    with pytest.raises(MixflowError, match="method"):
        confint(model, "exact")
    with pytest.raises(MixflowError, match="level"):
        confint(model, level=95)


def test_all_features_without_a_correlation() -> None:
    found = confint(fitted(features=[2, 3]), "profile").query("quantity == 'correlation'")
    assert found["status"].tolist() == ["not defined", "no variation"]


def test_analysis() -> None:
    model = fitted()
    found = ANALYSES["intervals"].run(Subject(model.fit, model.design, model.values), method="wald")
    pd.testing.assert_frame_equal(found, confint(model, "wald"))
    assert set(found) <= set(ANALYSES["intervals"].columns)
