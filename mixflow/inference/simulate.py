"""New values from a fitted model: random effects and residuals drawn afresh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixflow.design import Design
from mixflow.inference.random_numbers import normals
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import effect_columns, fixed_part, modes_part, residual_root
from mixflow.model import Fit
from mixflow.optimise.prepare import Prepared, prepare


def simulate(
    fitted: Fitted,
    seed: int,
    replicates: Sequence[int] | int = 1,
    *,
    conditional: bool = False,
    prepared: Prepared | None = None,
) -> np.ndarray:
    """Draw y from the fitted model. (N, replicates, n), NaN where a feature was not observed or not fitted.

    New random effects and residuals (variance sigma^2 / weight), as lme4's `simulate`; ``conditional`` keeps
    the random effects at their conditional modes. ``replicates``: how many, or the numbers of those wanted:
    replicate r of a feature depends on the seed, the feature's id and r alone.
    """
    fit, design = fitted.fit, fitted.design
    prepared = prepared or prepare(design, fit.reml)
    wanted = np.arange(replicates) if isinstance(replicates, int) else np.asarray(replicates)
    count, rows = len(wanted), len(design.X)
    widths = [group.n_levels * group.size for group in prepared.layout.groups]
    size = rows + (0 if conditional else sum(widths))
    ids = np.repeat(fit.feature_ids, count)
    draws = normals(seed, ids, np.tile(wanted, len(fit.feature_ids)), size).reshape(-1, count, size)
    root = 1.0 if fitted.recipe.weights is None else np.sqrt(fitted.recipe.weights)
    with np.errstate(divide="ignore"):
        unit = (fit.sigma[:, None] / root * np.ones((1, rows)))[:, None, :]
    noise = residual_root(fit, design, prepared.layout, draws[:, :, :rows])
    total = fixed_part(fit, design)[:, None, :] + unit * noise
    if conditional:
        total += modes_part(fit, design, prepared.layout)[:, None, :]
    else:
        total += _new_effects(fit, design, prepared, draws[:, :, rows:])
    return np.where(fitted.observed[:, None, :] & fit.fitted[:, None, None], total, np.nan)


def _new_effects(fit: Fit, design: Design, prepared: Prepared, u: np.ndarray) -> np.ndarray:
    """Z Lambda u sigma on the design's rows. u (N, R, effects) -> (N, R, n)."""
    total = np.zeros((*u.shape[:2], len(design.X)))
    theta, first = np.nan_to_num(fit.theta), 0
    for group, index, columns in effect_columns(design, prepared.layout):
        place = 0
        for effect, part in [(effect, part) for g, effect, part in prepared.layout.slices if g is group]:
            factor = effect.factor_many(theta[:, part]) * fit.sigma[:, None, None]
            width = group.n_levels * effect.size
            draw = u[:, :, first : first + width].reshape(*u.shape[:2], group.n_levels, effect.size)
            for i in range(effect.size):
                # Entry by entry: sums in an order that does not depend on the number of features.
                b = np.zeros(draw.shape[:3])
                for j in range(effect.size):
                    b += draw[..., j] * factor[:, None, None, i, j]
                total += b[:, :, index] * columns[:, place + i]
            place, first = place + effect.size, first + width
    return total
