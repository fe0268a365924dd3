"""Moderation of residual variances against limma, dream's rule, and what it must be in simple designs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference import contrasts
from mixflow.inference.hat_df import hat_df
from mixflow.inference.lowess import lowess
from mixflow.inference.moderation import hangs_on_sigma, moderated, residual_df, squeeze
from mixflow.inference.robust_prior import log_upper_tail
from mixflow.inference.variance_prior import inverse_trigamma
from mixflow.optimise.fitting import fit_features

ROBUST = 1e-7  # limma's uniroot stops at 1e-8 of d0 / (1 + d0)


def numbers(cells: list) -> np.ndarray:
    return np.array(cells, dtype=float)  # None becomes NaN


@pytest.fixture(scope="module")
def limma(reference) -> dict:
    return json.loads((reference / "limma.json").read_text())


CASES = [
    "equal",
    "unequal",
    "no_spread",
    "trend",
    "trend_unequal",
    "trend_no_spread",
    "robust",
    "robust_unequal",
    "robust_no_outlier",
    "robust_no_spread",
    "robust_trend",
    "robust_trend_unequal",
    "zeros",
    "zeros_robust",
    "gaps",
    "gaps_trend",
    "gaps_robust",
    "no_df",
    "trend_infinite",
    "few",
    "few_trend",
]


def test_every_case_of_the_reference_is_tested(limma):
    assert [case["id"] for case in limma["squeezed"]] == CASES


@pytest.mark.parametrize("name", CASES)
def test_squeeze_is_limmas(limma, name):
    case = next(case for case in limma["squeezed"] if case["id"] == name)
    covariate = numbers(case["covariate"]) if "covariate" in case else None
    x = numbers(case["x"])
    found = squeeze(x, numbers(case["df"]), covariate, case["robust"])
    n, tolerance = len(x), ROBUST if case["robust"] else 1e-11
    prior_df = numbers(case["df_prior"])
    prior_df = np.where(prior_df == -1, np.inf, prior_df)
    known = np.isfinite(x)  # limma gives a prior to a feature without a variance, too
    for got, wanted in zip(
        found, (prior_df, numbers(case["var_prior"]), numbers(case["var_post"])), strict=True
    ):
        np.testing.assert_allclose(got[known], np.broadcast_to(wanted, n)[known], rtol=tolerance)
        assert np.isnan(got[~known]).all()


@pytest.mark.parametrize("how", ["plain", "trend", "robust"])
def test_moderated_tests_of_a_linear_model_are_limmas(limma, how):
    table = limma["linear"]
    design = build(parse("~ group + x"), pd.DataFrame({"group": table["group"], "x": table["x"]}))
    joint = contrasts.build({"group": {"group": "omnibus"}}, design)
    wanted, tolerance = table[how], ROBUST if how == "robust" else 1e-9
    for key, asked in (("values", contrasts.build_coefficients(design)), ("full", joint)):
        values = numbers(table[key])
        fit = fit_features(design, values, list(map(str, range(len(values)))))
        trend = np.nanmean(values, axis=1) if how == "trend" else None
        found = moderated(fit, asked, covariate=trend, robust=how == "robust")
        if key == "full":
            np.testing.assert_allclose(found["f_statistic"][:, 0], numbers(wanted["F"]), rtol=tolerance)
            np.testing.assert_allclose(found["f_p_value"][:, 0], numbers(wanted["F_p"]), rtol=tolerance)
            continue
        seen = np.isfinite(found["statistic"])
        np.testing.assert_array_equal(seen, np.isfinite(numbers(wanted["t"])))
        np.testing.assert_allclose(found["statistic"][seen], numbers(wanted["t"])[seen], rtol=tolerance)
        np.testing.assert_allclose(found["p_value"][seen], numbers(wanted["p"])[seen], rtol=tolerance)
        np.testing.assert_allclose(found["s2_post"], numbers(wanted["s2_post"]), rtol=tolerance)
        df = np.broadcast_to(numbers(wanted["df_total"])[:, None], seen.shape)
        np.testing.assert_allclose(found["df"][seen], df[seen], rtol=tolerance)


@pytest.fixture(scope="module")
def mixed(limma):
    values = numbers(limma["dream"]["values"])
    frame = pd.DataFrame(
        {"subject": np.repeat([f"s{i}" for i in range(8)], 3), "time": np.tile([0.0, 1, 2], 8)}
    )
    frame["arm"] = np.repeat([0.0, 1.0], 12)
    design = build(parse("~ time + arm + (1 | subject)"), frame)
    return design, values, fit_features(design, values, list(map(str, range(len(values)))))


def test_trace_of_the_hat_matrix_is_that_of_lme4(limma, mixed):
    design, values, fit = mixed
    # lmer's theta is good to about 1e-5 where the likelihood is flat.
    np.testing.assert_allclose(hat_df(fit, design, values), numbers(limma["dream"]["rdf"]), rtol=1e-4)


def test_dreams_rule(limma, mixed):
    design, values, fit = mixed
    asked = contrasts.from_weights({"time": {"time": 1}, "arm": {"arm": 1}}, design)
    found = moderated(fit, asked, rule="dream", rdf=hat_df(fit, design, values))
    for k, name in enumerate(("time", "arm")):
        wanted = limma["dream"][name]
        np.testing.assert_allclose(found["statistic"][:, k], numbers(wanted["t"]), rtol=1e-4)
        np.testing.assert_allclose(found["df"][:, k], numbers(wanted["df"]), rtol=1e-3)
        np.testing.assert_allclose(found["p_value"][:, k], numbers(wanted["p"]), rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("formula", ["~ x + (1 | a) + (1 | b)", "~ x + (x | a) + (1 | b)", "~ x + (1 | a/b)"])
def test_trace_of_the_hat_matrix_is_that_of_dense_matrices(formula):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.integers(0, 7, 60).astype(str), "b": rng.integers(0, 4, 60).astype(str)})
    frame["x"] = rng.normal(size=60)
    values = rng.normal(size=(6, 60)) + 0.7 * rng.normal(size=(6, 7))[:, frame["a"].astype(int)]
    values[rng.random(values.shape) < 0.2] = np.nan
    weights = rng.uniform(0.5, 2, size=values.shape)
    design = build(parse(formula), frame)
    fit = fit_features(design, values, list("abcdef"), weights=weights)
    found = hat_df(fit, design, values, weights)
    for i in np.flatnonzero(fit.fitted):
        seen, cov = np.isfinite(values[i]), np.diag(1 / weights[i])
        for term in design.random:
            k = term.Z.shape[1]
            indicator = np.eye(len(term.levels))[term.index]
            z = (indicator[:, :, None] * term.Z[:, None, :]).reshape(60, -1)
            group = [c for c, (g, _, _) in enumerate(fit.components) if g == term.group]
            block = np.diag(fit.variance[i, group[:k]])
            if len(group) > k:
                block[0, 1] = block[1, 0] = fit.variance[i, group[k]]
            cov += z @ np.kron(np.eye(len(term.levels)), block) @ z.T / fit.sigma[i] ** 2
        v, x = np.linalg.inv(cov[np.ix_(seen, seen)]), design.X[seen]
        kept = v - v @ x @ np.linalg.solve(x.T @ v @ x, x.T @ v)
        root = np.sqrt(weights[i, seen])
        residual = kept / root[:, None] / root  # I - H, rows in units of their standard deviations
        assert found[i] == pytest.approx(np.trace(residual @ residual), rel=1e-9)
    assert fit.fitted.any()


@pytest.fixture(scope="module")
def balanced():
    """Six groups of four, treated by groups, and by rows within each group."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"g": np.repeat(list("abcdef"), 4), "between": np.repeat([0.0, 1.0], 12)})
    frame["within"] = np.tile([0.0, 1.0], 12)
    sd = np.sqrt(5 / rng.chisquare(5, size=(200, 1)))
    values = sd * (rng.normal(size=(200, 24)) + rng.normal(size=(200, 6))[:, np.repeat(range(6), 4)])
    design = build(parse("~ between + within + (1 | g)"), frame)
    asked = contrasts.from_weights({"between": {"between": 1}, "within": {"within": 1}}, design)
    return design, values, fit_features(design, values, list(map(str, range(200)))), asked


