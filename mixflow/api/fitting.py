"""`mixflow.fit`: a formula and data to a `Result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.api.long import fit_long, not_long
from mixflow.api.opened import Opened
from mixflow.api.result import Result
from mixflow.api.weights import inverse_variances, prior_weights
from mixflow.design import build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.formula.residual import parse_residual
from mixflow.inference.df import KENWARD_ROGER, known
from mixflow.inference.refit import Recipe
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features


def fit(
    formula: str,
    data: pd.DataFrame | Opened,
    *,
    reml: bool = True,
    weights: str | None = None,
    contrasts: Mapping[str, str] | None = None,
    residual: str | None = None,
    dispersion: str | None = None,
    variances: str | None = None,
    relationship: Mapping[str, pd.DataFrame] | None = None,
    df: str = "satterthwaite",
    feature: str | None = None,
    response: str | None = None,
) -> Result:
    """Fit a Gaussian linear mixed model.

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
    that column, or stands on the left. Raises MixflowError with every problem of formula and data.
    """
    kr = known(df) == KENWARD_ROGER
    if feature is not None:
        not_long(data, residual, dispersion, variances, relationship)
        options = {"reml": reml, "weights": weights, "contrasts": contrasts, "df": df, "kr": kr}
        return fit_long(formula, data, feature, response, **options)
    if response is not None:
        remedy = "Write `outcome ~ ...`, or name the column of features by `feature`."
        raise MixflowError(Problem("`response` is for long tables", column="response", remedy=remedy))
    terms = parse(formula)
    frame = data.frame if isinstance(data, Opened) else data
    if (terms.response is None) != isinstance(data, Opened):
        raise MixflowError(_mismatch(formula, terms.response))
    side = residual_side(residual, dispersion)
    design = build(terms, frame, contrasts, **side, relationship=relationship)
    if isinstance(data, Opened):
        values, ids = data.values[:, design.rows], data.feature_ids
    else:
        values, ids = (
            np.asarray(design.response, dtype=float)[None, :],
            np.array([terms.response], dtype=object),
        )
    if variances is not None and weights is not None:
        remedy = "Give one of them; a weight is the inverse of a variance."
        raise MixflowError(
            Problem("Weights and known variances exclude each other", value=weights, remedy=remedy)
        )
    used = inverse_variances(frame, variances, design) if variances else prior_weights(frame, weights, design)
    options: dict[str, Any] = {"known_sigma": variances is not None}
    found = fit_features(design, values, ids, reml=reml, weights=used, kr=kr, **options)
    return Result(found, design, values, Recipe(used, options), df)


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
