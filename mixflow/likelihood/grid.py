"""What one feature's likelihood and coefficients are at given values of theta: for integrals over theta."""

from __future__ import annotations

from typing import NamedTuple

from mixflow.backend import Array, jax
from mixflow.design.layout import Layout
from mixflow.likelihood.exact import Gram, Pieces, beta_cov_root, pieces_of, system
from mixflow.linalg.arrow import factor
from mixflow.linalg.ldl import inverse, solve_unit_upper


class Places(NamedTuple):
    """Where to look: ``theta`` (G, q), and ``rows`` (r, p), combinations of the Gram's coefficients."""

    theta: Array
    rows: Array


class Seen(NamedTuple):
    """At each theta: the likelihood's pieces (G,), the combinations and their variance / sigma^2 (G, r)."""

    pieces: Pieces
    estimate: Array
    variance: Array


def evaluate(layout: Layout, gram: Gram, places: Places) -> Seen:
    """One feature at every theta of ``places``."""
    return jax.vmap(lambda theta: _at(layout, gram, theta, places.rows))(places.theta)


def _at(layout: Layout, gram: Gram, theta: jax.Array, rows: jax.Array) -> Seen:
    f = factor(system(layout, gram, theta))
    lower = f.corner_lower[:-1, :-1]
    gamma = solve_unit_upper(lower, f.corner_lower[-1, :-1][:, None])[layout.n_corner_effects :, 0]
    cov = inverse(*beta_cov_root(layout, f))
    return Seen(pieces_of(layout, f), rows @ gamma, ((rows @ cov) * rows).sum(axis=1))
