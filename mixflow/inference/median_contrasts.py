"""Contrasts against their median over features: what stands out from what all features share.

Counts of a composition add up to a total: where one taxon grows, the shares of all others fall, each by the same
factor. A contrast of log abundances is then the taxon's own change plus that shift, and the median over taxa
estimates the shift as long as fewer than half of them change. The test is that of MaAsLin 3 (Nickols and others
2024; `median_comparison_abundance` in its package).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.tails import p_value

NEARLY_NULL = 0.95
"""Contrasts with p above this take no part in the median, as in MaAsLin 3: exact zeros of features without data."""
FEWEST = 3
"""Features that a median needs."""


def against_median(
    estimate: np.ndarray, std_error: np.ndarray, df: np.ndarray, variance: bool = True, level: float = 0.95
) -> dict[str, np.ndarray]:
    """Test b_f - median(b) = 0 for each feature of one contrast. All arrays (N,).

    ``variance``: the standard error is that of the difference, sqrt(s_f^2 + v - 2 c_f): v = pi / 2 var(b) / n is the
    median's asymptotic variance, c_f = s_f^2 phi_f / sum phi its covariance with b_f, phi_i the density of
    N(b_i, s_i^2) at the median (MaAsLin 3 simulates that covariance; this is what its simulation converges to);
    else s_f alone, the median taken as known. Degrees of freedom are the contrast's own. Raises nothing: NaN
    where the feature has no estimate, or fewer than three features have one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        own = p_value(estimate / std_error, df)
    known = np.isfinite(estimate) & (std_error > 0)
    used = known & (own < NEARLY_NULL)
    if used.sum() < FEWEST:
        nan = np.full(len(estimate), np.nan)
        return dict.fromkeys(
            ("median", "difference", "difference_se", "p_value", "conf_low", "conf_high"), nan
        ) | {
            "p_zero": np.where(known, own, np.nan),
            "q_value": nan,
        }
    median = float(np.median(estimate[used]))
    difference = np.where(known, estimate - median, np.nan)
    se = _error(estimate, std_error, used, median) if variance else std_error
    se = np.where(known, se, np.nan)
    p = p_value(difference / se, df)
    limit = stats.t.isf((1 - level) / 2, df)
    return {
        "median": np.where(known, median, np.nan),
        "difference": difference,
        "difference_se": se,
        "p_value": p,
        "q_value": benjamini_hochberg(p),
        "conf_low": difference - limit * se,
        "conf_high": difference + limit * se,
        "p_zero": np.where(known, own, np.nan),
    }


def _error(estimate: np.ndarray, std_error: np.ndarray, used: np.ndarray, median: float) -> np.ndarray:
    """Standard errors of b_f - median (N,); features out of the median have no covariance with it."""
    of_median = np.pi / 2 * estimate[used].var(ddof=1) / used.sum()
    covariance = np.where(used, covariances(estimate, std_error, used, median), 0.0)
    with np.errstate(invalid="ignore"):
        variance = std_error**2 + of_median - 2 * covariance
        # With a handful of features both are approximations that need not go together.
        return np.sqrt(np.maximum(variance, 1e-12 * std_error**2))


def covariances(estimate: np.ndarray, std_error: np.ndarray, used: np.ndarray, median: float) -> np.ndarray:
    """Covariance of each estimate with the median of those ``used`` (N,): s_f^2 times its share of the density."""
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(used, stats.norm.pdf(median, estimate, std_error), 0.0)
    total = density.sum()
    # All standard errors tiny beside their distances: the median is then one estimate, or between two of them.
    share = density / total if total > 0 else np.zeros(len(density))
    return np.where(used, std_error**2, 0.0) * share
