"""Smooths of a fit: effective degrees of freedom, curves with pointwise intervals, and tests.

As mgcv (Wood 2017, Generalized Additive Models, sections 6.1 and 6.10-6.12): a smooth's effective df is the
trace of its block of (C'R^-1 C + S)^-1 C'R^-1 C; its intervals rest on the posterior covariance, which gives
them close to nominal coverage across the curve (Nychka 1988; Marra and Wood 2012), not at each point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixflow.design import Design
from mixflow.design.smooth import SmoothBasis
from mixflow.errors import MixflowError, Problem
from mixflow.inference.family_joint import FamilyHenderson
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.joint import Henderson, Joint
from mixflow.inference.lrt import table as likelihood_ratio
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.nested import Nesting
from mixflow.inference.refit import Fitted
from mixflow.inference.smooth_test import smooth_test
from mixflow.status import MEANING, Status

EDF_COLUMNS = {
    "feature": "feature",
    "smooth": "the smooth as written, e.g. s(age)",
    "level": "level of the factor it is taken by; empty where there is none",
    "edf": "effective degrees of freedom: 1 is a straight line, k - 1 an unpenalised spline",
    "edf_largest": "k - 1, the largest that edf can be",
    "variance": "mean variance of the curve about its straight line (squared unit of the feature)",
    "share": "share of that variance in the variance given the fixed effects",
    "statistic": "Wald statistic of the whole smooth",
    "p_value": "p that the whole smooth is zero: no effect at all (Wood 2013)",
    "q_value": "Benjamini-Hochberg over the features of p_value",
    "p_curved": "p that the smooth is more than a straight line (likelihood ratio, boundary mixture)",
    "q_curved": "Benjamini-Hochberg over the features of p_curved",
    "status": "how the fit ended",
}
CURVE_COLUMNS = {
    "feature": "feature",
    "smooth": "the smooth as written, e.g. s(age)",
    "level": "level of the factor it is taken by; empty where there is none",
    "x": "value of the smoothed variable",
    "estimate": "the smooth there, with mean zero over the samples (unit of the feature)",
    "std_error": "its standard error",
    "conf_low": "lower pointwise limit",
    "conf_high": "upper pointwise limit",
}
KNOWN_SCALE = 1e8
"""Denominator df where no scale is estimated: F is chi-squared over its df, to eight digits."""


@dataclass(frozen=True, eq=False)
class Part:
    """A smooth in one level: ``fixed`` its coefficients' numbers, ``level`` its number among those of by."""

    basis: SmoothBasis
    label: str
    level: int
    fixed: np.ndarray


def parts(design: Design) -> list[Part]:
    """Every smooth of the design, in each level of its factor."""
    if not design.smooths:
        remedy = "Write s(x) in it, such as ~ s(age) + (1 | subject)."
        raise MixflowError(Problem("The formula has no smooth", value=design.terms.text, remedy=remedy))
    found = []
    for basis in design.smooths:
        names = basis.straight_names
        places = np.array([design.coef_names.index(name) for name in names])
        if basis.levels:
            found += [Part(basis, level, i, places[i : i + 1]) for i, level in enumerate(basis.levels)]
        else:
            found.append(Part(basis, "", 0, places))
    return found


def rows_at(part: Part, effects: Joint, x: np.ndarray) -> np.ndarray:
    """Weights (m, p + u) that give the smooth at ``x`` (m,); of a number's coefficient: that coefficient."""
    rows = np.zeros((len(x), len(effects.effects)))
    line = x - part.basis.centre
    rows[:, part.fixed] = (
        np.column_stack([np.ones_like(line), line]) if part.basis.by_number else line[:, None]
    )
    name = part.basis.name
    rows[:, effects.place[name][part.level]] = part.basis.penalised(x) @ effects.factor[name]
    return rows


def equations_of(fitted: Fitted | FittedFamily) -> Henderson | FamilyHenderson:
    """The equations of a fit's effects, of whatever family it is."""
    return FamilyHenderson(fitted) if isinstance(fitted, FittedFamily) else Henderson(fitted)


