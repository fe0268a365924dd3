"""One conformance test for every covariance structure."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.backend import jax, jnp
from mixflow.covariance import STRUCTURES, Covariance, Homogeneous, Identity, Known

KINSHIP = np.array(
    [[1.1, 0.5, 0.5, 0.25], [0.5, 1.0, 0.25, 0.5], [0.5, 0.25, 1.0, 0.5], [0.25, 0.5, 0.5, 1.2]]
)
ALL = [structure(k) for structure in STRUCTURES.values() for k in (1, 2, 3, 4)] + [Identity(1), Identity(3)]
ALL += [Homogeneous(1), Homogeneous(4), Known.of(np.eye(2)), Known.of(KINSHIP)]
IDS = [f"{type(c).__name__}{c.size}" for c in ALL]


def _thetas(c: Covariance, n: int = 7) -> np.ndarray:
    return np.random.default_rng(c.size).normal(size=(n, c.n_params))


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_host_and_kernel_give_the_same_lower_factor(c: Covariance) -> None:
    theta = _thetas(c)
    kernel = np.stack([np.asarray(c.factor(jnp.asarray(t))) for t in theta])
    np.testing.assert_array_equal(kernel, c.factor_many(theta))
    assert (np.triu(kernel, 1) == 0).all()
    np.testing.assert_allclose(c.matrix(theta), kernel @ np.swapaxes(kernel, 1, 2))


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_names_start_and_boundary_have_the_length_of_theta(c: Covariance) -> None:
    terms = [f"t{i}" for i in range(c.size)]
    assert len(c.names(terms)) == len(set(c.names(terms))) == c.n_params
    assert c.start().shape == c.boundary.shape == c.even.shape == (c.n_params,)
    assert (np.linalg.eigvalsh(c.matrix(c.start()[None])[0]) > 0).all()


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_canonical_keeps_the_covariance_and_is_unique(c: Covariance) -> None:
    theta = _thetas(c)
    canonical = c.canonical(theta)
    np.testing.assert_allclose(c.matrix(canonical), c.matrix(theta), atol=1e-12)
    np.testing.assert_allclose(c.canonical(canonical), canonical)
    assert (canonical[:, c.boundary] >= 0).all()
    flipped = theta * np.where(c.even, -1.0, 1.0)
    np.testing.assert_allclose(c.canonical(flipped), canonical)


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_canonical_at_the_boundary(c: Covariance) -> None:
    if not c.boundary.any():
        assert c.n_params == 0  # nothing that could reach a boundary
        return
    theta = _thetas(c)
    theta[:, np.flatnonzero(c.boundary)[0]] = 0.0
    canonical = c.canonical(theta)
    np.testing.assert_allclose(c.matrix(canonical), c.matrix(theta), atol=1e-9)
    assert (canonical[:, c.boundary] == 0).any(axis=1).all()


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_scaling_belongs_to_divided_columns(c: Covariance) -> None:
    if c.n_params == 0:
        assert c.scaling(np.ones(c.size)).shape == (0,)
        return
    theta, scale = _thetas(c), c.scales(np.arange(1.0, c.size + 1) * 3)
    scaled = c.matrix(theta * c.scaling(scale))
    np.testing.assert_allclose(scaled, c.matrix(theta) * np.outer(scale, scale))


@pytest.mark.parametrize("c", ALL, ids=IDS)
def test_gradient_equals_numeric(c: Covariance) -> None:
    theta, h = _thetas(c)[0], 1e-6
    exact = np.asarray(jax.jacfwd(c.factor)(jnp.asarray(theta)))
    for j in range(c.n_params):
        step = h * np.eye(c.n_params)[j]
        numeric = (c.factor_many((theta + step)[None]) - c.factor_many((theta - step)[None]))[0] / (2 * h)
        np.testing.assert_allclose(exact[..., j], numeric, atol=1e-8)


def test_a_known_matrix_is_compared_by_content_and_may_be_semidefinite() -> None:
    assert Known.of(KINSHIP) == Known.of(KINSHIP.copy()) != Known.of(np.eye(4))
    assert hash(Known.of(KINSHIP)) == hash(Known.of(KINSHIP.copy()))
    root = np.random.default_rng(3).normal(size=(5, 2))
    lower = Known.of(root @ root.T).lower
    np.testing.assert_allclose(lower @ lower.T, root @ root.T, atol=1e-12)
    assert (np.triu(lower, 1) == 0).all()


def test_one_divisor_makes_the_mean_variance_of_a_row_theta_squared() -> None:
    z = np.random.default_rng(4).normal(size=(50, 4))
    c = Known.of(KINSHIP)
    scaled = z / c.scales(np.sqrt((z**2).mean(axis=0)))
    # only the diagonal of the matrix enters: columns of an indicator do not overlap
    assert np.isclose((scaled**2 @ np.diag(KINSHIP)).mean(), 1.0)
