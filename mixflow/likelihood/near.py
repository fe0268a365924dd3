"""Grams by form about one theta, so that derivatives of the likelihood there cost no sum over the forms."""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.design.layout import Layout
from mixflow.likelihood.data import Basis, Data, Near, weighted
from mixflow.likelihood.taylor import second_order


def near(layout: Layout, data: Data, theta: jax.Array) -> Data:
    """The data about theta, for two derivatives there: a `Basis` to second order, else what it is."""
    if not isinstance(data, Basis):
        return data
    assert layout.residual is not None and layout.residual.combination is not None
    forms, at = layout.residual.combination, theta[layout.residual_part]
    stacked = lambda found: jnp.concatenate([p.reshape(p.shape[0], -1) for p in found], axis=1).T  # noqa: E731
    c = stacked(second_order(forms.coefficients, at))
    logs = stacked(second_order(forms.log_factors, at))
    lead, corner = weighted(c, data)
    return Near(at, lead, corner, logs @ data.counts, data.dof, data.sigma2)
