"""Wald tests of contrasts for every feature, from a stored fit alone: a new contrast never refits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from mixflow.design import Design
from mixflow.inference.contrasts import Contrast
from mixflow.inference.df import one, several
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.tails import f_p_value, log10_p, p_value
from mixflow.model import Fit
from mixflow.status import FITTED, Status

ESTIMATED = [int(status) for status in FITTED]

SETTLED = 1e-8
"""A variance whose derivative by theta is below this share of it does not depend on theta."""


def test(
    fit: Fit,
    contrasts: Sequence[Contrast],
    *,
    adjust: str = "within",
    min_values: int = 0,
    observed: np.ndarray | None = None,
    level: float = 0.95,
    df: str = "satterthwaite",
    design: Design | None = None,
) -> dict[str, np.ndarray]:
    """Test every contrast for every feature; arrays named as the store's group ``tests``.

    t contrasts give (feature, contrast) arrays, F contrasts ``f_*`` (feature, omnibus) ones, in the order
    given. ``adjust``: Benjamini-Hochberg ``within`` each contrast or ``across`` the t contrasts.
    ``min_values``: observed values that the levels compared must have together, counted on ``observed``
    (N, n), the rows of the design. ``level``: confidence level. ``df``: a method of `mixflow.inference.df`;
    containment needs the ``design``.
    """
    single = [c for c in contrasts if c.kind == "t"]
    jointly = [c for c in contrasts if c.kind == "F"]
    columns = [_t_test(fit, c, min_values, observed, level, df, design) for c in single]
    out = {name: _stack(columns, name, len(fit.status)) for name in T_COLUMNS}
    out["status"] = out["status"].astype(np.int8)
    out["q_value"] = _adjust(out["p_value"], adjust)
    p = len(fit.coef_names)
    out["matrix"] = np.concatenate([c.L for c in single]) if single else np.zeros((0, p))
    if jointly:
        joint = [_f_test(fit, c, min_values, observed, df, design) for c in jointly]
        out |= {name: _stack(joint, name, len(fit.status)) for name in F_COLUMNS}
        out["f_status"] = out["f_status"].astype(np.int8)
        out["f_q_value"] = _adjust(out["f_p_value"], "within")
    return out


def joined(parts: Sequence[dict[str, np.ndarray]], adjust: str) -> dict[str, np.ndarray]:
    """What `test` found for parts of the features, as it finds it for all: false discovery rates are of all."""
    whole = {
        name: parts[0][name] if name == "matrix" else np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }
    whole["q_value"] = _adjust(whole["p_value"], adjust)
    if "f_p_value" in whole:
        whole["f_q_value"] = _adjust(whole["f_p_value"], "within")
    return whole


T_COLUMNS = (
    "estimate",
    "std_error",
    "df",
    "statistic",
    "p_value",
    "log10_p",
    "conf_low",
    "conf_high",
    "status",
)
F_COLUMNS = ("f_statistic", "f_df1", "f_df2", "f_p_value", "f_status")


def _stack(columns: list[dict[str, np.ndarray]], name: str, n: int) -> np.ndarray:
    return np.column_stack([c[name] for c in columns]) if columns else np.zeros((n, 0))


def _adjust(p: np.ndarray, adjust: str) -> np.ndarray:
    if adjust == "across":
        return benjamini_hochberg(p)
    return np.column_stack([benjamini_hochberg(column) for column in p.T]) if p.shape[1] else p.copy()


def _t_test(
    fit: Fit,
    contrast: Contrast,
    min_values: int,
    observed: np.ndarray | None,
    level: float,
    method: str,
    design: Design | None,
) -> dict[str, np.ndarray]:
    weights = contrast.L[0]
    variance, df = one(fit, contrast.L, method, design)
    estimate = fit.solution @ weights
    status = _status(fit, contrast, min_values, observed)
    usable = np.isin(status, ESTIMATED)
    known = (df > 0) & (np.isfinite(df) | _normal(fit, method))
    status[usable & ~((variance > 0) & known)] = Status.NO_CURVATURE
    good = np.isin(status, ESTIMATED)
    estimate, df = np.where(good, estimate, np.nan), np.where(good, df, np.nan)
    se = np.sqrt(np.where(good, variance, np.nan))
    t = estimate / se
    half = special.stdtrit(df, 0.5 + level / 2) * se
    return {
        "estimate": estimate,
        "std_error": se,
        "df": df,
        "statistic": t,
        "p_value": p_value(t, df),
        "log10_p": log10_p(t, df),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
        "status": status,
    }


def _f_test(
    fit: Fit,
    contrast: Contrast,
    min_values: int,
    observed: np.ndarray | None,
    method: str,
    design: Design | None,
) -> dict[str, np.ndarray]:
    """Joint test of the rows of L."""
    status = _status(fit, contrast, min_values, observed)
    good = np.isin(status, ESTIMATED)
    statistic, r, df = several(fit, contrast.L, method, design, good)
    status[good & ~((df > 0) & (np.isfinite(df) | _normal(fit, method)))] = Status.NO_CURVATURE
    good = np.isin(status, ESTIMATED)
    masked = {
        "f_statistic": statistic,
        "f_df1": r,
        "f_df2": df,
        "f_p_value": f_p_value(statistic, r, df),
    }
    return {name: np.where(good, a, np.nan) for name, a in masked.items()} | {"f_status": status}


def _normal(fit: Fit, method: str) -> bool:
    """Whether infinite df are an answer: z was asked for, or no residual variance is estimated."""
    return method == "z" or fit.sigma_known


def _status(fit: Fit, contrast: Contrast, min_values: int, observed: np.ndarray | None) -> np.ndarray:
    """The fit's status, unless the contrast is not estimable or rests on too few values. (N,)."""
    status = fit.status.copy()
    status[_settled(fit, contrast.L)] = Status.OK
    fitted = np.isin(status, ESTIMATED)
    lost = ~fit.can_estimate(contrast.L).all(axis=1)
    if min_values and observed is not None:
        values = observed[:, contrast.level_rows].sum(axis=1)
        status[fitted & (values < min_values)] = Status.TOO_FEW_VALUES_IN_CONTRAST
    # What rows cannot estimate they cannot, whether or not a variance is known.
    status[(fitted | (status == Status.NO_CURVATURE)) & lost] = Status.NOT_ESTIMABLE
    return status


def _settled(fit: Fit, rows: np.ndarray) -> np.ndarray:
    """Features without curvature in theta for which these contrasts do not hang on theta. Bool (N,).

    d Var / d theta = 2 theta a' Z Z' a for the estimate a' y: zero only if it compares within levels.
    """
    known = (fit.status == Status.NO_CURVATURE) & np.isfinite(fit.sigma)
    variance = rows @ fit.beta_cov @ rows.T
    slope = rows @ fit.beta_cov_deriv[:, :-1] @ rows.T
    largest = np.abs(slope).max(axis=(1, 2, 3), initial=0.0)
    return known & (largest <= SETTLED * np.abs(variance).max(axis=(1, 2)))
