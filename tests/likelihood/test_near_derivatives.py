"""Derivatives from the arrow to second order are those of nested forward differentiation."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.api.fitting import residual_side
from mixflow.backend import jax, jnp
from mixflow.design import build
from mixflow.design.forms import FormBuilder
from mixflow.design.observed import observe
from mixflow.formula import parse
from mixflow.likelihood import near_derivatives, taylor
from mixflow.likelihood.data import Near
from mixflow.likelihood.exact import pieces
from mixflow.likelihood.near import near
from mixflow.optimise.fitting import data_of
from mixflow.optimise.prepare import prepare
from tests.optimise.test_by_forms import FRAME, _values

AR1 = ("ar1(visit | subject)", None)


@pytest.mark.parametrize(
    ("formula", "reml", "side"),
    [
        ("~ x + arm + (x | subject) + (1 | batch)", True, AR1),
        ("~ x + (1 | subject) + (1 | batch)", False, AR1),
        ("~ x + arm", True, AR1),
        ("~ x + (1 | batch)", True, AR1),
        ("~ x + (1 | subject)", True, (None, "~ site")),
    ],
)
def test_equal_nested_forward_derivatives(formula: str, reml: bool, side: tuple) -> None:
    """Blocks of one and of two effects, a corner, none of either, and a group that spans correlated rows."""
    design, values = build(parse(formula), FRAME, **residual_side(*side)), _values(4)
    prepared = prepare(design, reml)
    assert isinstance(prepared.builder, FormBuilder)
    layout = prepared.layout
    data = data_of(prepared, prepared.builder.build(values, observe(values, design.Q, design.R, None)))
    theta = layout.start + np.random.default_rng(3).normal(0, 0.3, (len(values), layout.n_theta))

    def both(own, at: jax.Array) -> tuple:
        about = near(layout, own, at)
        assert isinstance(about, Near)
        nested = taylor.expand(lambda t: pieces(layout, about, t), at)
        return nested, near_derivatives.expand(layout, about, at)

    told, ours = jax.jit(jax.vmap(both))(data, jnp.asarray(theta))
    for a, b in zip(jax.tree.leaves(told), jax.tree.leaves(ours), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(a).max()))
