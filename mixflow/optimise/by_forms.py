"""Which residual covariances are fitted from Grams by form (`covariance.Combination`), and not from rows.

Decided from the design alone, so that a feature's bytes do not depend on which others it is fitted with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixflow.covariance import AR1, Neighbours, OrnsteinUhlenbeck
from mixflow.design import Design
from mixflow.design.layout import Layout
from mixflow.design.neighbours import n_pairs, pairs

FLOATS = 4.0
"""Grams by form may hold so many times the numbers of the rows: theta costs a product for each, and no
factorisation of units."""

PRODUCTS = 2**23
"""Most products of two rows' columns that a builder may hold (a series of 1,000 rows has 500,000 pairs)."""


def layout(found: Layout, design: Design, lead: np.ndarray | None, place: np.ndarray) -> Layout:
    """``found`` with the combination of its residual side, where that is what the kernels shall see.

    ``lead`` (n, k): columns of the leading group as the kernels see them; ``place`` as `rows.lay_out` has it.
    """
    own, residual = design.residual, found.residual
    if own is None or residual is None or residual.n_dispersion:
        return found
    if not isinstance(residual.correlation, AR1 | OrnsteinUhlenbeck):
        return found
    width = found.k_leading * (found.k_leading + found.corner) + found.corner * (found.corner + 1) // 2
    if not 0 < n_pairs(place) * width <= PRODUCTS:
        return found
    gaps = tuple(pairs(place, own.where).gaps.tolist())
    level = lead is None or _constant(lead, own.unit)
    by_form = replace(
        found, residual=replace(residual, combination=Neighbours(residual.correlation, gaps, level))
    )
    return by_form if by_form.floats <= FLOATS * found.floats else found


def _constant(z: np.ndarray, unit: np.ndarray) -> bool:
    """Whether no column (n, k) varies within a unit (n,)."""
    _, first, which = np.unique(unit, return_index=True, return_inverse=True)
    return bool((z == z[first][which.ravel()]).all())
