"""Natural parameters of structured covariances (rho, phi, ratios of standard deviations) from theta."""

from __future__ import annotations

import numpy as np

from mixflow.covariance import Structured
from mixflow.design import Design
from mixflow.design.layout import Layout
from mixflow.optimise.prepare import Prepared


def theta_names(design: Design, prepared: Prepared) -> tuple[str, ...]:
    """Names of theta: the random effects' in the order of the layout, then the residual side's."""
    own = tuple(name for effect in prepared.effects for name in effect.theta_names)
    return own + (design.residual.names if design.residual else ())


def structure_names(design: Design, prepared: Prepared) -> tuple[str, ...]:
    """Names of what `structure` gives."""
    found: list[str] = []
    for effect in prepared.effects:
        if isinstance(effect.within, Structured):
            found += effect.theta_names[effect.within.n_sds :]
    return (*found, *(design.residual.names if design.residual else ()))


def n_structure(layout: Layout) -> int:
    """How many natural parameters there are."""
    own = sum(e.correlation.n_params for _, e, _ in layout.slices if isinstance(e, Structured))
    return own + layout.n_theta - layout.n_random


def structure(layout: Layout, theta: np.ndarray) -> np.ndarray:
    """Natural parameters of many theta (user's units), NaN where a zero variance hides them. (N, s)."""
    parts = [np.zeros((len(theta), 0))]
    for _, effect, part in layout.slices:
        if isinstance(effect, Structured):
            own = effect.correlation.natural(theta[:, part][:, effect.n_sds :])
            hidden = (theta[:, part.start] == 0) & (not effect.hetero)
            parts.append(np.where(hidden[:, None], np.nan, own))
    if layout.residual:
        parts.append(layout.residual.natural(theta[:, layout.residual_part]))
    return np.concatenate(parts, axis=1)
