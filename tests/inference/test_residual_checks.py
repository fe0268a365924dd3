"""Checks of residuals and comparison of families: calibrated where the model holds, and what they reject."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.family import named
from mixflow.formula import parse
from mixflow.inference import families
from mixflow.inference.family_simulate import simulate
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.residual_checks import quantile_residuals, residual_checks
from mixflow.optimise.generalised import fit_generalised

GROUPS, ROWS = 30, 6
KINDS = {"poisson": 120, "spread": 20, "inflated": 20, "zeros": 1, "gaps": 1}


def _outcomes(mu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features of each kind of `KINDS`, one below the other."""
    y = rng.poisson(mu).astype(float)
    spread = rng.poisson(mu * rng.gamma(3.0, 1 / 3.0, mu.shape)).astype(float)
    inflated = np.where(rng.random(mu.shape) < 0.2, 0.0, y)
    gaps = np.where(rng.random(mu.shape) < 0.2, np.nan, y)
    parts = {"poisson": y, "spread": spread, "inflated": inflated, "zeros": 0 * y, "gaps": gaps}
    return np.concatenate([parts[kind][:count] for kind, count in KINDS.items()])


@pytest.fixture(scope="module")
def outcome() -> FittedFamily:
    rng = np.random.default_rng(1)
    group, x = np.repeat(np.arange(GROUPS), ROWS), rng.normal(size=GROUPS * ROWS)
    frame = pd.DataFrame({"g": group.astype(str), "x": x})
    mu = np.exp(1.0 + 0.3 * x + 0.5 * rng.normal(size=(KINDS["poisson"], GROUPS))[:, group])
    y = _outcomes(mu, rng)[:, :, None]
    ids = np.array([f"{kind}{i}" for kind, count in KINDS.items() for i in range(count)], dtype=object)
    designs = {"mu": build(parse("~ x + (1 | g)"), frame)}
    return FittedFamily(fit_generalised(designs, named("poisson"), y, ids), designs, named("poisson"), y)


@pytest.fixture(scope="module")
def checks(outcome) -> pd.DataFrame:
    table = residual_checks(outcome, simulations=60)
    return table.assign(kind=table["feature"].str.rstrip("0123456789"))


def _p(checks: pd.DataFrame, kind: str, check: str) -> pd.Series:
    return checks.loc[(checks["kind"] == kind) & (checks["check"] == check), "p_value"]


@pytest.mark.parametrize("check", ["uniformity", "dispersion", "zeros", "outliers"])
def test_p_is_uniform_where_the_model_holds(checks, check):
    p = _p(checks, "poisson", check)
    # p is read from 400 null features: the 1 % limit of two samples' distance.
    assert kstest(p, "uniform").statistic < 1.63 * np.sqrt(1 / 400 + 1 / len(p))
    assert (p < 0.05).mean() < 0.12


def test_spread_and_zeros_are_found(checks):
    assert (_p(checks, "spread", "dispersion") < 0.05).all()
    assert (_p(checks, "spread", "uniformity") < 0.05).mean() > 0.5
    assert (_p(checks, "inflated", "zeros") < 0.05).mean() > 0.9
    told = checks[(checks["kind"] == "spread") & (checks["check"] == "dispersion")]
    assert set(told["meaning"]) == {"values vary more than the model expects"}
    assert told["statistic"].between(1.2, 5).all()


def test_features_that_were_not_fitted_have_no_numbers(checks):
    rows = checks[checks["kind"] == "zeros"]
    assert rows[["statistic", "p_value", "q_value"]].isna().all().all()
    assert set(rows["status"]) == {"no variation"}
    assert checks.loc[checks["kind"] == "gaps", "p_value"].notna().all()


def test_residuals_are_uniform_and_missing_where_values_are(outcome):
    found = quantile_residuals(outcome, 60)
    np.testing.assert_array_equal(np.isnan(found[-1]), np.isnan(outcome.y[-1, :, 0]))
    own = found[: KINDS["poisson"]]
    assert ((own > 0) & (own < 1)).all()
    assert abs(own.mean() - 0.5) < 0.01
    assert abs(own.std() - np.sqrt(1 / 12)) < 0.01


def test_simulations_have_the_models_moments_and_belong_to_their_feature(outcome):
    one = outcome.take(np.array([3]))
    drawn = simulate(one, 7, 3000)[0, :, :, 0]
    x, (intercept, slope), sd = one.design.X[:, 1], one.fit.solution[0], one.fit.theta[0, 0]
    mean = np.exp(intercept + slope * x + sd**2 / 2)
    assert np.abs((drawn.mean(axis=0) - mean) / (drawn.std(axis=0) / np.sqrt(3000))).max() < 4.5
    variance = mean + mean**2 * np.expm1(sd**2)
    np.testing.assert_allclose(drawn.var(axis=0).mean(), variance.mean(), rtol=0.1)
    np.testing.assert_array_equal(simulate(outcome.take(np.array([1, 3])), 7, [5])[1, 0, :, 0], drawn[5])


def test_the_families_aic_is_that_of_their_fits(outcome):
    some = outcome.take(np.array([0, 121, 160]))
    other = replace(some.fit, loglik=some.fit.loglik + np.array([3.0, -1.0, 0.0]))
    table = families.compare({"first": some.fit, "second": other})
    two = table[table["feature"] == "poisson0"]
    np.testing.assert_allclose(two["aic"], [some.fit.aic[0], some.fit.aic[0] - 6.0])
    np.testing.assert_allclose(two["delta"], [6.0, 0.0])
    assert list(two["best"]) == ["", "yes"]
    np.testing.assert_allclose(two["weight"].sum(), 1)
    assert table.loc[table["feature"] == "zeros0", ["aic", "delta", "weight"]].isna().all().all()
    assert table.drop_duplicates("family")["n_best"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("residual_checks", {"simulations": 20}),
        ("residual_quantiles", {"simulations": 20}),
        ("families", {"among": ["poisson"]}),
        ("r2", {}),
    ],
)
def test_analyses_take_subjects_without_features(outcome, name, options):
    none = outcome.take(np.arange(0))
    subject = Subject(none.fit, none.design, none.y[:, :, 0], df="z", generalised=none)
    table = ANALYSES[name].run(subject, **options)
    assert table.columns[0] == "feature" and not len(table)
    assert set(table) <= set(ANALYSES[name].columns)
