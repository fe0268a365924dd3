"""One conformance test for every correlation of positions, on the residual side and within a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

import mixflow
from mixflow.backend import jax, jnp
from mixflow.covariance import AR1, CompoundSymmetry, Correlation, OrnsteinUhlenbeck, Residual, Structured
from mixflow.covariance import UnstructuredByVisit as Free
from mixflow.covariance.directions import directions

SIZE = 4
ALL = [AR1(SIZE), OrnsteinUhlenbeck(SIZE, 0.5), CompoundSymmetry(SIZE), Free(SIZE)]
IDS = [type(c).__name__ for c in ALL]
TIMES = np.array([0.0, 1.0, 2.5, 4.0])


def _theta(c: Correlation, n: int = 5) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, c.n_params))


def _dense(c: Correlation, theta: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The matrix as a textbook has it, from the natural parameters."""
    value = c.natural(theta[None])[0]
    distance = np.abs(where[:, None] - where[None, :])
    if isinstance(c, AR1):
        return np.sign(value[0]) ** distance * np.abs(value[0]) ** distance
    if isinstance(c, OrnsteinUhlenbeck):
        return value[0] ** (distance * c.unit)
    if isinstance(c, CompoundSymmetry):
        return np.where(distance == 0, 1.0, value[0])
    sd, out = np.ones(SIZE), np.eye(SIZE)
    for v, (i, j) in zip(value, [(a, b) for a in range(1, SIZE) for b in range(a + 1)], strict=True):
        if i == j:
            sd[i] = v
        else:
            out[i, j] = out[j, i] = v
    return out * sd[:, None] * sd[None, :]


def _where(c: Correlation) -> np.ndarray:
    return TIMES if isinstance(c, OrnsteinUhlenbeck) else np.arange(SIZE, dtype=float)


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_structured_equals_dense_and_is_positive_definite(c: Correlation) -> None:
    for theta in _theta(c):
        found = np.asarray(c.matrix(jnp.asarray(theta), jnp.asarray(_where(c))))
        np.testing.assert_allclose(found, _dense(c, theta, _where(c)), rtol=1e-10, atol=1e-12)
        assert np.linalg.eigvalsh(found).min() > 0


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_gradient_equals_numeric(c: Correlation) -> None:
    weight = np.random.default_rng(2).normal(size=(SIZE, SIZE))
    scalar = jax.jit(lambda t: (c.matrix(t, jnp.asarray(_where(c))) * weight).sum())
    for theta in _theta(c, 3):
        numeric = approx_fprime(theta, lambda t: float(scalar(jnp.asarray(t))), 1e-7)
        np.testing.assert_allclose(jax.grad(scalar)(jnp.asarray(theta)), numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("c", [AR1(SIZE), OrnsteinUhlenbeck(SIZE, 1.0)], ids=["AR1", "OU"])
def test_no_correlation_is_an_ordinary_point(c: Correlation) -> None:
    """Two derivatives exist at zero correlation, for distances that are no whole numbers as well."""
    where = jnp.asarray(_where(c))
    first, second = jax.jacfwd(c.matrix), jax.jacfwd(jax.jacfwd(c.matrix))
    zero = jnp.zeros(1)
    np.testing.assert_allclose(c.matrix(zero, where), np.eye(SIZE), atol=1e-150)
    assert np.isfinite(first(zero, where)).all() and np.isfinite(second(zero, where)).all()


@pytest.mark.parametrize("hetero", [False, True])
def test_the_lower_bound_of_compound_symmetry_is_an_ordinary_even_point(hetero: bool) -> None:
    """rho = -1 / (T - 1): the effects sum to zero, and the factor has two derivatives there."""
    c = CompoundSymmetry(SIZE)
    np.testing.assert_allclose(c.natural(np.array([[0.0], [1.0]])).ravel(), [-1 / (SIZE - 1), 0.0])
    effect = Structured(SIZE, c, tuple(_where(c)), hetero)
    theta = effect.start()
    theta[-1] = 0.0
    assert effect.boundary[-1] and effect.even[-1]
    matrix = effect.matrix(theta[None])[0]
    np.testing.assert_allclose(matrix.sum(axis=0), 0.0, atol=1e-12)
    first, second = jax.jacfwd(effect.factor), jax.jacfwd(jax.jacfwd(effect.factor))
    assert np.isfinite(first(jnp.asarray(theta))).all() and np.isfinite(second(jnp.asarray(theta))).all()
    aside = np.tile(theta, (2, 1))
    aside[:, -1] = [-0.3, 0.3]
    np.testing.assert_allclose(*effect.matrix(aside), atol=1e-12)
    moves = directions(effect, jnp.asarray(theta))
    expected = 1 - np.eye(SIZE)
    np.testing.assert_allclose(moves.first[-1], expected, atol=1e-12)
    np.testing.assert_allclose(np.tensordot(moves.weights, moves.first, 1), matrix, atol=1e-12)


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_a_mask_cuts_the_covariance_itself(c: Correlation) -> None:
    """log|R| and whitened rows of what was observed equal those of the covariance of the observed rows alone."""
    theta = np.concatenate([_theta(c, 1)[0], [0.3]])
    residual = Residual(c, 1, 1, 1, SIZE)
    seen, spread = np.array([1.0, 0.0, 1.0, 1.0]), np.array([[0.0], [1.0], [1.0], [0.0]])
    log_sd = residual.log_sd(jnp.asarray(theta), jnp.asarray(spread))
    lower, pivots = residual.factor(jnp.asarray(theta), jnp.asarray(_where(c)), log_sd, jnp.asarray(seen))
    rows = np.flatnonzero(seen)
    sd = np.exp(0.3 * spread[:, 0])
    dense = (_dense(c, theta[:-1], _where(c)) * sd[:, None] * sd[None, :])[np.ix_(rows, rows)]
    np.testing.assert_allclose(np.log(pivots).sum(), np.linalg.slogdet(dense)[1])
    r = np.random.default_rng(3).normal(size=SIZE) * seen
    white = np.linalg.solve(np.asarray(lower), r)
    np.testing.assert_allclose((white**2 / pivots).sum(), r[rows] @ np.linalg.solve(dense, r[rows]))


@pytest.mark.parametrize("hetero", [False, True])
@pytest.mark.parametrize("c", ALL[:3], ids=IDS[:3])
def test_within_a_group_the_factor_gives_the_scaled_correlation(c: Correlation, hetero: bool) -> None:
    structure = Structured(SIZE, c, tuple(_where(c)), hetero)
    theta = np.random.default_rng(4).normal(size=(3, structure.n_params))
    sd = np.exp(theta[:, :SIZE]) if hetero else np.repeat(theta[:, :1], SIZE, axis=1)
    own = np.stack([_dense(c, t, _where(c)) for t in theta[:, structure.n_sds :]])
    np.testing.assert_allclose(structure.matrix(theta), own * sd[:, :, None] * sd[:, None, :], atol=1e-12)
    np.testing.assert_allclose(
        structure.matrix(structure.canonical(theta)), structure.matrix(theta), atol=1e-12
    )
    assert len(structure.names([str(i) for i in range(SIZE)])) == structure.n_params


def _simulated(c: Correlation, theta: np.ndarray, units: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(5)
    noise = random.normal(size=(units, SIZE)) @ np.linalg.cholesky(_dense(c, theta, _where(c))).T
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), SIZE), "time": np.tile(_where(c), units)})
    frame["y"] = 2.0 + 0.5 * frame["time"] + noise.ravel()
    return frame[random.random(len(frame)) > 0.15].reset_index(drop=True)