def curves(fitted: Fitted | FittedFamily, points: int = 50, level: float = 0.95) -> pd.DataFrame:
    """Every smooth of every fitted feature at ``points`` values over the range of x (see `CURVE_COLUMNS`)."""
    tables = []
    found, half, equations = parts(fitted.design), ndtri(0.5 + level / 2), equations_of(fitted)
    for i in np.flatnonzero(fitted.fit.fitted).tolist():
        effects = equations.joint(i)
        for part in found:
            x = _grid(part, fitted.design, points)
            rows = rows_at(part, effects, x)
            estimate, se = rows @ effects.effects, np.sqrt(((rows @ effects.cov) * rows).sum(axis=1))
            if not _estimable(fitted, i, part):
                estimate, se = np.full(points, np.nan), np.full(points, np.nan)
            row = {
                "feature": fitted.fit.feature_ids[i],
                "smooth": part.basis.name,
                "level": part.label,
                "x": x,
            }
            limits = {"conf_low": estimate - half * se, "conf_high": estimate + half * se}
            tables.append(pd.DataFrame(row | {"estimate": estimate, "std_error": se} | limits))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(CURVE_COLUMNS))


def smooth_edf(fitted: Fitted | FittedFamily) -> pd.DataFrame:
    """Effective df and tests of every smooth, one row a feature, smooth and level (see `EDF_COLUMNS`)."""
    fit, found, equations = fitted.fit, parts(fitted.design), equations_of(fitted)
    numbers = np.full((len(found), 3, len(fit.status)), np.nan)
    for i in np.flatnonzero(fit.fitted).tolist():
        effects = equations.joint(i)
        for number, part in enumerate(found):
            if _estimable(fitted, i, part):
                numbers[number, :, i] = _edf_and_test(part, effects)
    curved = {basis.name: curved_p(fitted, basis) for basis in fitted.design.smooths}
    tables = [_edf_rows(fitted, part, n, curved) for part, n in zip(found, numbers, strict=True)]
    joined = pd.concat(tables)
    order = np.arange(len(joined)).reshape(len(found), -1).T.ravel()
    return joined.iloc[order].reset_index(drop=True)


def _edf_rows(
    fitted: Fitted | FittedFamily, part: Part, numbers: np.ndarray, curved: dict[str, np.ndarray]
) -> pd.DataFrame:
    fit, name = fitted.fit, part.basis.name
    component = [group for group, _, _ in fit.components].index(name)
    edf, statistic, p = numbers
    return pd.DataFrame({
        "feature": fit.feature_ids,
        "smooth": name,
        "level": part.label,
        "edf": edf,
        "edf_largest": len(part.fixed) + part.basis.A.shape[1],
        "variance": fit.variance[:, component],
        "share": fit.share[:, component],
        "statistic": statistic,
        "p_value": p,
        "q_value": benjamini_hochberg(p),
        "p_curved": curved[name],
        "q_curved": benjamini_hochberg(curved[name]),
        "status": [MEANING[Status(s)].label for s in fit.status],
    })  # fmt: skip


def _edf_and_test(part: Part, effects: Joint) -> tuple[float, float, float]:
    """Effective df, Wald statistic and p of one smooth of one feature."""
    own = np.concatenate([part.fixed, effects.place[part.basis.name][part.level]])
    return block_test(effects, own)


def block_test(effects: Joint, own: np.ndarray) -> tuple[float, float, float]:
    """Effective df, Wald statistic and p of the effects numbered ``own``, fixed and random ones of smooths.

    The df of the test are 2 tr(F) - tr(FF) of their block (Wood 2017, section 6.12.1).
    """
    gain = effects.gain
    edf = gain[own, own].sum()
    rank = min(2 * edf - np.einsum("ij,ji->", gain[own], gain[:, own]), len(own))
    df = KNOWN_SCALE if effects.scale_known else effects.n_obs - np.trace(gain)
    cov = effects.cov[np.ix_(own, own)]
    statistic, p = smooth_test(effects.root[:, own], effects.effects[own], cov, rank, df)
    return float(edf), statistic, p


def curved_p(fitted: Fitted | FittedFamily, basis: SmoothBasis) -> np.ndarray:
    """p of the likelihood ratio that the penalised part of a smooth has variance zero. (N,)."""
    design = fitted.design
    line = replace(design, random=tuple(term for term in design.random if term.group != basis.name))
    family = isinstance(fitted, FittedFamily)
    null = fitted.refit({**fitted.designs, "mu": line}) if family else fitted.refit(line)
    found = likelihood_ratio(null.fit, fitted.fit, Nesting(same_fixed=True, boundary=True, several=False))
    return found["p_value"].to_numpy()


def _grid(part: Part, design: Design, points: int) -> np.ndarray:
    """Values of x over the range that the samples of the level have."""
    x = part.basis.value(design.frame)
    if part.basis.levels:
        x = x[(design.frame[str(part.basis.term.by)] == part.label).to_numpy()]
    return np.linspace(x.min(), x.max(), points)


def _estimable(fitted: Fitted | FittedFamily, feature: int, part: Part) -> bool:
    return bool(fitted.fit.estimable[feature, part.fixed].all())
