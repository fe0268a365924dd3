"""`mixflow.fit`: a formula and data to a `Result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from mixflow.api.opened import Opened
from mixflow.api.result import Result
from mixflow.design import Design, build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features


def fit(
    formula: str,
    data: pd.DataFrame | Opened,
    *,
    reml: bool = True,
    weights: str | None = None,
    contrasts: Mapping[str, str] | None = None,
) -> Result:
    """Fit a Gaussian linear mixed model.

    With a response on the left, one outcome of the table ``data``; with nothing on the left, every feature of
    a store opened by `mixflow.open`. ``reml``: restricted likelihood (as lme4's default), else maximum
    likelihood. ``weights``: column of prior weights (variance sigma^2 / weight). ``contrasts``: coding by
    factor, e.g. ``{"dose": "sum"}``. Raises MixflowError with every problem of formula and data.
    """
    terms = parse(formula)
    frame = data.frame if isinstance(data, Opened) else data
    if (terms.response is None) != isinstance(data, Opened):
        raise MixflowError(_mismatch(formula, terms.response))
    design = build(terms, frame, contrasts)
    if isinstance(data, Opened):
        values, ids = data.values[:, design.rows], data.feature_ids
    else:
        values, ids = (
            np.asarray(design.response, dtype=float)[None, :],
            np.array([terms.response], dtype=object),
        )
    found = fit_features(design, values, ids, reml=reml, weights=_weights(frame, weights, design))
    return Result(found, design, values)


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


def _weights(frame: pd.DataFrame, name: str | None, design: Design) -> np.ndarray | None:
    if name is None:
        return None
    if name not in frame:
        remedy = f"Columns: {', '.join(map(str, frame.columns))}."
        raise MixflowError(Problem("There is no such column of weights", column=name, remedy=remedy))
    weights = pd.to_numeric(frame[name]).to_numpy(dtype=float)[design.rows]
    bad = np.flatnonzero(~(weights >= 0) | ~np.isfinite(weights))
    if len(bad):
        raise MixflowError(
            Problem(
                f"A weight must be a number of at least 0 (sample {design.labels[bad[0]]})",
                column=name,
                value=float(weights[bad[0]]),
                remedy="Use 0 to leave a row out.",
            )
        )
    return weights


def fit_values(
    values: np.ndarray,
    frame: pd.DataFrame,
    formula: str,
    *,
    reml: bool = True,
    feature_ids: Sequence[str] | np.ndarray | None = None,
    weights: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit ``formula`` to every row of ``values`` (feature, sample); columns are the rows of ``frame``."""
    design = build(parse(formula), frame)
    ids = np.arange(len(values)).astype(str) if feature_ids is None else feature_ids
    used = weights[..., design.rows] if weights is not None else None
    return fit_features(
        design,
        values[:, design.rows],
        np.asarray(ids, dtype=object),
        reml=reml,
        weights=used,
        progress=progress,
    )
