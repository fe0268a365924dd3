"""Kenward-Roger against pbkrtest (tests/reference/kr.R), and against the formulas as printed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mixflow.backend import jax
from mixflow.covariance import Diagonal
from mixflow.design import Design, build
from mixflow.design.observed import observe
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference import contrasts, df
from mixflow.inference.contrasts import Contrast
from mixflow.inference.tests import test as run_tests
from mixflow.likelihood.data import Gram
from mixflow.model import Fit
from mixflow.optimise import mapped
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.prepare import Prepared, prepare
from mixflow.status import Status
from mixflow.store import fits
from tests.inference.dense_kr import Dense, f_test, kenward_roger
from tests.optimise.jaxprs import LAPACK, equations_of
from tests.reference.cases import CASES, HERE, fitted

BY_PBKRTEST = {c["id"]: c["kr"] for c in json.loads((HERE / "kr.json").read_text())["cases"] if "kr" in c}
BY_ID = {case["id"]: case for case in CASES}


@pytest.mark.grid
@pytest.mark.parametrize("name", BY_PBKRTEST)
def test_agrees_with_pbkrtest(name: str) -> None:
    by_r = BY_PBKRTEST[name]
    got = fitted(BY_ID[name], kr=True)
    assert got.fit.kr is not None
    assert list(got.fit.coef_names) == by_r["coefficients"]
    adjusted = np.array(by_r["vcov_adjusted"]).reshape(got.fit.kr.cov[0].shape)
    sd = np.sqrt(np.diag(adjusted))
    assert np.abs(got.fit.kr.cov[0] - adjusted).max(initial=0) / sd.max() ** 2 < 1e-4
    np.testing.assert_allclose(np.sqrt(np.diag(got.fit.kr.cov[0])), sd, rtol=1e-4)
    found = [df.one(got.fit, row[None, :], "kenward-roger")[1][0] for row in np.eye(len(sd))]
    np.testing.assert_allclose(found, by_r["df"], rtol=1e-3)
    for joint in by_r["joint"]:
        names = list(got.fit.coef_names)
        rows = np.eye(len(names))[[names.index(n) for n in joint["coefficients"]]]
        statistic, r, low = df.several(got.fit, rows, "kenward-roger")
        assert statistic[0] == pytest.approx(joint["f"], rel=1e-3)
        assert r[0] == joint["num_df"]
        assert low[0] == pytest.approx(joint["den_df"], rel=1e-3)


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 90
    frame = pd.DataFrame({"x": rng.normal(size=n) * 3 + 1, "t": rng.uniform(0, 4, n)})
    for name, levels in (("a", 12), ("b", 7), ("c", 3)):
        frame[name] = pd.Categorical([f"{name}{i}" for i in rng.integers(0, levels, n)])
    return frame


FORMULAS = (
    "~ x + c",
    "~ x + c + (1 | a)",
    "~ x + c + (t | a) + (x | b)",
    "~ c + (t || a)",
    "~ c + (0 + c | a) + (1 | b)",
)


def _simulated(design: Design, n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Values with missing ones, and weights."""
    rng = np.random.default_rng(2)
    n = len(design.X)
    y = rng.normal(size=(n_features, n)) * 2
    for term in design.random:
        b = rng.normal(size=(n_features, len(term.levels), term.Z.shape[1])) * 1.5
        y += (term.Z[None] * b[:, term.index]).sum(axis=2)
    y[:, ::7] = np.nan
    y[1, :20] = np.nan
    return y * 10, rng.uniform(0.5, 3, size=y.shape)


def _dense(design: Design, prepared: Prepared, fit: Fit, i: int, seen: np.ndarray, w: np.ndarray) -> Dense:
    """The formulas as printed, at the fit's own variances."""
    components = dict(zip(fit.components, fit.variance[i], strict=True))
    first, gamma, used = [], [], dict.fromkeys(fit.groups, 0)
    for effect, (_, structure, _) in zip(prepared.effects, prepared.layout.slices, strict=True):
        g = fit.groups.index(effect.group)
        k, start = len(effect.terms), used[effect.group]
        used[effect.group] += k
        z, index = prepared.columns[g][seen, start : start + k], prepared.index[g][seen]
        pairs = [(a, a) for a in range(k)]
        if not isinstance(structure, Diagonal):
            pairs += [(a, b) for a in range(k) for b in range(a + 1, k)]
        for a, b in pairs:
            one = np.outer(z[:, a], z[:, b]) * np.equal.outer(index, index)
            first.append(one if a == b else one + one.T)
            gamma.append(components[effect.group, effect.terms[a], "" if a == b else effect.terms[b]])
    first.append(np.diag(1 / w[seen]))
    gamma.append(fit.sigma[i] ** 2)
    V = np.einsum("s,sij->ij", np.array(gamma), np.array(first))
    return kenward_roger(design.X[seen], V, first)


