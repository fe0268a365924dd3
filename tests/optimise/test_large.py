"""One big outcome on the host equals what the compiled kernels give, in every number of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import mixflow
from mixflow.linalg.elimination import Eliminated, factor
from mixflow.optimise import large


def _crossed(nested: bool, rows: int = 900) -> pd.DataFrame:
    random = np.random.default_rng(7)
    a = random.integers(0, 90, rows)
    b = a // 3 if nested else random.integers(0, 70, rows)
    c = b // 10 if nested else random.integers(0, 6, rows)
    x = random.normal(size=rows)
    y = random.normal(size=90)[a] + 0.5 * random.normal(size=90)[b] + random.normal(size=90)[c] + 0.3 * x
    return pd.DataFrame({"a": a, "b": b, "c": c, "x": x, "y": y + random.normal(size=rows)})


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_equals_the_kernels(nested: bool, reml: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = _crossed(nested)
    formula = "y ~ x + (1 | a) + (1 | b) + (1 | c)"
    kernels = mixflow.fit(formula, frame, reml=reml)
    monkeypatch.setattr(large, "CORNER", 0)
    host = mixflow.fit(formula, frame, reml=reml)
    for name in ("loglik", "solution", "beta_cov", "beta_cov_deriv", "par_cov", "theta", "sigma", "variance"):
        own, other = getattr(host.model, name), getattr(kernels.model, name)
        np.testing.assert_allclose(own, other, rtol=2e-5, atol=1e-6 * np.abs(other).max(), err_msg=name)
    for group in host.model.modes:
        np.testing.assert_allclose(host.model.modes[group], kernels.model.modes[group], atol=1e-5)
        np.testing.assert_allclose(host.model.mode_sds[group], kernels.model.mode_sds[group], atol=1e-5)


def test_average_information_is_near_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "CORNER", 0)
    frame = _crossed(False)
    exact = mixflow.fit("y ~ x + (1 | a) + (1 | b)", frame).model.par_cov
    monkeypatch.setattr(large, "EXACT", 0)
    average = mixflow.fit("y ~ x + (1 | a) + (1 | b)", frame).model.par_cov
    np.testing.assert_allclose(average, exact, atol=0.1 * np.abs(exact).max())


def test_a_variance_of_zero_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "CORNER", 0)
    frame = _crossed(False)
    random = np.random.default_rng(0)
    frame["y"] = random.normal(size=len(frame))
    frame["y"] -= frame.groupby("b")["y"].transform("mean")
    fit = mixflow.fit("y ~ x + (1 | a) + (1 | b)", frame)
    assert fit.status.item() == "singular"
    assert (fit.model.theta == 0).any()


def test_a_small_variance_is_not_lost_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first step from theta = 1 beyond zero used to end there, -2 log-likelihood 32 above its minimum."""
    frame = _crossed(False, 3000)
    random = np.random.default_rng(3)
    frame["y"] = random.normal(size=3000) + 0.2 * random.normal(size=90)[frame["a"]]
    formula = "y ~ x + (1 | a) + (1 | b)"
    kernels = mixflow.fit(formula, frame)
    monkeypatch.setattr(large, "CORNER", 0)
    host = mixflow.fit(formula, frame)
    assert kernels.model.theta.max() > 0.1
    np.testing.assert_allclose(host.model.theta, kernels.model.theta, atol=1e-5)
    np.testing.assert_allclose(host.loglik, kernels.loglik, rtol=1e-9)


@pytest.mark.parametrize("nested", [True, False])
def test_elimination(nested: bool) -> None:
    """log-determinant, solve and the diagonal of the inverse equal the dense ones; nested levels stay sparse."""
    frame = _crossed(nested, 2000).sort_values("a")
    sizes = [int(frame[name].max()) + 1 for name in "abc"]
    marks = [
        np.equal.outer(frame[name].to_numpy(), np.arange(q)) for name, q in zip("abc", sizes, strict=True)
    ]
    z = np.concatenate(marks, axis=1).astype(float)
    matrix = z.T @ z + np.eye(sum(sizes))
    found = factor(sparse.csr_matrix(matrix), sizes)
    assert isinstance(found, Eliminated)
    inverse = np.linalg.inv(matrix)
    np.testing.assert_allclose(found.logdet, np.linalg.slogdet(matrix)[1], rtol=1e-12)
    np.testing.assert_allclose(found.diagonal, np.diagonal(inverse), rtol=1e-10)
    np.testing.assert_allclose(found.solve(np.eye(len(inverse))), inverse, atol=1e-12)