def test_in_a_balanced_design_only_what_rests_on_sigma_is_moderated(balanced):
    _, _, fit, asked = balanced
    found = moderated(fit, asked)
    inside = fit.theta[:, 0] > 0
    assert inside.sum() > 100
    assert (~inside).sum() > 3
    np.testing.assert_allclose(residual_df(fit)[inside], 17, rtol=1e-6)  # 24 - 6 groups - 1 within
    np.testing.assert_allclose(residual_df(fit)[~inside], 21, rtol=1e-6)
    plain = found["plain"]
    np.testing.assert_allclose(found["df"][inside, 0], plain["df"][inside, 0], rtol=1e-6)
    np.testing.assert_allclose(found["std_error"][inside, 0], plain["std_error"][inside, 0], rtol=1e-6)
    scaled = plain["std_error"][:, 1] * np.sqrt(found["s2_post"] / found["s2"])
    np.testing.assert_allclose(found["std_error"][:, 1], scaled, rtol=1e-6)
    np.testing.assert_allclose(found["df"][:, 1], found["rdf"] + found["df_prior"], rtol=1e-6)
    # A feature without group variance is a linear model, and treated as such.
    np.testing.assert_allclose(found["df"][~inside, 0], 21 + found["df_prior"][~inside], rtol=1e-6)


