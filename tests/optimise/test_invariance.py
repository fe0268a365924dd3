"""Nothing that should not matter matters: shift, scale, order, names; and what was simulated is recovered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.design import build
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features
from mixflow.status import Status

FORMULA = "~ x + f + (1 | a) + (1 | b)"


def _study(n: int = 90, features: int = 6) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"x": rng.normal(10, 2, n), "f": pd.Categorical(rng.choice(list("uvw"), n))})
    frame["a"] = pd.Categorical([f"a{i}" for i in rng.integers(0, 12, n)])
    frame["b"] = pd.Categorical([f"b{i}" for i in rng.integers(0, 5, n)])
    y = rng.normal(size=(features, n)) + rng.normal(size=(features, 12))[:, frame["a"].cat.codes]
    y[rng.random(y.shape) < 0.15] = np.nan
    return frame, y


def _fit(frame: pd.DataFrame, y: np.ndarray, formula: str = FORMULA) -> Fit:
    design = build(parse(formula), frame)
    return fit_features(design, y[:, design.rows], [str(i) for i in range(len(y))])


@pytest.mark.parametrize("shift", [1e3, 1e8])
def test_shift(shift: float) -> None:
    frame, y = _study()
    plain, moved = _fit(frame, y), _fit(frame, y + shift)
    rounding = shift * 1e-16 * 1e3  # the data themselves are rounded at this size
    np.testing.assert_allclose(moved.theta, plain.theta, atol=1e-7 + rounding)
    np.testing.assert_allclose(moved.beta[:, 1:], plain.beta[:, 1:], atol=1e-8 + rounding)
    np.testing.assert_allclose(moved.beta_cov, plain.beta_cov, rtol=1e-6 + 1e3 * rounding)


@pytest.mark.parametrize("factor", [1e-9, 3.0, 1e12])
def test_scale(factor: float) -> None:
    frame, y = _study()
    plain, scaled = _fit(frame, y), _fit(frame, y * factor)
    np.testing.assert_allclose(scaled.theta, plain.theta, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(scaled.beta, plain.beta * factor, rtol=1e-8)
    np.testing.assert_allclose(scaled.sigma, plain.sigma * factor, rtol=1e-9)
    np.testing.assert_allclose(scaled.variance, plain.variance * factor**2, rtol=1e-7, atol=1e-12 * factor**2)


def test_scale_and_shift_of_a_covariate() -> None:
    frame, y = _study()
    plain = _fit(frame, y, "~ x + (x | a)")
    moved = _fit(frame.assign(x=1000 * frame["x"]), y, "~ x + (x | a)")
    np.testing.assert_allclose(
        moved.loglik, plain.loglik - np.log(1000), rtol=1e-9
    )  # REML's constant knows X
    np.testing.assert_allclose(moved.beta[:, 1], plain.beta[:, 1] / 1000, rtol=1e-6)
    np.testing.assert_allclose(moved.variance[:, 1], plain.variance[:, 1] / 1e6, rtol=1e-4, atol=1e-12)


def test_sample_order_and_level_names() -> None:
    frame, y = _study()
    order = np.random.default_rng(1).permutation(len(frame))
    renamed = frame.assign(a=frame["a"].cat.rename_categories(lambda s: "z" + s[::-1]))
    plain, other = _fit(frame, y), _fit(renamed.iloc[order], y[:, order])
    np.testing.assert_allclose(other.beta, plain.beta, rtol=1e-9)
    np.testing.assert_allclose(other.theta, plain.theta, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(other.loglik, plain.loglik, rtol=1e-11)


def test_order_of_random_terms() -> None:
    frame, y = _study()
    plain, other = _fit(frame, y), _fit(frame, y, "~ x + f + (1 | b) + (1 | a)")
    np.testing.assert_array_equal(other.theta, plain.theta)


def test_reference_level_changes_no_likelihood() -> None:
    frame, y = _study()
    plain = _fit(frame, y)
    other = _fit(frame.assign(f=frame["f"].cat.reorder_categories(["w", "u", "v"])), y)
    np.testing.assert_allclose(other.loglik, plain.loglik, rtol=1e-11)
    np.testing.assert_allclose(other.theta, plain.theta, rtol=1e-7, atol=1e-10)


def test_weights_of_two_are_rows_seen_twice_for_beta() -> None:
    frame, y = _study()
    y = np.where(np.isfinite(y), y, 0.0)
    design = build(parse("~ x + f"), frame)
    double = pd.concat([frame, frame])
    twice = fit_features(build(parse("~ x + f"), double), np.hstack([y, y]), list("123456"))
    weighted = fit_features(design, y, list("123456"), weights=np.full(y.shape[1], 2.0))
    np.testing.assert_allclose(weighted.beta, twice.beta, rtol=1e-10)
    zero = np.where(np.arange(y.shape[1]) < 5, 0.0, 1.0)
    without = fit_features(build(parse("~ x + f"), frame.iloc[5:]), y[:, 5:], list("123456"))
    np.testing.assert_allclose(
        fit_features(design, y, list("123456"), weights=zero).beta, without.beta, rtol=1e-10
    )


def test_simulated_parameters_are_recovered() -> None:
    rng = np.random.default_rng(2)
    groups, each, features = 60, 8, 40
    frame = pd.DataFrame({"g": pd.Categorical(np.repeat([f"g{i}" for i in range(groups)], each))})
    frame["x"] = np.tile(np.linspace(-1, 1, each), groups)
    root = np.array([[0.8, 0], [0.3, 0.5]])
    b = rng.normal(size=(features, groups, 2)) @ root.T
    code = frame["g"].cat.codes.to_numpy()
    x = frame["x"].to_numpy()
    y = 2 - 1.5 * x + b[:, code, 0] + b[:, code, 1] * x + 0.7 * rng.normal(size=(features, len(frame)))
    fit = _fit(frame, y, "~ x + (x | g)")
    assert fit.fitted.all()
    covariance = root @ root.T
    truth = [covariance[0, 0], covariance[1, 1], covariance[0, 1], 0.49]
    error = fit.variance.std(axis=0) / np.sqrt(features)
    assert (np.abs(fit.variance.mean(axis=0) - truth) < 4 * error).all()
    assert np.abs(fit.beta.mean(axis=0) - [2, -1.5]).max() < 0.1


def test_statuses() -> None:
    frame, y = _study(features=8)
    y = np.where(np.isfinite(y), y, 0.1)
    y[0] = np.nan
    y[1] = 7.25
    y[2] = frame["x"] * 3 + 1
    y[3, frame["a"] != "a1"] = np.nan
    y[4, 3:] = np.nan
    y[5] = 1e300
    y[5, ::2] = -1e300
    fit = _fit(frame, y)
    assert list(fit.status[:4]) == [
        Status.TOO_FEW_OBSERVATIONS,
        Status.NO_VARIATION,
        Status.NO_VARIATION,
        Status.TOO_FEW_LEVELS,
    ]
    assert fit.status[4] == Status.TOO_FEW_OBSERVATIONS
    assert fit.status[5] not in (Status.NOT_RUN,)
    assert set(fit.status[6:]) <= {Status.OK, Status.SINGULAR}
    assert np.isnan(fit.beta[:5]).all()
    assert np.isnan(fit.variance[:5]).all()


def test_a_variance_that_the_rows_cannot_tell_from_the_residual_is_a_status() -> None:
    """Two labs, each with its own condition: their difference is condition, nothing is left for the labs."""
    frame = pd.DataFrame({"c": pd.Categorical(list("uuuvvv")), "lab": pd.Categorical(list("pppqqq"))})
    fit = _fit(frame, np.random.default_rng(0).normal(size=(3, 6)), "~ c + (1 | lab)")
    assert (fit.status == Status.NO_CURVATURE).all()


def test_no_feature_at_all() -> None:
    frame, y = _study()
    fit = _fit(frame, y[:0])
    assert fit.beta.shape == (0, 4)
    assert fit.modes["a"].shape == (0, 12)


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e3, 1e9])
def test_the_unit_of_a_covariate_does_not_decide_what_is_estimable(unit: float) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": pd.Categorical(np.repeat(list("ABC"), 20)), "x": rng.normal(3, 1, 60) * unit})
    y = rng.normal(size=(2, 60))
    y[0, 40:] = np.nan  # never seen in C
    for formula in ("~ g + x", "~ x + g", "~ g * x"):
        fit = _fit(frame, y, formula)
        lost = ["g[C]" in name for name in fit.coef_names]
        assert (~fit.estimable[0] == lost).all()
        assert fit.estimable[1].all()
        rows = np.eye(len(lost)) - np.eye(len(lost))[[fit.coef_names.index("g[B]")]]
        assert (~fit.can_estimate(rows)[0] == lost).all()


def test_shares_of_a_correlated_slope_sum_to_one() -> None:
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"s": pd.Categorical(np.repeat([f"s{i}" for i in range(30)], 10))})
    frame["t"] = np.tile(np.arange(10.0), 30)
    b = rng.normal(size=(30, 1)) @ np.array([[2.0, -0.3]]) + 0.05 * rng.normal(size=(30, 2))
    code = frame["s"].cat.codes.to_numpy()
    y = b[code, 0] + b[code, 1] * frame["t"].to_numpy() + rng.normal(size=300)
    fit = _fit(frame, y[None, :], "~ t + (t | s)")
    assert fit.share.sum() == pytest.approx(1.0)
    group = sum(s for s, c in zip(fit.share[0], fit.components, strict=True) if c[0] == "s")
    assert 0.3 < group < 0.8
    assert fit.share[0, 2] < 0  # the covariance takes away


def test_ml_without_random_effects_tests_as_least_squares() -> None:
    frame, y = _study()
    design = build(parse("~ x + f"), frame)
    by_reml, by_ml = (fit_features(design, y, list("123456"), reml=reml) for reml in (True, False))
    np.testing.assert_allclose(by_ml.beta_cov, by_reml.beta_cov, rtol=1e-12)
    np.testing.assert_allclose(by_ml.par_cov, by_reml.par_cov, rtol=1e-9)
    assert (by_ml.loglik > by_reml.loglik).any()
