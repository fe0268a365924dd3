"""Confidence intervals of variance components, correlations, structures and coefficients, for every feature."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixflow.backend import jax
from mixflow.covariance import Covariance
from mixflow.errors import MixflowError, Problem
from mixflow.inference.bootstrap import bootstrap
from mixflow.inference.contrasts import build_coefficients
from mixflow.inference.family_profile import NOT_AVAILABLE, family_profile
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.quantities import estimates, names, table
from mixflow.inference.refit import Fitted
from mixflow.inference.tests import test
from mixflow.optimise.glmm_prepare import prepare as prepare_family
from mixflow.optimise.limits import BOUNDARY, NOT_FOUND, OK, limit
from mixflow.optimise.natural import ALL, COEFFICIENT, CORRELATION, STD_DEV, STRUCTURE, Natural, targets
from mixflow.optimise.optima import optima
from mixflow.optimise.prepare import prepare

METHODS = ("wald", "profile", "bootstrap")
NOT_DEFINED = "not defined"
BLOCK = 64

NO_ERROR = 1e-16
"""A variance of log sd or of Fisher's z below this is the rounding of none: the estimate is on the boundary."""


def confint(
    fitted: Fitted | FittedFamily,
    method: str = "wald",
    level: float = 0.95,
    *,
    quantities: list[Natural] | None = None,
    replicates: int = 500,
    seed: int = 1,
    df: str = "satterthwaite",
) -> pd.DataFrame:
    """Limits of every quantity (or of ``quantities``), one row for each feature and quantity.

    ``method``: wald, profile or bootstrap (parametric, percentile limits of ``replicates`` with ``seed``).
    """
    if method not in METHODS:
        remedy = f"Use one of: {', '.join(METHODS)}."
        raise MixflowError(
            Problem("Unknown method for intervals", column="method", value=method, remedy=remedy)
        )
    if not 0 < level < 1:
        remedy = "Use for example 0.95."
        raise MixflowError(
            Problem("A level lies between 0 and 1", column="level", value=level, remedy=remedy)
        )
    wanted = names(fitted.fit) if quantities is None else quantities
    if method == "wald":
        return wald(fitted, wanted, level, df)
    if method == "profile":
        family = isinstance(fitted, FittedFamily)
        return family_profile(fitted, wanted, level) if family else profile(fitted, wanted, level)
    return bootstrap(fitted, wanted, level, replicates=replicates, seed=seed)


def profile(fitted: Fitted, wanted: list[Natural], level: float) -> pd.DataFrame:
    """Profile-likelihood limits, as lme4's `confint`: of the maximum-likelihood fit, whatever the fit was.

    A limit is where -2 log-likelihood has risen by the chi-squared quantile; where it has not risen so far at
    the end of the range (zero for a standard deviation, one for a correlation), the end is the limit.
    """
    n = len(fitted.fit.status)
    low, high = (np.full((n, len(wanted)), np.nan) for _ in range(2))
    status = np.full((n, len(wanted)), NOT_AVAILABLE, dtype=object)
    quantile = float(ndtri(0.5 + level / 2))
    known = bool(fitted.recipe.options.get("known_sigma", False))
    for optimum in optima(fitted.design, fitted.values, fitted.recipe.weights, known):
        for target in targets(optimum, fitted.design):
            places = [i for i, name in enumerate(wanted) if _is(name, target.name)]
            if not places:
                continue
            rows = optimum.rows[target.rows]
            ends = [limit(target.search, side, quantile) for side in (-1, 1)]
            words = _words(*(word for _, word in ends))
            for place in places:
                status[optimum.rows, place] = NOT_DEFINED
                low[rows, place], high[rows, place] = (target.user(value) for value, _ in ends)
                status[rows, place] = words
    return table(fitted.fit, wanted, low, high, "profile", status)


def _is(name: Natural, found: Natural) -> bool:
    """Whether a target is the one wanted; a standard deviation shared by all columns is that of each."""
    if found.term == ALL and found.quantity == name.quantity:
        return found.group == name.group
    return name == found


