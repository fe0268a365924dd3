"""Wald tests from a Fit: statuses, least values, multiplicity, tails; against R they stand in test_lme4."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.inference import contrasts
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.satterthwaite import combined, degrees_of_freedom
from mixflow.inference.tails import log10_p, p_value
from mixflow.inference.tests import test as run_tests
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features
from mixflow.status import Status


def _study() -> tuple[Design, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"c": pd.Categorical(np.repeat(list("uvw"), 10)), "x": rng.normal(size=30)})
    y = rng.normal(size=(5, 30)) + 2.0 * (frame["c"] == "w").to_numpy()
    y[1, :10] = np.nan  # u never seen
    y[2] = np.nan
    y[3, 1:19] = np.nan  # one u, one v
    return build(parse("~ c + x"), frame), y


def _fit(design: Design, y: np.ndarray) -> Fit:
    return fit_features(design, y, list("abcde"))


def test_without_random_effects_it_is_least_squares() -> None:
    design, y = _study()
    fit = _fit(design, y)
    found = run_tests(fit, contrasts.build_coefficients(design))
    x = design.X
    beta, rss, *_ = np.linalg.lstsq(x, y[0], rcond=None)
    cov = rss[0] / 26 * np.linalg.inv(x.T @ x)
    t = beta / np.sqrt(np.diag(cov))
    np.testing.assert_allclose(found["estimate"][0], beta)
    np.testing.assert_allclose(found["std_error"][0], np.sqrt(np.diag(cov)))
    np.testing.assert_allclose(found["df"][0], 26, rtol=1e-9)
    np.testing.assert_allclose(found["statistic"][0], t)
    np.testing.assert_allclose(found["p_value"][0], 2 * stats.t.sf(np.abs(t), 26))
    np.testing.assert_allclose(found["log10_p"][0], np.log10(found["p_value"][0]))
    half = stats.t.ppf(0.975, 26) * np.sqrt(np.diag(cov))
    np.testing.assert_allclose(found["conf_low"][0], beta - half)
    np.testing.assert_allclose(found["conf_high"][0], beta + half)


def test_confidence_level() -> None:
    design, y = _study()
    asked = contrasts.build_coefficients(design)
    wide, narrow = (run_tests(_fit(design, y), asked, level=level) for level in (0.99, 0.5))
    ratio = (wide["conf_high"] - wide["conf_low"])[0] / (narrow["conf_high"] - narrow["conf_low"])[0]
    np.testing.assert_allclose(ratio, stats.t.ppf(0.995, 26) / stats.t.ppf(0.75, 26))


def test_a_contrast_of_an_unseen_level_is_not_estimable_and_never_another_number() -> None:
    design, y = _study()
    fit = _fit(design, y)
    asked = contrasts.build({"pairs": {"c": "all pairs"}, "any": {"c": "omnibus"}}, design)
    found = run_tests(fit, asked)
    names = [c.name for c in asked if c.kind == "t"]
    lost = [names.index(n) for n in names if n.split(": ")[1] in ("v vs u", "w vs u")]
    kept = names.index("pairs: w vs v")
    assert (found["status"][1, lost] == Status.NOT_ESTIMABLE).all()
    for name in ("estimate", "std_error", "df", "p_value", "log10_p", "conf_low", "conf_high", "q_value"):
        assert np.isnan(found[name][1, lost]).all(), name
    assert found["status"][1, kept] == Status.OK
    seen = np.isfinite(y[1])
    part = build(
        parse("~ c + x"), design.frame[seen].assign(c=lambda d: d["c"].cat.remove_unused_categories())
    )
    alone = run_tests(fit_features(part, y[1:2, seen], ["b"]), contrasts.build_coefficients(part))
    assert found["estimate"][1, kept] == pytest.approx(alone["estimate"][0, 1])
    assert found["df"][1, kept] == pytest.approx(alone["df"][0, 1])
    assert found["f_status"][1, 0] == Status.NOT_ESTIMABLE
    assert np.isnan(found["f_p_value"][1, 0])


def test_a_feature_without_a_fit_keeps_its_status_and_has_no_number() -> None:
    design, y = _study()
    found = run_tests(_fit(design, y), contrasts.build({"any": {"c": "omnibus"}, "x": {"x": 1}}, design))
    assert found["status"][2, 0] == found["f_status"][2, 0] == Status.TOO_FEW_OBSERVATIONS
    assert np.isnan(found["estimate"][2, 0])
    assert np.isnan(found["f_statistic"][2, 0])


def test_least_values_in_the_levels_compared() -> None:
    design, y = _study()
    asked = contrasts.build(
        {"vu": {"c": ["v", "u"]}, "wu": {"c": ["w", "u"]}, "any": {"c": "omnibus"}}, design
    )
    observed = np.isfinite(y)
    fit = _fit(design, y)
    for least, few in ((2, False), (3, True)):
        found = run_tests(fit, asked, min_values=least, observed=observed)
        assert (found["status"][3, 0] == Status.TOO_FEW_VALUES_IN_CONTRAST) == few
        assert found["status"][3, 1] == Status.OK
    assert np.isfinite(run_tests(fit, asked, min_values=11, observed=observed)["estimate"][3, 1])
    assert np.isnan(run_tests(fit, asked, min_values=12, observed=observed)["estimate"][3, 1])
    found = run_tests(fit, asked, min_values=13, observed=observed)
    assert found["f_status"][3, 0] == Status.TOO_FEW_VALUES_IN_CONTRAST


def test_f_test_equals_anova() -> None:
    design, y = _study()
    found = run_tests(_fit(design, y), contrasts.build({"any": {"c": "omnibus"}}, design))
    x, small = design.X, design.X[:, [0, 3]]
    rss = [float(np.linalg.lstsq(m, y[0], rcond=None)[1][0]) for m in (small, x)]
    f = (rss[0] - rss[1]) / 2 / (rss[1] / 26)
    assert found["f_statistic"][0, 0] == pytest.approx(f)
    assert (found["f_df1"][0, 0], found["f_df2"][0, 0]) == (2, pytest.approx(26))
    assert found["f_p_value"][0, 0] == pytest.approx(stats.f.sf(f, 2, 26))
    tested = np.isfinite(found["f_p_value"][:, 0])
    np.testing.assert_allclose(
        found["f_q_value"][tested, 0], benjamini_hochberg(found["f_p_value"][tested, 0])
    )


def test_redundant_rows_count_once() -> None:
    design, y = _study()
    any_, *_ = contrasts.build({"any": {"c": "omnibus"}}, design)
    doubled = contrasts.Contrast("d", np.vstack([any_.L, any_.L[:1]]), "F", "", "c", (), any_.level_rows)
    found = run_tests(_fit(design, y), [any_, doubled])
    assert found["f_df1"][0, 1] == 2
    assert found["f_statistic"][0, 1] == pytest.approx(found["f_statistic"][0, 0])


def test_adjustment_within_and_across() -> None:
    design, y = _study()
    asked = contrasts.build({"pairs": {"c": "all pairs"}}, design)
    within = run_tests(_fit(design, y), asked)
    across = run_tests(_fit(design, y), asked, adjust="across")
    for i in range(3):
        np.testing.assert_array_equal(within["q_value"][:, i], benjamini_hochberg(within["p_value"][:, i]))
    np.testing.assert_array_equal(across["q_value"], benjamini_hochberg(across["p_value"]))
    assert not np.array_equal(within["q_value"], across["q_value"], equal_nan=True)


def test_no_contrast_at_all() -> None:
    design, y = _study()
    found = run_tests(_fit(design, y), [])
    assert found["estimate"].shape == found["q_value"].shape == (5, 0)
    assert found["matrix"].shape == (0, 4)
    assert "f_statistic" not in found


def test_benjamini_hochberg_as_r() -> None:
    p = np.array([0.01, 0.02, 0.03, 0.5, np.nan, 0.04])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.05, 0.05, 0.05, 0.5, np.nan, 0.05])
    ties = np.array([0.2, 0.2, 0.9, 0.9, 0.001])
    np.testing.assert_allclose(benjamini_hochberg(ties), stats.false_discovery_control(ties))
    assert benjamini_hochberg(np.array([])).shape == (0,)


def test_tails_as_r() -> None:
    """(pt(-t, df, log.p = TRUE) + log(2)) / log(10) by R 4.2.2."""
    t, df = np.array([10.0, 60, 200, 1e4, -200]), np.array([30, 1000, 5000, 700.5, 5000])
    by_r = [-10.339585036634269, -332.923977000880996, -2387.528274844838961, -1806.917782121743357]
    np.testing.assert_allclose(log10_p(t, df), [*by_r, by_r[2]], rtol=1e-12)
    assert p_value(np.array([2.0]), np.array([5.0]))[0] == pytest.approx(2 * stats.t.sf(2, 5))
    assert p_value(np.array([0.0]), np.array([5.0]))[0] == 1.0
    assert np.isnan(log10_p(np.array([np.nan]), np.array([3.0])))[0]


def test_tail_series_meets_the_direct_value(monkeypatch: pytest.MonkeyPatch) -> None:
    from mixflow.inference import tails

    t, df = np.array([5.0, 20.0, 30.0]), np.array([12.0, 300.0, 8.5])
    direct = log10_p(t, df)
    monkeypatch.setattr(tails, "SMALL", 1.0)
    np.testing.assert_allclose(log10_p(t, df), direct, rtol=1e-11)


def test_combined_df_as_lmertest() -> None:
    """lmerTest:::get_Fstat_ddf, by hand: 2 E / (E - q), E = sum nu / (nu - 2); 2 where a nu is <= 2."""
    df = np.array([[5.0, 10.0], [7.0, 7.0], [1.5, 30.0], [9.0, 3.0]])
    used = np.array([[True, True], [True, True], [True, True], [True, False]])
    e = 5 / 3 + 10 / 8
    np.testing.assert_allclose(combined(df, used), [2 * e / (e - 2), 7.0, 2.0, 9.0])


def test_df_of_a_contrast_do_not_depend_on_its_scale() -> None:
    design, y = _study()
    fit = _fit(design, y)
    one, ten = (degrees_of_freedom(fit, np.array([[0, 0, 1.0, 0]]) * k) for k in (1, 10))
    np.testing.assert_allclose(ten[1], one[1])
    np.testing.assert_allclose(ten[0], 100 * one[0])


def test_a_random_effect_swept_out_by_the_fixed_effects_leaves_contrasts_within_its_levels() -> None:
    """u and v are seen in one lab, w in the other: u and v compare within a lab, w against them does not."""
    frame = pd.DataFrame({"c": pd.Categorical(list("uuuvvvwww")), "lab": pd.Categorical(list("ppppppqqq"))})
    y = np.random.default_rng(0).normal(size=(3, 9))
    design = build(parse("~ c + (1 | lab)"), frame)
    fit = fit_features(design, y, list("abc"))
    assert (fit.status == Status.NO_CURVATURE).all() and not fit.fitted.any()
    assert np.isnan(fit.theta).all() and np.isnan(fit.variance).all()
    asked = contrasts.build(
        {"vu": {"c": ["v", "u"]}, "wu": {"c": ["w", "u"]}, "any": {"c": "omnibus"}}, design
    )
    found = run_tests(fit, asked)
    assert (found["status"][:, 0] == Status.OK).all()
    assert (found["status"][:, 1] == Status.NO_CURVATURE).all() and np.isnan(found["p_value"][:, 1]).all()
    assert (found["f_status"][:, 0] == Status.NO_CURVATURE).all()
    plain = build(parse("~ c"), frame)
    alone = run_tests(fit_features(plain, y, list("abc")), contrasts.build({"vu": {"c": ["v", "u"]}}, plain))
    for name in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(found[name][:, 0], alone[name][:, 0], rtol=1e-7, err_msg=name)


def test_one_residual_degree_of_freedom_cannot_tell_lab_from_noise() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(list("uvv")), "lab": pd.Categorical(list("qpq"))})
    design = build(parse("~ c + (1 | lab)"), frame)
    fit = fit_features(design, np.random.default_rng(1).normal(size=(2, 3)), list("ab"))
    assert (fit.status == Status.NO_CURVATURE).all()
    found = run_tests(fit, contrasts.build({"vu": {"c": ["v", "u"]}}, design))
    assert (found["status"] == Status.NO_CURVATURE).all() and np.isnan(found["estimate"]).all()