@pytest.mark.parametrize(("c", "word"), list(zip(ALL, ["ar1", "ou", "cs", "us"], strict=True)), ids=IDS)
def test_simulate_then_fit(c: Correlation, word: str) -> None:
    theta = np.full(c.n_params, 0.6) if word != "us" else 0.3 * _theta(c, 1)[0]
    fit = mixflow.fit("y ~ time", _simulated(c, theta), residual=f"{word}(time | unit)")
    truth = c.natural(theta[None])[0] ** (c.unit if isinstance(c, OrnsteinUhlenbeck) else 1)
    np.testing.assert_allclose(fit.structure["estimate"], truth, atol=0.12)
    assert fit.status.item() == "ok"
    assert abs(fit.coefficients["estimate"].iloc[1] - 0.5) < 0.1


def test_a_fit_at_the_lower_bound_of_compound_symmetry_is_singular() -> None:
    """Effects of a level that sum to zero: rho is -1 / (k - 1), where homcs did not converge once."""
    random = np.random.default_rng(6)
    effect = random.normal(size=(14, 3))
    effect -= effect.mean(axis=1, keepdims=True)
    frame = pd.DataFrame({"g": np.repeat(np.arange(14), 6), "p": np.tile(list("abcabc"), 14)})
    frame["y"] = np.hstack([effect, effect]).ravel() + 0.3 * random.normal(size=84)
    fit = mixflow.fit("y ~ p + homcs(p + 0 | g)", frame.drop(index=[3, 20, 41]))
    assert fit.status.item() == "singular" and fit.structure["estimate"].item() == -0.5
    assert (fit.coefficients["status"] == "singular").all()
