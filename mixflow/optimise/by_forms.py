"""Which residual covariances are fitted from Grams by form (`covariance.Combination`), and not from rows.

Decided from the design alone, so that a feature's bytes do not depend on which others it is fitted with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixflow.covariance import AR1, Combination, Neighbours, OrnsteinUhlenbeck, Spread
from mixflow.design import Design
from mixflow.design.forms import FormBuilder
from mixflow.design.layout import Layout
from mixflow.design.neighbours import NeighbourBuilder, n_pairs, pairs
from mixflow.design.residual import ResidualColumns
from mixflow.design.rows import RowBuilder
from mixflow.design.spread import SpreadBuilder, kinds

FLOATS = 4.0
"""Grams by form may hold so many times the numbers of the rows: theta costs a product for each, and no
factorisation of units."""

PRODUCTS = 2**23
"""Most products of two rows' columns that a builder may hold (a series of 1,000 rows has 500,000 pairs)."""


def layout(
    found: Layout, design: Design, lead: np.ndarray | None, place: np.ndarray, dispersion: np.ndarray
) -> Layout:
    """``found`` with the combination of its residual side, where that is what the kernels shall see.

    ``lead`` (n, k): columns of the leading group, and ``dispersion`` (n, d), as the kernels see them; ``place`` as
    `rows.lay_out` has it.
    """
    if found.residual is None or design.residual is None:
        return found
    forms = _combination(found, design.residual, lead, place, dispersion)
    by_form = replace(found, residual=replace(found.residual, combination=forms))
    return by_form if by_form.floats <= FLOATS * found.floats else found


def builder(rows: RowBuilder, groups: list[tuple[np.ndarray, np.ndarray]]) -> FormBuilder | RowBuilder:
    """The builder of such a layout; ``rows`` where it has no combination."""
    assert rows.layout.residual is not None
    forms = rows.layout.residual.combination
    if isinstance(forms, Neighbours):
        return NeighbourBuilder.of(rows, groups, forms.level)
    return SpreadBuilder.of(rows, groups) if isinstance(forms, Spread) else rows


def _combination(
    found: Layout, own: ResidualColumns, lead: np.ndarray | None, place: np.ndarray, dispersion: np.ndarray
) -> Combination | None:
    """What theta makes R^-1 of, if it is a sum of forms at all."""
    if own.correlation is None:
        return Spread(tuple(map(tuple, kinds(dispersion)[0].tolist())))
    if dispersion.shape[1] or not isinstance(own.correlation, AR1 | OrnsteinUhlenbeck):
        return None
    width = found.k_leading * (found.k_leading + found.corner) + found.corner * (found.corner + 1) // 2
    if not 0 < n_pairs(place) * width <= PRODUCTS:
        return None
    gaps = tuple(pairs(place, own.where).gaps.tolist())
    return Neighbours(own.correlation, gaps, lead is None or _constant(lead, own.unit))


def _constant(z: np.ndarray, unit: np.ndarray) -> bool:
    """Whether no column (n, k) varies within a unit (n,)."""
    _, first, which = np.unique(unit, return_index=True, return_inverse=True)
    return bool((z == z[first][which.ravel()]).all())