@pytest.mark.grid
@pytest.mark.parametrize("formula", FORMULAS)
def test_weighted_and_missing_as_printed(formula: str) -> None:
    design = build(parse(formula), _frame())
    prepared = prepare(design, True)
    y, w = _simulated(design)
    fit = fit_features(design, y, list("abc"), weights=w, kr=True)
    assert fit.kr is not None
    L = np.eye(len(fit.coef_names))[1:]
    for i in range(len(y)):
        dense = _dense(design, prepared, fit, i, np.isfinite(y[i]), w[i])
        np.testing.assert_allclose(fit.kr.cov[i], dense.cov, rtol=1e-9, atol=1e-10 * np.abs(dense.cov).max())
        np.testing.assert_allclose(fit.kr.W[i], dense.W, rtol=1e-8, atol=1e-9 * np.abs(dense.W).max())
        np.testing.assert_allclose(fit.kr.P[i], dense.P, rtol=1e-8, atol=1e-9 * np.abs(dense.P).max())
        statistic, low, scale = f_test(dense, fit.solution[i], L)
        found = df.several(fit, L, "kenward-roger")
        assert found[0][i] == pytest.approx(statistic, rel=1e-8)
        assert found[2][i] == pytest.approx(low, rel=1e-8)
        assert scale <= 1 + 1e-12
        _, single, _ = f_test(dense, fit.solution[i], L[:1])
        assert df.one(fit, L[:1], "kenward-roger")[1][i] == pytest.approx(single, rel=1e-6)


def test_without_random_effects_it_is_the_linear_model() -> None:
    design = build(parse("~ x + c"), _frame())
    y, w = _simulated(design)
    fit = fit_features(design, y, list("abc"), weights=w, kr=True)
    assert fit.kr is not None
    np.testing.assert_allclose(fit.kr.cov, fit.beta_cov, rtol=1e-12)
    variance, low = df.one(fit, np.eye(4)[1:2], "kenward-roger")
    np.testing.assert_allclose(low, fit.n_obs - fit.rank, rtol=1e-10)
    statistic, _, joint = df.several(fit, np.eye(4)[1:], "kenward-roger")
    np.testing.assert_allclose(joint, fit.n_obs - fit.rank, rtol=1e-9)
    np.testing.assert_allclose(statistic, df.several(fit, np.eye(4)[1:], "residual")[0], rtol=1e-9)
    assert (variance > 0).all()


def test_units_of_response_and_covariates_do_not_matter() -> None:
    """pbkrtest's rule for a singular information is absolute (1e-10); ours follows the units."""
    frame = _frame()
    y, w = _simulated(build(parse("~ x + (t | a)"), frame))
    plain = fit_features(build(parse("~ x + (t | a)"), frame), y, list("abc"), weights=w, kr=True)
    frame["t"] /= 1e4
    other = fit_features(build(parse("~ x + (t | a)"), frame), y * 1e5, list("abc"), weights=w, kr=True)
    rows = np.eye(2)[1:]
    np.testing.assert_allclose(
        df.one(other, rows, "kenward-roger")[1], df.one(plain, rows, "kenward-roger")[1], rtol=1e-6
    )
    assert plain.kr is not None and other.kr is not None
    np.testing.assert_allclose(other.kr.cov, plain.kr.cov * 1e10, rtol=1e-6)


def test_contrasts_that_a_feature_cannot_estimate() -> None:
    """The feature without level c2 has the numbers of a fit to a design without it."""
    frame = _frame()
    design = build(parse("~ x + c + (t | a)"), frame)
    y, _ = _simulated(design)
    gone = (frame["c"] == "c2").to_numpy()
    y[0, gone] = np.nan
    fit = fit_features(design, y, list("abc"), kr=True)
    found = run_tests(fit, contrasts.build_coefficients(design), df="kenward-roger")
    assert found["status"][0, 3] == Status.NOT_ESTIMABLE and np.isnan(found["df"][0, 3])
    small = frame[~gone].assign(c=frame["c"][~gone].cat.remove_categories("c2"))
    alone = build(parse("~ x + c + (t | a)"), small)
    other = fit_features(alone, y[:1, ~gone], ["a"], kr=True)
    expected = run_tests(other, contrasts.build_coefficients(alone), df="kenward-roger")
    for name in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(found[name][0, :3], expected[name][0], rtol=1e-6)


