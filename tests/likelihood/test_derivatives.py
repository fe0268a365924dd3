"""Closed-form derivatives of the likelihood against nested forward ones, for every covariance structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mixflow.backend import jax, jnp
from mixflow.covariance import (
    AR1,
    CompoundSymmetry,
    Diagonal,
    Homogeneous,
    Identity,
    Known,
    OrnsteinUhlenbeck,
    Structured,
    Unstructured,
)
from mixflow.design.layout import GroupBlock, Layout
from mixflow.likelihood import derivatives, taylor
from mixflow.likelihood.data import Gram
from mixflow.likelihood.exact import pieces

TIMES = (0.0, 1.0, 2.5)
ROOT = np.random.default_rng(1).normal(size=(6, 6))


def _groups() -> Iterator[tuple[str, tuple[GroupBlock, ...]]]:
    block = lambda name, n, *effects: GroupBlock(name, n, effects)  # noqa: E731
    one, two = Unstructured(1), Unstructured(2)
    yield "intercept", (block("a", 9, one),)
    yield "slope and batch", (block("a", 9, two), block("b", 4, one))
    yield "crossed slopes", (block("a", 5, Unstructured(3)), block("b", 2, two), block("c", 3, one))
    yield "diagonal", (block("a", 6, Diagonal(2)), block("b", 5, one, one))
    yield "many columns", (block("a", 4, Diagonal(5)),)
    yield "identity", (block("a", 6, Identity(1)), block("b", 3, one))
    yield "kinship", (block("a", 1, Known.of(ROOT @ ROOT.T)), block("b", 1, Known.of(ROOT @ ROOT.T)))
    yield "smooth", (block("a", 5, one), block("s", 2, Homogeneous(6)))
    yield "large corner", (block("a", 30, one), block("b", 40, one))
    for correlation, hetero in ((AR1(3), True), (OrnsteinUhlenbeck(3), False), (CompoundSymmetry(3), True)):
        structured = Structured(3, correlation, TIMES, hetero)
        yield f"{type(correlation).__name__} {hetero}", (block("a", 6, structured),)


GROUPS = dict(_groups())


def _gram(layout: Layout, weighted: bool, dependent: bool) -> Gram:
    """Cross-products of random rows; missing ones, weights, and an inert direction of X where asked."""
    rng, n = np.random.default_rng(7), 150
    weight = rng.uniform(0.5, 2.0, n) if weighted else np.ones(n)
    weight = weight * (rng.random(n) > 0.1)
    z = []
    for group in layout.groups:
        level = rng.integers(0, group.n_levels, n)
        own = np.zeros((n, group.n_levels, group.size))
        own[np.arange(n), level] = rng.normal(size=(n, group.size))
        z.append(own.reshape(n, -1))
    x = np.linalg.qr(rng.normal(size=(n, layout.n_coef)))[0]
    if dependent:
        x[:, -1] = 0.0
    y = rng.normal(size=n) + sum(a @ rng.normal(size=a.shape[1]) for a in z)
    rest = np.concatenate([*z[1:], x, y[:, None]], axis=1)
    both = np.concatenate([z[0], rest], axis=1)
    cross = (both * weight[:, None]).T @ both
    k, levels, width = layout.k_leading, layout.n_leading, z[0].shape[1]
    blocks = [cross[i * k : (i + 1) * k, i * k : (i + 1) * k] for i in range(levels)]
    corner = cross[width:, width:]
    if dependent:
        corner[-2, -2] = 1.0
    border = cross[:width, width:].reshape(levels, k, -1)
    return Gram(np.array(blocks), border, corner, float((weight > 0).sum()))


@pytest.mark.parametrize(("name", "reml"), [*((name, True) for name in GROUPS), ("slope and batch", False)])
def test_closed_forms_equal_forward_derivatives(name: str, reml: bool) -> None:
    weighted, dependent = reml, not reml
    layout = Layout(GROUPS[name], 3, reml)
    gram = _gram(layout, weighted, dependent)
    theta = np.random.default_rng(2).uniform(-1.2, 1.2, layout.n_theta)
    closed = jax.jit(lambda t: derivatives.closed(layout, gram, t))
    forward = jax.jit(lambda t: taylor.expand(lambda u: pieces(layout, gram, u), t))
    for at in (theta, np.where(layout.boundary, 0.0, theta), np.zeros(layout.n_theta), layout.start):
        for found, expected in zip(jax.tree.leaves(closed(at)), jax.tree.leaves(forward(at)), strict=True):
            scale = np.abs(expected).max(initial=1e-3)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


def test_zero_is_stationary_to_the_last_bit() -> None:
    layout = Layout(GROUPS["slope and batch"], 3, True)
    gram = _gram(layout, True, False)
    _, gradient, _ = jax.jit(lambda t: derivatives.closed(layout, gram, t))(jnp.zeros(layout.n_theta))
    assert all((np.asarray(a) == 0).all() for a in gradient)
