"""LDL' and the block arrow against dense algebra, unrolled and looped."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.backend import jnp
from mixflow.linalg import ldl as module
from mixflow.linalg.arrow import Arrow, factor, solve_blocks


def _positive(n: int, seed: int = 0) -> np.ndarray:
    a = np.random.default_rng(seed).normal(size=(n + 3, n))
    return a.T @ a


@pytest.mark.parametrize("n", [1, 2, 5, module.UNROLL, module.UNROLL + 1, module.PANEL, 2 * module.PANEL + 5])
def test_ldl_solves_and_inverts(n: int) -> None:
    a = _positive(n)
    lower, pivots = map(np.asarray, module.ldl(jnp.asarray(a)))
    np.testing.assert_allclose(lower @ np.diag(pivots) @ lower.T, a, rtol=1e-9, atol=1e-8)
    assert (np.diag(lower) == 1).all()
    assert (np.triu(lower, 1) == 0).all()
    b = np.random.default_rng(1).normal(size=(n, 3))
    solve = module.solve_unit_lower(jnp.asarray(lower), jnp.asarray(b))
    np.testing.assert_allclose(lower @ np.asarray(solve), b, atol=1e-9)
    solve = module.solve_unit_upper(jnp.asarray(lower), jnp.asarray(b))
    np.testing.assert_allclose(lower.T @ np.asarray(solve), b, atol=1e-9)
    inverse = module.inverse(jnp.asarray(lower), jnp.asarray(pivots))
    np.testing.assert_allclose(np.asarray(inverse) @ a, np.eye(n), atol=1e-6)


def test_unrolled_equals_looped(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = jnp.asarray(_positive(6)), jnp.asarray(np.random.default_rng(2).normal(size=(6, 2)))
    unrolled = (*module.ldl(a), module.solve_unit_lower(module.ldl(a)[0], b))
    monkeypatch.setattr(module, "UNROLL", 0)
    looped = (*module.ldl(a), module.solve_unit_lower(module.ldl(a)[0], b))
    for one, other in zip(unrolled, looped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("levels", "k", "m"), [(4, 1, 3), (5, 2, 4), (3, 3, 12), (0, 1, 4)])
def test_arrow_equals_dense(levels: int, k: int, m: int) -> None:
    n = levels * k
    dense = _positive(n + m, 3)
    for level in range(levels):
        own = slice(level * k, (level + 1) * k)
        keep = np.zeros(n, dtype=bool)
        keep[own] = True
        dense[own, :n] = dense[own, :n] * keep
    dense[:n, :n] += 5 * np.eye(n)
    dense[n:, n:] += 5 * np.eye(m)
    blocks = np.array([dense[i * k : (i + 1) * k, i * k : (i + 1) * k] for i in range(levels)])
    arrow = Arrow(
        jnp.asarray(blocks.reshape(levels, k, k)),
        jnp.asarray(dense[:n, n:].reshape(levels, k, m)),
        jnp.asarray(dense[n:, n:]),
    )
    f = factor(arrow)
    log_det = np.log(np.asarray(f.block_pivots)).sum() + np.log(np.asarray(f.corner_pivots)).sum()
    assert log_det == pytest.approx(np.linalg.slogdet(dense)[1])
    lower, pivots = np.asarray(f.corner_lower), np.asarray(f.corner_pivots)
    schur = dense[n:, n:] - dense[n:, :n] @ np.linalg.solve(dense[:n, :n] + 0.0, dense[:n, n:])
    np.testing.assert_allclose(lower @ np.diag(pivots) @ lower.T, schur, atol=1e-9)
    if levels:
        solved = np.asarray(solve_blocks(f, arrow.border)).reshape(n, m)
        np.testing.assert_allclose(dense[:n, :n] @ solved, dense[:n, n:], atol=1e-9)


def test_a_matrix_that_is_not_positive_shows_in_its_pivots() -> None:
    assert (np.asarray(module.ldl(jnp.asarray(np.diag([1.0, -2.0, 3.0])))[1]) < 0).any()
