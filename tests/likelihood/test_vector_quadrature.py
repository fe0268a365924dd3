"""Quadrature over several effects of a level against integrals taken the plain way; penalties against their words."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from mixflow.backend import jax, jnp
from mixflow.design import build
from mixflow.family import named
from mixflow.formula import parse
from mixflow.likelihood.generalised import zeros
from mixflow.likelihood.penalty import penalty
from mixflow.likelihood.quadrature import _grid, quadrature
from mixflow.optimise.glmm_prepare import observe_all, prepare, samples
from mixflow.optimise.glmm_prior import Prior, penalised
from mixflow.optimise.modes import find_mode

PSI = np.array([-0.3, 0.5, 1.4, 0.6, 0.9])  # beta, Lambda by columns


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g = np.repeat(["a", "b", "c"], [4, 6, 3])
    return pd.DataFrame({"g": g, "x": rng.normal(size=len(g)), "y": rng.integers(0, 2, len(g)).astype(float)})


def _value(table: pd.DataFrame, nodes: int) -> float:
    design = build(parse("~ x + (x | g)"), table)
    prepared = prepare({"mu": design}, named("binomial"), nodes)
    y = table["y"].to_numpy()
    two, weight = np.stack([y, 1 - y], axis=-1)[None], np.ones((1, len(y)))
    own = samples(prepared, two, weight, observe_all(prepared, two, weight))
    sample = jax.tree.map(lambda a: jnp.asarray(a[0]), own)
    shape, shared = prepared.shape, prepared.shared

    @jax.jit
    def at(psi):
        u, _ = find_mode(shape, shared, sample, psi, zeros(shape))
        return quadrature(shape, shared, sample, psi, u)

    return float(at(jnp.asarray(PSI)))


def _dense(table: pd.DataFrame) -> float:
    """The integral over (u1, u2) of every level by a fine grid over [-9, 9]^2."""
    design, y = build(parse("~ x + (x | g)"), table), table["y"].to_numpy()
    fixed = design.Q * np.sqrt(len(y)) @ PSI[:2]
    z = design.random[0].Z / np.sqrt((design.random[0].Z ** 2).mean(axis=0))
    factor = np.array([[PSI[2], 0.0], [PSI[3], PSI[4]]])
    points = np.linspace(-9, 9, 361)
    u = np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 2)
    prior, total = stats.norm.pdf(u).prod(axis=1) * (points[1] - points[0]) ** 2, 0.0
    for level in range(3):
        rows = design.random[0].index == level
        eta = fixed[rows] + (u @ factor.T) @ z[rows].T
        total += np.log((np.prod(special.expit(np.where(y[rows] == 1, eta, -eta)), axis=1) * prior).sum())
    return -2 * total


def test_many_points_are_the_double_integral(table):
    dense = _dense(table)
    off = [abs(_value(table, nodes) - dense) for nodes in (1, 5, 21)]
    assert off[0] > 0.01  # Laplace is not
    assert off[1] < 0.1 * off[0]
    assert off[2] < 1e-6


def test_the_product_grid_integrates_polynomials():
    grid, log_weight = _grid(4, 2)
    assert grid.shape == (16, 2)
    moment = (np.exp(log_weight) * grid[:, 0] ** 4 * grid[:, 1] ** 2).sum()
    assert np.isclose(moment, 3.0)


def test_a_normal_prior_sees_centred_and_scaled_columns(table):
    design = build(parse("~ x"), table.assign(x=100 + 7 * table["x"]))
    prepared = penalised(prepare({"mu": design}, named("binomial")), Prior(sd=2.0))
    y = table["y"].to_numpy()
    two, weight = np.stack([y, 1 - y], axis=-1)[None], np.ones((1, len(y)))
    own = samples(prepared, two, weight, observe_all(prepared, two, weight))
    sample = jax.tree.map(lambda a: jnp.asarray(a[0]), own)
    beta = np.array([3.0, 0.4])  # as the user knows them
    psi = design.R @ beta / np.sqrt(len(y))
    found = penalty(prepared.shape, prepared.shared, sample, jnp.asarray(psi))
    assert np.isclose(found, (0.4 * design.X[:, 1].std() / 2.0) ** 2)
