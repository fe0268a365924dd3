"""Profile-likelihood limits of coefficients and standard deviations of generalised models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixflow.covariance import Covariance, Diagonal, Pooled, Structured, Unstructured
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.quantities import table
from mixflow.optimise.generalised import optima_of
from mixflow.optimise.glmm_iterate import Problem
from mixflow.optimise.glmm_prepare import Generalised
from mixflow.optimise.glmm_profile import Line, limits
from mixflow.optimise.limits import BOUNDARY, NOT_FOUND, OK
from mixflow.optimise.natural import ALL, COEFFICIENT, STD_DEV, Natural
from mixflow.status import Status

NOT_AVAILABLE = "not available by this method"


class _Target(NamedTuple):
    """``weights`` (n, P) of psi of the features at hand; ``unit``: what divides a standard deviation."""

    name: Natural
    weights: np.ndarray
    unit: float
    from_zero: bool


def family_profile(outcome: FittedFamily, wanted: list[Natural], level: float) -> pd.DataFrame:
    """Limits where -2 log-likelihood has risen by the chi-squared quantile, of the maximum-likelihood fit.

    By the approximation that each feature was fitted with. Of coefficients of all predictors and of standard
    deviations that are a parameter of their own (of one effect, of uncorrelated ones, or of all columns of a
    structure); zero is the lower limit where the likelihood never falls so far.
    """
    fit = outcome.fit
    shape = (len(fit.status), len(wanted))
    low, high, status = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, NOT_AVAILABLE, object)
    chosen = np.isin(fit.status, (Status.OK, Status.SINGULAR, Status.SEPARATION, Status.SIMPLER_FAMILY))
    quantile = float(ndtri(0.5 + level / 2))
    for number in np.unique(fit.nodes_of_feature[chosen]):
        rows = np.flatnonzero(chosen & (fit.nodes_of_feature == number))
        some = outcome.take(rows)
        prepared, samples, found, turn = optima_of(
            some.designs, some.family, some.y, some.weights, int(number)
        )
        problem = Problem(prepared.shape, prepared.shared, samples)
        for target in _targets(prepared, turn):
            places = [i for i, name in enumerate(wanted) if _is(name, target.name)]
            if places:
                ends, words = _both(problem, found, target, quantile)
                for place in places:
                    low[rows, place], high[rows, place], status[rows, place] = *(ends / target.unit), words
    hidden = np.array([name.quantity == COEFFICIENT and not name.group for name in wanted])
    lost = hidden & ~_known(outcome, wanted)
    return table(fit, wanted, np.where(lost, np.nan, low), np.where(lost, np.nan, high), "profile", status)


def _known(outcome: FittedFamily, wanted: list[Natural]) -> np.ndarray:
    """Which coefficients of mu each feature can estimate; True for other quantities. (N, m)."""
    fit = outcome.fit
    columns = [
        fit.estimable[:, fit.coef_names.index(n.term)]
        if n.quantity == COEFFICIENT and not n.group
        else np.ones(len(fit.status), dtype=bool)
        for n in wanted
    ]
    return np.column_stack(columns)


def _both(problem: Problem, found, target: _Target, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits (2, n) and words (n,), of one target for all features in one search."""
    n = len(target.weights)
    line = Line(
        np.tile(np.arange(n), 2),
        np.tile(target.weights, (2, 1)),
        np.repeat([-1.0, 1.0], n),
        np.full(2 * n, target.from_zero),
    )
    ends, words = (part.reshape(2, n) for part in limits(problem, found, line, quantile))
    lost, edge = (words == NOT_FOUND).any(axis=0), (words == BOUNDARY).any(axis=0)
    told = np.where(lost, "limit not found", np.where(edge, BOUNDARY, OK))
    return ends, told


def _targets(prepared: Generalised, turn: np.ndarray) -> list[_Target]:
    shape, found = prepared.shape, []
    for j, (predictor, design) in enumerate(zip(shape.family.predictors, prepared.designs, strict=True)):
        group = "" if j == 0 else predictor.name
        for i, name in enumerate(design.coef_names):
            weights = turn[:, shape.starts[j] + i, :]
            found.append(_Target(Natural(COEFFICIENT, group, name), weights, 1.0, False))
    for (_, effect, part), random in zip(shape.layout.slices, prepared.effects, strict=True):
        for i, term in _own_sds(effect, random.terms):
            weights = np.zeros((len(turn), shape.n_psi))
            weights[:, shape.theta.start + part.start + i] = 1.0
            unit = float(prepared.theta_scale[part.start + i])
            found.append(_Target(Natural(STD_DEV, random.group, term), weights, unit, True))
    return found


def _own_sds(effect: Covariance, terms: tuple[str, ...]) -> list[tuple[int, str]]:
    """Parameters of a structure that are standard deviations, with the column that each is of."""
    if isinstance(effect, Diagonal):
        return list(enumerate(terms))
    if isinstance(effect, Pooled):
        return [(0, effect.names(terms)[0])]
    if isinstance(effect, Structured) and not effect.hetero:
        return [(0, ALL)]
    return [(0, terms[0])] if isinstance(effect, Unstructured) and effect.size == 1 else []


def _is(name: Natural, found: Natural) -> bool:
    """Whether a target is the one wanted; a standard deviation shared by all columns is that of each."""
    if found.term == ALL and found.quantity == name.quantity:
        return found.group == name.group
    return name == found