def test_infinite_prior_df_leave_what_is_known_of_theta(balanced):
    _, _, fit, asked = balanced
    inside = fit.theta[:, 0] > 0
    power, gain = hangs_on_sigma(fit, np.broadcast_to(asked[1].L[0], (200, 3)), np.full(200, np.inf))
    np.testing.assert_allclose(power, 1, rtol=1e-6)
    assert (gain > 1e6).all()
    power, gain = hangs_on_sigma(fit, np.broadcast_to(asked[0].L[0], (200, 3)), np.full(200, np.inf))
    np.testing.assert_allclose(power[inside], 0, atol=1e-6)
    np.testing.assert_allclose(gain[inside], 1, rtol=1e-6)


def test_features_do_not_depend_on_their_order_or_unit(balanced):
    design, values, fit, asked = balanced
    order = np.random.default_rng(0).permutation(len(values))
    again = fit_features(design, 1000 * values[order], list(map(str, order)))
    one, two = moderated(fit, asked), moderated(again, asked)
    np.testing.assert_allclose(two["p_value"], one["p_value"][order], rtol=1e-9)
    np.testing.assert_allclose(two["s2_post"], 1e6 * one["s2_post"][order], rtol=1e-9)


def test_features_that_are_not_fitted_neither_count_nor_get_numbers(balanced):
    design, values, fit, asked = balanced
    more = np.concatenate([values, np.full((2, 24), np.nan), np.ones((1, 24))])
    found = moderated(fit_features(design, more, list(map(str, range(203)))), asked)
    np.testing.assert_allclose(found["p_value"][:200], moderated(fit, asked)["p_value"], rtol=1e-12)
    for name in ("s2_post", "df_prior", "p_value", "q_value", "conf_low"):
        assert np.isnan(found[name][200:]).all()


def test_wrong_rule_names_the_right_ones(balanced):
    _, _, fit, asked = balanced
    with pytest.raises(MixflowError, match="information or dream"):
        moderated(fit, asked, rule="limma")


def test_one_feature_has_nothing_to_borrow():
    found = squeeze(np.array([2.0, np.nan]), np.array([5.0, 5.0]))
    assert found.s2_post[0] == 2.0
    assert found.df_prior[0] == 0
    assert np.isnan(found.s2_post[1])


def test_likelihood_finds_the_prior_where_degrees_of_freedom_are_very_unequal():
    """Moments are as noisy as the features with a third of a degree of freedom: they find no prior at all."""
    rng = np.random.default_rng(1)
    df = rng.choice([0.3, 1.0, 30.0], 1000)
    variance = 6 / rng.chisquare(6, 1000) * rng.chisquare(df) / df
    moments, found = squeeze(variance, df), squeeze(variance, df, likelihood=True)
    assert found.df_prior[0] == pytest.approx(6, rel=0.15)
    assert found.s2_prior[0] == pytest.approx(1, rel=0.1)
    assert np.isinf(moments.df_prior[0])
    covariate = rng.uniform(size=1000)
    risen = squeeze(np.exp(3 * covariate) * variance, df, covariate, likelihood=True)
    assert np.polyfit(covariate, np.log(risen.s2_prior), 1)[0] == pytest.approx(3, abs=1)
    assert risen.df_prior[0] == pytest.approx(6, rel=0.4)
    with pytest.raises(MixflowError, match="moments"):
        squeeze(variance, df, robust=True, likelihood=True)


def test_inverse_trigamma_at_its_ends():
    from scipy.special import polygamma

    for value in (1e-8, 1e-3, 0.7, 30.0, 1e9):
        assert float(polygamma(1, inverse_trigamma(value))) == pytest.approx(value, rel=1e-4)


def test_log_tail_goes_on_below_the_smallest_float():
    f = np.array([1e3, 1e40, 1e70])
    found = log_upper_tail(f, 8.0, 12.0)
    assert np.isfinite(found).all()
    assert (found[1] - found[2]) / np.log(1e30) == pytest.approx(6.0, rel=1e-6)  # P ~ f^(-d0 / 2)


def test_lowess_of_a_straight_line_is_that_line():
    x = np.random.default_rng(1).uniform(size=200)
    np.testing.assert_allclose(lowess(x, 3 - 2 * x, 0.4), 3 - 2 * x, rtol=1e-10)
    np.testing.assert_allclose(lowess(np.ones(30), np.arange(30.0), 0.4, rounds=0)[0], 14.5)
