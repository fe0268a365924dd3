"""The fit of one feature as a reader sees it: means of the groups, or a line, at the average of all else.

The columns of the design are made from the names of the coefficients (`(Intercept)`, `age`, `AD[AD]`,
products with `:`), which is all that the store says of them; a model with any other column (a
spline) has no drawn fit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError
from mixflow.model.unbounded import standing
from mixflow.report.model import ModelView
from mixflow.report.view import View

if TYPE_CHECKING:
    from mixflow.family import Family

_LEVEL = re.compile(r"(?P<factor>.+)\[(?P<level>[^\]]*)\]")
_CALLED = re.compile(r"(\w+)\s*\(")
ROW_BY_ROW = {"log", "log2", "log10", "log1p", "exp", "sqrt", "abs", "I"}
"""Functions whose value at a sample hangs on that sample alone, unlike scale() or a spline."""
Z95 = 1.959963984540054


def design(coefs: list[str], sheet: pd.DataFrame) -> np.ndarray | None:
    """Columns of the design for the rows of ``sheet`` (samples x coefs); None where a name says nothing."""
    columns = [_column(name, sheet) for name in coefs]
    return None if any(c is None for c in columns) else np.column_stack([c for c in columns if c is not None])


def _column(name: str, sheet: pd.DataFrame) -> np.ndarray | None:
    product = np.ones(len(sheet))
    for part in re.split(r":(?![^\[]*\])", name):
        factor = _part(part, sheet)
        if factor is None:
            return None
        product = product * factor
    return product


def _part(part: str, sheet: pd.DataFrame) -> np.ndarray | None:
    if part in ("(Intercept)", "Intercept"):
        return np.ones(len(sheet))
    plain = part.strip("`")
    if plain in sheet and sheet[plain].dtype.kind in "fiub":
        return sheet[plain].to_numpy(float)
    found = _LEVEL.fullmatch(part)
    name = found["factor"].strip("`") if found else ""
    if found is None:
        return _expression(part, sheet)
    if name not in sheet:
        return None
    return (sheet[name].astype(str) == found["level"]).to_numpy(float)


def _expression(text: str, sheet: pd.DataFrame) -> np.ndarray | None:
    """A function of columns row by row, such as log(reads); None for others, which hang on all samples."""
    from mixflow.design.terms import evaluate

    if not set(_CALLED.findall(text)) <= ROW_BY_ROW:
        return None
    try:
        return evaluate(text, sheet, finite=False)
    except (MixflowError, NameError, SyntaxError):
        return None


def weights(view: View, model: ModelView, factor: str, values: list) -> dict[str, np.ndarray] | None:
    """For each value of ``factor`` the mean design row over the model's samples with ``factor`` set to it.

    One matrix (value, coefficient) for each predictor by its name, ``mu`` first. None where the fit cannot be
    drawn from coefficients. ``values`` are levels that the samples hold: the row of another level would be that
    of the reference.
    """
    sheet = view.samples.loc[model.rows] if model.rows else view.samples
    if factor not in sheet:
        return None
    found = {}
    for predictor, coefs in model.predictors.items():
        rows = [design(coefs, sheet.assign(**{factor: value})) for value in values]
        if any(r is None for r in rows):
            return None
        found[predictor] = np.array([np.nanmean(r, axis=0) for r in rows if r is not None])
    return found


def means(model: ModelView, feature: str, rows: dict[str, np.ndarray], offset: float) -> pd.DataFrame:
    """Model means at ``rows`` on the scale of the response, with limits at 1.96 standard errors of mu.

    ``offset`` is added to mu. Random effects are zero: with a link, that is a typical level, not an average.
    Where thresholds stand for the intercept, limits take their errors too.
    """
    at = model.position[feature]
    beta, cov = model.fit["beta"][at].values, model.fit["beta_cov"][at].values
    mu = rows["mu"]
    mean = np.where(mu == 0, 0.0, mu * beta).sum(axis=1) + offset
    error = np.sqrt(np.einsum("kc,cd,kd->k", mu, cov, mu))
    ends = {"mean": mean, "low": mean - Z95 * error, "high": mean + Z95 * error}
    if model.scale.linear:
        return pd.DataFrame(ends)
    others = [_other(model, at, name, own) for name, own in rows.items() if name != "mu"]
    free = model.fit["free"][at].values
    if not model.scale.family.intercept:
        return _with_thresholds(model, at, mu, np.column_stack([mean, *others]), free)
    return pd.DataFrame(
        {name: _response(model, np.column_stack([eta, *others]), free) for name, eta in ends.items()}
    )


def _with_thresholds(
    model: ModelView, at: int, mu: np.ndarray, eta: np.ndarray, free: np.ndarray
) -> pd.DataFrame:
    """Means (value,) with limits by the delta method over beta and thresholds, which stand for the intercept."""
    from mixflow.backend import jax

    mean = _response(model, eta, free)
    names = [str(name) for name in model.fit["joint_par"].values]
    own = [i for i, name in enumerate(names) if name.startswith("free ")]
    order = [*(names.index(f"mu: {name}") for name in model.coefs), *own]
    if not len(own) == len(free) == model.scale.family.n_own:
        return pd.DataFrame({"mean": mean, "low": np.nan, "high": np.nan})
    by_eta, by_free = jax.vmap(jax.grad(model.scale.family.mean, (0, 1)), (0, None))(eta, free)
    slope = np.hstack([np.asarray(by_eta)[:, :1] * mu, np.asarray(by_free)])
    known = np.nan_to_num(model.fit["joint_cov"][at].values[np.ix_(order, order)])  # empty categories: 0
    error = Z95 * np.sqrt(np.einsum("kc,cd,kd->k", slope, known, slope))
    top = model.scale.family.n_own  # the highest category's position
    return pd.DataFrame(
        {"mean": mean, "low": np.maximum(mean - error, 0.0), "high": np.minimum(mean + error, top)}
    )


def _other(model: ModelView, at: int, predictor: str, rows: np.ndarray) -> np.ndarray:
    own = model.fit["more_component"].values == predictor
    return rows @ standing(model.fit["more"][at].values[own])


def _response(model: ModelView, eta: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The family's mean (value,) at its predictors (value, d); NaN where the own parameters are not all there."""
    if len(free) != model.scale.family.n_own:
        return np.full(len(eta), np.nan)
    return np.asarray(_mean(model.scale.family)(eta, free))


@lru_cache(maxsize=16)
def _mean(family: Family) -> Any:
    from mixflow.backend import jax

    return jax.jit(jax.vmap(family.mean, (0, None)))
