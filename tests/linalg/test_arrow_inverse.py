"""The arrow's log-determinant, solutions and inverse against dense LAPACK."""

import numpy as np
import pytest

from mixflow.backend import jax, jnp
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import arrow_factor, inverse_on, logdet, solve

SHAPES = [(5, 1, 0), (4, 2, 3), (6, 1, 4), (0, 1, 3), (3, 3, 0), (3, 2, 12)]


def _arrow(levels: int, k: int, m: int) -> tuple[Arrow, np.ndarray]:
    rng = np.random.default_rng(levels + 10 * k + 100 * m)
    n = levels * k + m
    dense = rng.normal(size=(n, n))
    dense = dense @ dense.T + n * np.eye(n)
    own = np.repeat(np.arange(levels + 1), [k] * levels + [m])
    apart = (own[:, None] != own) & (own[:, None] < levels) & (own < levels)
    dense[apart] = 0.0
    blocks = np.array([dense[i * k : i * k + k, i * k : i * k + k] for i in range(levels)]).reshape(
        levels, k, k
    )
    border = dense[: levels * k, levels * k :].reshape(levels, k, m)
    return Arrow(
        jnp.asarray(blocks), jnp.asarray(border), jnp.asarray(dense[levels * k :, levels * k :])
    ), dense


@pytest.mark.parametrize("shape", SHAPES)
def test_logdet_and_its_gradient_are_those_of_the_dense_matrix(shape):
    arrow, dense = _arrow(*shape)
    levels, k, _ = shape
    inverse = np.linalg.inv(dense)
    assert np.isclose(logdet(arrow), np.linalg.slogdet(dense)[1], rtol=1e-12)
    slope = jax.grad(logdet)(arrow)
    for i in range(levels):
        part = slice(i * k, i * k + k)
        np.testing.assert_allclose(slope.blocks[i], inverse[part, part], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(slope.border[i], 2 * inverse[part, levels * k :], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(slope.corner, inverse[levels * k :, levels * k :], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inverse_on(arrow).corner, slope.corner)


@pytest.mark.parametrize("shape", SHAPES)
def test_solutions_are_those_of_the_dense_system(shape):
    arrow, dense = _arrow(*shape)
    levels, k, _ = shape
    right = np.random.default_rng(1).normal(size=len(dense))
    lead, corner = solve(
        arrow_factor(arrow),
        jnp.asarray(right[: levels * k].reshape(levels, k)),
        jnp.asarray(right[levels * k :]),
    )
    found = np.concatenate([np.ravel(lead), corner])
    np.testing.assert_allclose(found, np.linalg.solve(dense, right), rtol=1e-9)


def test_logdet_of_an_indefinite_arrow_is_not_a_number():
    arrow, _ = _arrow(4, 2, 3)
    assert np.isnan(logdet(arrow._replace(blocks=-arrow.blocks)))
