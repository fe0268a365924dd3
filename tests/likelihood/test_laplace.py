"""Laplace's approximation and quadrature against integrals computed the plain way; gradients against numeric ones."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

from mixflow.backend import jax, jnp
from mixflow.design import build
from mixflow.family import named
from mixflow.formula import parse
from mixflow.likelihood.generalised import zeros
from mixflow.likelihood.laplace import with_gradient
from mixflow.likelihood.quadrature import objective_of
from mixflow.optimise.glmm_prepare import observe_all, prepare, samples
from mixflow.optimise.modes import find_mode


def _table(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(["a", "b", "c", "d", "e"], [3, 7, 2, 5, 4])
    x = rng.normal(size=len(g))
    return pd.DataFrame(
        {"g": g, "h": rng.choice(["p", "q", "r"], len(g)), "x": x, "y": rng.poisson(2.0, len(g))}
    )


def _setup(formula: str, family: str, y: np.ndarray, table: pd.DataFrame, nodes: int = 1):
    design, one = build(parse(formula), table), build(parse("~ x"), table)
    prepared = prepare({"mu": design, "dispersion": one}, named(family), nodes)
    weight = np.ones(y.shape[:2])
    own = samples(prepared, y, weight, observe_all(prepared, y, weight))
    sample = jax.tree.map(lambda a: jnp.asarray(a[0]), own)
    shape, shared = prepared.shape, prepared.shared

    @jax.jit
    def at(psi):
        u, found = find_mode(shape, shared, sample, psi, zeros(shape))
        return with_gradient(objective_of(shape), shape, shared, sample, psi, u), found

    return prepared, at


CASES = [
    ("~ x + (x | g)", "poisson", 1),
    ("~ x + (1 | g) + (1 | h)", "nbinom2", 1),
    ("~ x + (1 | g)", "nbinom2", 5),
]


@pytest.mark.parametrize(("formula", "family", "nodes"), CASES)
def test_the_gradient_is_the_numeric_one(formula, family, nodes):
    table = _table()
    prepared, at = _setup(formula, family, table["y"].to_numpy(float)[None, :, None], table, nodes)
    psi = 0.3 + 0.2 * np.random.default_rng(1).normal(size=prepared.shape.n_psi)
    found, ok = at(psi)
    assert ok
    h = 1e-5
    for i, move in enumerate(h * np.eye(len(psi))):
        numeric = (at(psi + move)[0].value - at(psi - move)[0].value) / (2 * h)
        assert np.isclose(numeric, found.gradient[i], rtol=1e-6, atol=1e-6), i


def _dense(prepared, psi, table, log_f, crossed: bool):
    """-2 log-likelihood by Laplace's approximation with a dense Hessian by differences of nothing but logs."""
    design = prepared.designs[0]
    x = design.Q * np.sqrt(len(design.X))
    terms = {t.group: t for t in design.random}
    z = [np.equal.outer(t.index, np.arange(len(t.levels))).astype(float) for t in terms.values()]
    order = [g.name for g in prepared.layout.groups]
    sds = dict(zip(order, psi[2 : 2 + len(order)], strict=True))
    z = np.concatenate([sds[name] * own for name, own in zip(terms, z, strict=True)], axis=1)
    minus = lambda u: -log_f(x @ psi[:2] + z @ u).sum() + 0.5 * u @ u  # noqa: E731
    best = optimize.minimize(minus, np.zeros(z.shape[1]), method="BFGS", options={"gtol": 1e-9})
    w = np.exp(x @ psi[:2] + z @ best.x)  # the information of a Poisson row
    hessian = z.T @ (w[:, None] * z) + np.eye(z.shape[1])
    return 2 * best.fun + np.linalg.slogdet(hessian)[1]


def test_laplace_is_what_a_dense_computation_gives():
    table = _table(3)
    y = table["y"].to_numpy(float)
    prepared, at = _setup("~ x + (1 | g) + (1 | h)", "poisson", y[None, :, None], table)
    psi = np.array([0.5, 0.2, 0.6, 0.4])
    log_f = lambda eta: stats.poisson.logpmf(y, np.exp(eta))  # noqa: E731
    assert np.isclose(at(psi)[0].value, _dense(prepared, psi, table, log_f, True), atol=1e-7)


def test_quadrature_with_many_points_is_the_integral():
    table = _table(4)
    y = (table["y"] > 2).to_numpy(float)
    two = np.stack([y, 1 - y], axis=-1)[None]
    prepared, at = _setup("~ x + (1 | g)", "binomial", two, table, 31)
    psi = np.array([-0.3, 0.5, 1.7])
    design = prepared.designs[0]
    eta = (design.Q * np.sqrt(len(y))) @ psi[:2]
    total = 0.0
    for level in range(5):
        rows = design.random[0].index == level

        def density(u, rows=rows):
            p = special.expit(eta[rows] + psi[2] * u)
            return np.prod(np.where(y[rows] == 1, p, 1 - p)) * stats.norm.pdf(u)

        total += np.log(integrate.quad(density, -12, 12, epsabs=1e-13)[0])
    assert np.isclose(at(psi)[0].value, -2 * total, atol=1e-7)


def test_one_point_of_the_quadrature_is_laplace():
    table = _table(5)
    y = table["y"].to_numpy(float)[None, :, None]
    psi = np.array([0.5, 0.2, 0.8])
    from mixflow.likelihood.quadrature import quadrature

    prepared, at = _setup("~ x + (1 | g)", "poisson", y, table)
    weight = np.ones(y.shape[:2])
    sample = jax.tree.map(
        lambda a: jnp.asarray(a[0]), samples(prepared, y, weight, observe_all(prepared, y, weight))
    )
    u, _ = find_mode(prepared.shape, prepared.shared, sample, psi, zeros(prepared.shape))
    assert np.isclose(
        quadrature(prepared.shape, prepared.shared, sample, psi, u), at(psi)[0].value, atol=1e-9
    )