def test_a_fit_without_it_says_so() -> None:
    design = build(parse("~ x + (1 | a)"), _frame())
    y, _ = _simulated(design)
    fit = fit_features(design, y, list("abc"))
    with pytest.raises(MixflowError, match="lacks what Kenward-Roger needs"):
        df.one(fit, np.eye(2)[:1], "kenward-roger")
    with pytest.raises(MixflowError, match="REML"):
        fit_features(design, y, list("abc"), reml=False, kr=True)
    with pytest.raises(MixflowError, match="Unknown method"):
        df.one(fit, np.eye(2)[:1], "kenward")


def test_bytes_do_not_depend_on_the_shard_and_the_store_keeps_them() -> None:
    design = build(parse("~ x + c + (t | a) + (1 | b)"), _frame())
    y, _ = _simulated(design, 7)
    ids = [f"f{i}" for i in range(7)]
    whole = fit_features(design, y, ids, kr=True)
    part = fit_features(design, y[4:6], ids[4:6], kr=True)
    again = fits.from_dataset(fits.to_dataset(whole))
    assert whole.kr and part.kr and again.kr
    for name in ("cov", "P", "W"):
        assert getattr(whole.kr, name)[4:6].tobytes() == getattr(part.kr, name).tobytes()
        np.testing.assert_array_equal(getattr(again.kr, name), getattr(whole.kr, name))
    rows = [Contrast("all", np.eye(4)[1:], "F", "", None, (), np.ones(len(design.X), dtype=bool))]
    before = run_tests(whole, rows, df="kenward-roger")
    after = run_tests(again, rows, df="kenward-roger")
    np.testing.assert_array_equal(before["f_p_value"], after["f_p_value"])


def test_features_that_were_not_fitted_are_nan() -> None:
    design = build(parse("~ x + (1 | a)"), _frame())
    y, _ = _simulated(design)
    y[1] = 5.0
    fit = fit_features(design, y, list("abc"), kr=True)
    assert fit.status[1] == Status.NO_VARIATION
    found = run_tests(fit, contrasts.build_coefficients(design), df="kenward-roger")
    assert np.isnan(found["df"][1]).all() and np.isfinite(found["df"][[0, 2]]).all()


def test_no_lapack_and_no_array_as_long_as_the_samples() -> None:
    n = 97
    frame = _frame()
    frame = pd.concat([frame, frame[: n - len(frame)]], ignore_index=True)
    design = build(parse("~ x + (x | a) + (1 | b)"), frame)
    prepared = prepare(design, True)
    y = np.random.default_rng(0).normal(size=(2, n))
    arrays = prepared.builder.build(y, observe(y, design.Q, design.R, None))
    gram, theta = Gram(*arrays[:4]), np.tile(prepared.layout.start, (2, 1))
    kernel = jax.make_jaxpr(mapped._compiled(mapped.blocks, prepared.layout))(gram, theta)
    equations = list(equations_of(kernel.jaxpr))
    assert len(equations) > 100
    assert not {e.primitive.name for e in equations} & LAPACK
    assert n not in {k for e in equations for v in e.outvars for k in getattr(v.aval, "shape", ())}


def test_a_known_sigma_has_no_error() -> None:
    """Then W is that of the random terms alone: for meta-analysis, with the residual variances known."""
    design = build(parse("~ x + (1 | a)"), _frame())
    y, w = _simulated(design)
    fit = fit_features(design, y, list("abc"), weights=w / 100, known_sigma=True, kr=True)
    assert fit.kr is not None
    assert (fit.kr.W[:, -1] == 0).all()
    prepared = prepare(design, True)
    for i in range(len(y)):
        dense = _dense(design, prepared, fit, i, np.isfinite(y[i]), w[i] / 100)
        information = np.linalg.inv(dense.W)
        np.testing.assert_allclose(fit.kr.W[i, 0, 0], 1 / information[0, 0], rtol=1e-8)