def _words(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    lost, edge = (low == NOT_FOUND) | (high == NOT_FOUND), (low == BOUNDARY) | (high == BOUNDARY)
    return np.where(lost, "limit not found", np.where(edge, BOUNDARY, OK))


def wald(
    fitted: Fitted | FittedFamily, wanted: list[Natural], level: float, df: str = "satterthwaite"
) -> pd.DataFrame:
    """Limits from standard errors: t with ``df`` for coefficients; normal for the others.

    Standard deviations on the scale of their logarithm, correlations on Fisher's z (as nlme's `intervals`,
    Pinheiro and Bates 2000, section 2.4.3), with the asymptotic covariance of (theta, sigma). On the boundary
    there is no such limit.
    """
    fit = fitted.fit
    low, high = (np.full((len(fit.status), len(wanted)), np.nan) for _ in range(2))
    status = np.full(low.shape, NOT_AVAILABLE, dtype=object)
    found = test(fit, build_coefficients(fitted.design), level=level, df=df, design=fitted.design)
    value, quantile = estimates(fit, wanted), float(ndtri(0.5 + level / 2))
    slopes = _slopes(fitted)
    for i, name in enumerate(wanted):
        if name.quantity == COEFFICIENT and name.group:
            j = fit.more_names.index((name.group, name.term))
            half = quantile * np.sqrt(fit.more_cov[:, j, j])
            low[:, i], high[:, i] = value[:, i] - half, value[:, i] + half
        elif name.quantity == COEFFICIENT:
            j = fit.coef_names.index(name.term)
            low[:, i], high[:, i] = found["conf_low"][:, j], found["conf_high"][:, j]
        elif name in slopes:
            variance = np.einsum("na,nab,nb->n", slopes[name], fit.par_cov, slopes[name])
            half = quantile * np.sqrt(np.where(variance > NO_ERROR, variance, np.nan))
            to, back = (np.log, np.exp) if name.quantity == STD_DEV else (np.arctanh, np.tanh)
            with np.errstate(divide="ignore", invalid="ignore"):
                centre = to(value[:, i])
                inner = np.isfinite(centre)
                low[:, i] = np.where(inner, back(centre - half), np.nan)
                high[:, i] = np.where(inner, back(centre + half), np.nan)
        if name.quantity == COEFFICIENT or name in slopes:
            status[:, i] = np.where(np.isfinite(low[:, i]), OK, NOT_DEFINED)
    return table(fit, wanted, low, high, "wald", status)


def _slopes(fitted: Fitted | FittedFamily) -> dict[Natural, np.ndarray]:
    """Derivatives by (theta, sigma) of log sd and of Fisher's z of correlations. (N, q + 1) each."""
    fit = fitted.fit
    if isinstance(fitted, FittedFamily):
        prepared = prepare_family(fitted.designs, fitted.family)
    else:
        prepared = prepare(fitted.design, fit.reml)
    q, theta, found = fit.theta.shape[1], np.nan_to_num(fit.theta), {}
    for (_, effect, part), random in zip(prepared.layout.slices, prepared.effects, strict=True):
        factor, by_theta = effect.factor_many(theta[:, part]), _by_theta(effect, theta[:, part])
        matrix = factor @ np.swapaxes(factor, 1, 2)
        deriv = by_theta @ np.swapaxes(factor, 1, 2)[:, None]
        deriv = deriv + np.swapaxes(deriv, 2, 3)  # (N, params, k, k)
        terms = random.terms if len(random.terms) == effect.size else ()
        with np.errstate(divide="ignore", invalid="ignore"):
            for a, term in enumerate(terms):
                row = np.zeros((len(theta), q + 1))
                row[:, part] = deriv[:, :, a, a] / (2 * matrix[:, a, a, None])
                row[:, q] = 1 / fit.sigma
                found[Natural(STD_DEV, random.group, term)] = row
            for a in range(len(terms)):
                for b in range(a + 1, len(terms)):
                    root = np.sqrt(matrix[:, a, a] * matrix[:, b, b])[:, None]
                    rho = matrix[:, a, b, None] / root
                    scaled = (
                        deriv[:, :, a, a] / matrix[:, a, a, None] + deriv[:, :, b, b] / matrix[:, b, b, None]
                    )
                    row = np.zeros((len(theta), q + 1))
                    row[:, part] = (deriv[:, :, a, b] / root - rho * scaled / 2) / (1 - rho**2)
                    found[Natural(CORRELATION, random.group, terms[a], terms[b])] = row
    row = np.zeros((len(theta), q + 1))
    row[:, q] = 1 / fit.sigma
    return found | {Natural(STD_DEV, "Residual", ""): row}


def _by_theta(effect: Covariance, theta: np.ndarray) -> np.ndarray:
    """d Lambda / d theta of many theta. (N, params, k, k)."""
    parts = [np.zeros((0, effect.n_params, effect.size, effect.size))]
    for first in range(0, len(theta), BLOCK):
        rows = np.minimum(np.arange(first, first + BLOCK), len(theta) - 1)
        parts.append(np.moveaxis(np.asarray(_jacobian(effect)(theta[rows])), -1, 1)[: len(theta) - first])
    return np.concatenate(parts)


@lru_cache(maxsize=32)
def _jacobian(effect: Covariance):
    return jax.jit(jax.vmap(jax.jacfwd(effect.factor)))


__all__ = ["METHODS", "STRUCTURE", "confint", "profile", "wald"]
