"""Scalar random effects of a model: which are there, with which variance, and where theta has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.covariance import Known
from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.inference.refit import Fitted
from mixflow.optimise.prepare import prepare

INTERCEPT = "(Intercept)"


@dataclass(frozen=True, eq=False)
class Components:
    """Groups of the model, each with one random intercept, and the residual.

    ``groups`` in the order of ``theta``; ``theta`` (N, groups): standard deviation over sigma;
    ``covariance`` (N, groups, groups) of these; NaN for features not fitted.
    """

    groups: tuple[str, ...]
    theta: np.ndarray
    covariance: np.ndarray


def components(fitted: Fitted) -> Components:
    """Standard deviations of all random intercepts over sigma; raises where the model has other effects.

    Random slopes, smooths and residuals whose spread differs between rows make the variance of a value
    depend on its row, so that no one number is the share of a group.
    """
    fit, design = fitted.fit, fitted.design
    layout_effects = prepare(design, fit.reml).effects
    _no_smooths(design)
    for effect in layout_effects:
        _check(effect.group, effect.terms, effect.within.n_params)
    if design.residual is not None and design.residual.dispersion.shape[1]:
        message = "With a dispersion formula the residual variance differs between rows"
        remedy = "Ask for this analysis of a model without `dispersion`."
        raise MixflowError(Problem(message, column="dispersion", remedy=remedy))
    if fit.sigma_known:
        message = "Known residual variances differ between rows"
        remedy = "Ask for this analysis of a model without `variances`."
        raise MixflowError(Problem(message, column="variances", remedy=remedy))
    count = len(layout_effects)
    return Components(
        tuple(effect.group for effect in layout_effects),
        fit.theta[:, :count],
        fit.par_cov[:, :count, :count],
    )


def _no_smooths(design: Design) -> None:
    if design.smooths:
        names = ", ".join(basis.name for basis in design.smooths)
        message = "The variance of a smooth differs between rows"
        remedy = (
            "Ask for this analysis of a model without smooths; `partition` splits the variance of this one."
        )
        raise MixflowError(Problem(message, column="group", value=names, remedy=remedy))


def _check(group: str, terms: tuple[str, ...], n_params: int) -> None:
    if tuple(terms) != (INTERCEPT,) or n_params != 1:
        message = f"The variance of {group} differs between rows of the sheet"
        remedy = f"Ask for this analysis of a model whose random effects are intercepts: (1 | {group})."
        raise MixflowError(Problem(message, column="group", value=", ".join(terms), remedy=remedy))


def place(found: Components, option: str, group: str) -> int:
    """Number of a grouping factor; raises, at the option, with those that the model has."""
    if group not in found.groups:
        remedy = f"Grouping factors of the model: {', '.join(found.groups) or 'none'}."
        raise MixflowError(
            Problem("The model has no such random effect", column=option, value=group, remedy=remedy)
        )
    return found.groups.index(group)


def alone(design: Design) -> bool:
    """Whether the one random effect is an intercept of independent levels, and residuals are independent."""
    one = len(design.random) == 1 and design.random[0].terms == (INTERCEPT,)
    return one and design.residual is None and not isinstance(design.random[0].within, Known)
