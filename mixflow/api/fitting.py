"""`mixflow.fit`: a formula and data to a `Result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.api.generalised import fit_family
from mixflow.api.long import fit_long, not_long
from mixflow.api.opened import Opened, outcomes
from mixflow.api.result import Result
from mixflow.design import build
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family
from mixflow.formula import parse
from mixflow.formula.residual import parse_residual
from mixflow.inference.df import KENWARD_ROGER, SATTERTHWAITE, known
from mixflow.inference.refit import Recipe
from mixflow.inference.weights import inverse_variances, prior_weights
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features


def fit(
    formula: str,
    data: pd.DataFrame | Opened,
    *,
    family: str | Family = "gaussian",
    link: str | None = None,
    reml: bool | None = None,
    weights: str | None = None,
    contrasts: Mapping[str, str] | None = None,
    residual: str | None = None,
    dispersion: str | None = None,
    zi: str | None = None,
    nagq: int | str = 1,
    prior: Mapping[str, object] | None = None,
    thresholds: str | None = None,
    variances: str | None = None,
    relationship: Mapping[str, pd.DataFrame] | None = None,
    df: str | None = None,
    feature: str | None = None,
    response: str | None = None,
) -> Result:
    """Fit a linear mixed model, or a generalised one.

    With a response on the left, one outcome of the table ``data``; with nothing on the left, every feature of
    a store opened by `mixflow.open`. ``reml``: restricted likelihood (as lme4's default), else maximum
    likelihood. ``weights``: column of prior weights (variance sigma^2 / weight). ``contrasts``: coding by
    factor, e.g. ``{"dose": "sum"}``. ``residual``: correlation of the rows of a unit, e.g.
    ``"ar1(time | subject)"``, ou, cs, us. ``dispersion``: what the residual sd hangs on, e.g. ``"~ site"``.
    ``variances``: column of known residual variances (meta-analysis). ``relationship``: known covariance of a
    grouping factor's levels (kinship) by its name, a square table with the levels as index and columns.
    ``df``: how the result's tables find degrees of freedom: satterthwaite, kenward-roger (what it needs is
    computed with the fit), residual, containment, z. ``feature``: column of a long table ``data`` (one row a
    measurement, each feature with rows of its own, such as the peptides of a protein); its ``response`` is
    that column, or stands on the left.

    ``family``: gaussian, or one of `mixflow.family.FAMILIES` (binomial, poisson, nbinom2, ...) with its ``link``:
    maximum likelihood by Laplace's approximation, or by adaptive Gauss-Hermite quadrature with ``nagq`` points
    for each effect of the one grouping factor ("auto": as many as each feature needs, 1 where Laplace will do);
    ``reml=True`` integrates the coefficients too, as glmmTMB; ``prior``: for features that are separated (or for
    all: ``"features": "all"``) a normal prior on centred and scaled columns, ``{"sd": 2.5}``, or without random
    effects Firth's, ``{"kind": "jeffreys"}``; tests are z tests. The response of a binomial is 0/1, yes/no,
    ``cbind(success, failure)``, or a proportion with the trials as ``weights``; elsewhere weights multiply the
    log density. ``dispersion`` and ``zi`` (zero inflation; a hurdle for families without zeros; logit) are then
    formulas with fixed and random terms of their own. cumulative takes an ordered Categorical or whole numbers,
    has no intercept, and ``thresholds``: flexible, symmetric or equidistant; signs are those of clmm. censored
    takes ``cens(lower, upper)`` (-inf and inf where open) or ``below(value, limit)`` for a detection limit, of a
    store ``below(limit) ~ ...``. Raises MixflowError with every problem of formula and data.
    """
    if not _gaussian(family):
        refused = {"residual": residual, "variances": variances, "feature": feature, "response": response}
        _not_generalised(df, refused)
        own = {"dispersion": dispersion, "zi": zi, "nagq": nagq, "weights": weights, "contrasts": contrasts}
        own |= {"reml": bool(reml), "prior": prior, "relationship": relationship, "thresholds": thresholds}
        return fit_family(formula, data, family, link=link, **own)
    _only_gaussian(link, zi, nagq, prior, thresholds)
    reml, df = reml is None or reml, df or SATTERTHWAITE
    if feature is not None:
        not_long(data, residual, dispersion, variances, relationship)
        options = {"reml": reml, "weights": weights, "contrasts": contrasts, "df": df}
        options |= {"kr": known(df) == KENWARD_ROGER}
        return fit_long(formula, data, feature, response, **options)
    if response is not None:
        remedy = "Write `outcome ~ ...`, or name the column of features by `feature`."
        raise MixflowError(Problem("`response` is for long tables", column="response", remedy=remedy))
    sides = {
        "residual": residual,
        "dispersion": dispersion,
        "variances": variances,
        "relationship": relationship,
    }
    return _fit_gaussian(formula, data, reml, weights, contrasts, df, **sides)


def _fit_gaussian(
    formula: str,
    data: pd.DataFrame | Opened,
    reml: bool,
    weights: str | None,
    contrasts: Mapping[str, str] | None,
    df: str,
    *,
    residual: str | None,
    dispersion: str | None,
    variances: str | None,
    relationship: Mapping[str, pd.DataFrame] | None,
) -> Result:
    """One outcome of a table, or every feature of a store, on the rows of one design."""
    terms = parse(formula)
    frame = data.frame if isinstance(data, Opened) else data
    if (terms.response is None) != isinstance(data, Opened):
        raise MixflowError(_mismatch(formula, terms.response))
    if variances is not None and weights is not None:
        remedy = "Give one of them; a weight is the inverse of a variance."
        message = "Weights and known variances exclude each other"
        raise MixflowError(Problem(message, value=weights, remedy=remedy))
    side = residual_side(residual, dispersion)
    design = build(terms, frame, contrasts, **side, relationship=relationship)
    values, ids = outcomes(data, design, design.rows)
    used = inverse_variances(frame, variances, design) if variances else prior_weights(frame, weights, design)
    options: dict[str, Any] = {"known_sigma": variances is not None}
    kr = known(df) == KENWARD_ROGER
    found = fit_features(design, values, ids, reml=reml, weights=used, kr=kr, **options)
    return Result(found, design, values, Recipe(used, options), df)


def _gaussian(family: str | Family) -> bool:
    return (family if isinstance(family, str) else family.name) == "gaussian"


def _not_generalised(df: str | None, refused: Mapping[str, Any]) -> None:
    """Raise for what a generalised model does not have."""
    problems = [
        Problem(f"`{name}` is not available with this family", column=name, remedy="Leave it out.")
        for name, value in refused.items()
        if value is not None
    ]
    if df not in (None, "z"):
        problems.append(
            Problem("A generalised model has z tests", column="df", value=df, remedy="Use df='z'.")
        )
    if problems:
        raise MixflowError(problems)


def _only_gaussian(link: str | None, zi: str | None, nagq: int | str, *more: object) -> None:
    """Raise for options that a Gaussian model does not have."""
    if link not in (None, "identity") or zi is not None or nagq != 1 or more != (None,) * len(more):
        remedy = "Name a family, such as family='nbinom2'."
        raise MixflowError(
            Problem("link, zi, nagq, prior and thresholds are for families beside gaussian", remedy=remedy)
        )


def residual_side(residual: str | None, dispersion: str | None) -> dict[str, Any]:
    """The options of `design.build` for a residual structure and a dispersion formula given as text."""
    return {
        "residual": parse_residual(residual) if residual else None,
        "dispersion": parse(dispersion) if dispersion else None,
    }


def _mismatch(formula: str, response: str | None) -> Problem:
    if response is None:
        message = (
            "The formula has no response, so every feature of a store would be fitted, but data is a table"
        )
        remedy = "Write `outcome ~ ...`, or pass mixflow.open('study.zarr')."
    else:
        message = "The formula has a response, but data is a store, in which every feature is the response"
        remedy = "Leave out what stands left of `~`."
    return Problem(message, column="formula", value=formula, remedy=remedy)


def fit_values(
    values: np.ndarray,
    frame: pd.DataFrame,
    formula: str,
    *,
    reml: bool = True,
    feature_ids: Sequence[str] | np.ndarray | None = None,
    weights: np.ndarray | None = None,
    residual: str | None = None,
    dispersion: str | None = None,
    kr: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit ``formula`` to every row of ``values`` (feature, sample); columns are the rows of ``frame``."""
    design = build(parse(formula), frame, **residual_side(residual, dispersion))
    ids = np.arange(len(values)).astype(str) if feature_ids is None else feature_ids
    used = weights[..., design.rows] if weights is not None else None
    return fit_features(
        design,
        values[:, design.rows],
        np.asarray(ids, dtype=object),
        reml=reml,
        weights=used,
        kr=kr,
        progress=progress,
    )
