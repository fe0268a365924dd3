"""Parametric bootstrap over features x replicates: all simulated rows of a chunk are fitted in one run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.inference.family_simulate import simulate as simulate_family
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.quantities import estimates, table
from mixflow.inference.refit import Fitted
from mixflow.inference.simulate import simulate
from mixflow.model import Fit
from mixflow.optimise.natural import COEFFICIENT, CORRELATION, STD_DEV, Natural

ROWS = 20_000
"""Simulated rows fitted at once, at most (at least all replicates of one feature)."""
FAMILY_ROWS = 4_000
"""The same of generalised models."""

FEWEST = 20
"""Replicates that must have succeeded for a limit to be given."""

KINDS = ("percentile", "basic")


def bootstrap(
    fitted: Fitted | FittedFamily,
    wanted: list[Natural],
    level: float,
    *,
    replicates: int = 500,
    seed: int = 1,
    kind: str = "percentile",
) -> pd.DataFrame:
    """Parametric bootstrap limits (Davison and Hinkley 1997, sections 2.4 and 5.2), as lme4's `bootMer`.

    ``kind``: percentile (quantiles of the replicates) or basic (twice the estimate less these, cut at the end
    of the range). The columns ``replicates`` and ``failed`` beside those of intervals count those asked for and
    those without an estimate (not fitted; for a correlation also those with a variance of zero).
    """
    drawn = replicate_estimates(fitted, wanted, replicates, seed)
    good = np.isfinite(drawn).sum(axis=1)
    tail = (1 - level) / 2
    quantiles = np.full((2, *good.shape), np.nan)
    for i, j in zip(*np.nonzero(good >= FEWEST), strict=True):
        own = drawn[i, :, j]
        quantiles[:, i, j] = np.quantile(own[np.isfinite(own)], [tail, 1 - tail], method="weibull")
    low, high = quantiles
    if kind == "basic":
        centre = estimates(fitted.fit, wanted)
        ends = np.array([_range(name) for name in wanted]).T
        low, high = np.clip(2 * centre - high, *ends), np.clip(2 * centre - low, *ends)
    hidden = np.array([name.quantity == CORRELATION for name in wanted]) & np.isnan(
        estimates(fitted.fit, wanted)
    )
    low, high = np.where(hidden, np.nan, low), np.where(hidden, np.nan, high)
    status = np.where(hidden, "not defined", np.where(np.isfinite(low), "ok", "too few replicates"))
    out = table(fitted.fit, wanted, low, high, f"bootstrap ({kind})", status)
    fine = np.repeat(fitted.fit.fitted, len(wanted))
    counts = np.where(fine, replicates - good.ravel(), 0)
    return out.assign(replicates=np.where(fine, replicates, 0), failed=counts)


def _range(name: Natural) -> tuple[float, float]:
    by_quantity = {STD_DEV: (0.0, np.inf), CORRELATION: (-1.0, 1.0), COEFFICIENT: (-np.inf, np.inf)}
    return by_quantity.get(name.quantity, (-np.inf, np.inf))


def replicate_estimates(
    fitted: Fitted | FittedFamily, wanted: list[Natural], replicates: int, seed: int
) -> np.ndarray:
    """Estimates of ``wanted`` in every replicate. (N, replicates, m), NaN where a replicate has none."""
    n = len(fitted.fit.status)
    out = np.full((n, replicates, len(wanted)), np.nan)
    run = np.flatnonzero(fitted.fit.fitted)
    at_once = FAMILY_ROWS if isinstance(fitted, FittedFamily) else ROWS
    each = max(1, at_once // max(replicates, 1))
    for first in range(0, len(run), each):
        rows = run[first : first + each]
        found = _refitted(fitted, rows, replicates, seed)
        out[rows] = estimates(found, wanted).reshape(len(rows), replicates, -1)
    return out


def _refitted(fitted: Fitted | FittedFamily, rows: np.ndarray, replicates: int, seed: int) -> Fit:
    """The model fitted to all replicates of some features."""
    of = np.repeat(rows, replicates)
    if isinstance(fitted, FittedFamily):
        drawn = simulate_family(fitted.take(rows), seed, replicates)
        return fitted.fit_values(drawn.reshape(len(of), *drawn.shape[2:]), of)
    values = simulate(fitted.take(rows), seed, replicates).reshape(len(of), -1)
    return fitted.fit_values(fitted.design, values, reml=fitted.fit.reml, rows=of)
