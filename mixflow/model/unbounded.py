"""Parameters beside the mean that have no finite estimate: what is told of them, and what is computed with.

A negative binomial's size beside counts that are no more varied than a Poisson's, degrees of freedom of Student's t
beside Gaussian values, a chance of excess zeros beside none: the likelihood rises on and on, by ever less.
"""

from __future__ import annotations

import numpy as np

FAR = 30.0
"""A coefficient on a log or logit scale that stands for infinity: e^-30 is lost in rounding."""


def told(more: np.ndarray, more_cov: np.ndarray) -> np.ndarray:
    """``more`` (N, m) as tables tell it: infinite where there is an estimate and no standard error."""
    error = np.diagonal(more_cov, axis1=1, axis2=2)
    return np.where(np.isnan(error) & np.isfinite(more), np.copysign(np.inf, more), more)


def standing(more: np.ndarray) -> np.ndarray:
    """Coefficients (N, m) to compute predictors with: `FAR` in the place of infinity."""
    return np.where(np.isinf(more), np.copysign(FAR, more), more)
