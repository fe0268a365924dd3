"""The profiled likelihood and its derivatives against dense matrices and numeric differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mixflow.backend import jax, jnp
from mixflow.design import build
from mixflow.design.observed import observe
from mixflow.formula import parse
from mixflow.likelihood.exact import Gram, pieces
from mixflow.likelihood.taylor import expand, profile
from mixflow.optimise.prepare import Prepared, prepare

FORMULAS = (
    "~ x + (1 | a)",
    "~ x + (x | a)",
    "~ x + (x || a) + (1 | b)",
    "~ x * f + (1 | a) + (0 + x | b)",
    "~ 1 + (f | a) + (1 | a:b)",
)


def _frame(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 9, n), rng.integers(0, 4, n)
    f = pd.Categorical(rng.choice(list("uv"), n), ["u", "v"])
    frame = pd.DataFrame({"x": rng.normal(3, 2, n), "f": f})
    return frame.assign(a=pd.Categorical([f"a{i}" for i in a]), b=pd.Categorical([f"b{i}" for i in b]))


def _dense(prepared: Prepared, design, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Marginal covariance over sigma^2 of all rows: Z Lambda Lambda' Z' + W^-1."""
    n = len(design.X)
    v = np.diag(1 / w)
    for (group, effect, part), name in zip(prepared.layout.slices, prepared.effects, strict=True):
        (term,) = [t for t in design.random if t.group == group.name and t.terms == name.terms]
        covariance = effect.matrix(theta[None, part])[0]
        same = term.index[:, None] == term.index[None, :]
        v = v + same * (term.Z @ covariance @ term.Z.T)
    assert v.shape == (n, n)
    return v


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_objective_equals_the_dense_density(formula: str, reml: bool) -> None:
    frame, rng = _frame(), np.random.default_rng(8)
    design = build(parse(formula), frame)
    prepared = prepare(design, reml)
    y = rng.normal(5, 3, (2, len(frame)))
    y[0, rng.random(len(frame)) < 0.2] = np.nan
    weights = rng.uniform(0.5, 2, len(frame))
    observed = observe(y, design.Q, design.R, weights)
    arrays = prepared.builder.build(y, observed)
    theta = rng.uniform(0.3, 1.2, prepared.layout.n_theta)
    for i in range(2):
        gram = Gram(*(a[i] for a in arrays[:4]))
        found = expand(lambda t, gram=gram: pieces(prepared.layout, gram, t), jnp.asarray(theta))
        value = float(profile(gram, *found)[0]) + arrays.constant[i]
        seen = np.isfinite(y[i])
        unscaled = theta / prepared.theta_scale
        v = _dense(prepared, design, unscaled, weights)[np.ix_(seen, seen)]
        assert value == pytest.approx(_minus_two_log(v, design.X[seen], y[i, seen], reml), rel=1e-10)


def _minus_two_log(v: np.ndarray, x: np.ndarray, y: np.ndarray, reml: bool) -> float:
    """-2 log (restricted) likelihood with beta and sigma at their optimum, from the definition."""
    n, p = x.shape
    information = x.T @ np.linalg.solve(v, x)
    beta = np.linalg.solve(information, x.T @ np.linalg.solve(v, y))
    dof = n - p if reml else n
    sigma2 = (y - x @ beta) @ np.linalg.solve(v, y - x @ beta) / dof
    density = -2 * stats.multivariate_normal(x @ beta, sigma2 * v).logpdf(y)
    if not reml:
        return density
    return density + np.linalg.slogdet(information / sigma2)[1] - p * np.log(2 * np.pi)


@pytest.mark.parametrize("formula", FORMULAS)
def test_gradient_and_hessian_equal_numeric_ones(formula: str) -> None:
    frame = _frame()
    design = build(parse(formula), frame)
    prepared = prepare(design, True)
    y = np.random.default_rng(3).normal(size=(1, len(frame)))
    arrays = prepared.builder.build(y, observe(y, design.Q, design.R, None))
    gram = Gram(*(a[0] for a in arrays[:4]))
    function = jax.jit(lambda t: profile(gram, *expand(lambda u: pieces(prepared.layout, gram, u), t)))
    theta, h = np.linspace(0.4, 0.9, prepared.layout.n_theta), 1e-6
    _, gradient, hessian = map(np.asarray, function(theta))
    for j in range(len(theta)):
        step = h * np.eye(len(theta))[j]
        up, down = function(theta + step), function(theta - step)
        assert gradient[j] == pytest.approx(float(up[0] - down[0]) / (2 * h), rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(hessian[j], (up[1] - down[1]) / (2 * h), rtol=1e-5, atol=1e-6)


def test_zero_is_stationary_in_every_even_parameter() -> None:
    frame = _frame()
    design = build(parse("~ x + (x || a) + (1 | b)"), frame)
    prepared = prepare(design, True)
    y = np.random.default_rng(4).normal(size=(1, len(frame)))
    arrays = prepared.builder.build(y, observe(y, design.Q, design.R, None))
    gram = Gram(*(a[0] for a in arrays[:4]))
    found = expand(lambda t: pieces(prepared.layout, gram, t), jnp.zeros(3))
    assert (np.asarray(profile(gram, *found)[1]) == 0).all()
