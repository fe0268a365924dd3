"""The fit of one feature as a reader sees it: means of the groups, or a line, at the average of all else.

The columns of the design are made from the names of the coefficients (`(Intercept)`, `age`, `AD[AD]`,
products with `:`), which is all that the store says of them; a model with any other column (a spline, a
function) has no drawn fit. Nor has one with an offset, which is no column and not in the store.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mixflow.formula import parse
from mixflow.report.model import ModelView
from mixflow.report.view import View

_LEVEL = re.compile(r"(?P<factor>.+)\[(?P<level>[^\]]*)\]")
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
    if found is None or name not in sheet:
        return None
    return (sheet[name].astype(str) == found["level"]).to_numpy(float)


def has_offset(model: ModelView) -> bool:
    """Whether the formula adds an offset, which `beta` alone leaves out."""
    return bool(parse(model.formula).offset)


def weights(view: View, model: ModelView, factor: str, values: list) -> np.ndarray | None:
    """For each value of ``factor`` the mean design row over the model's samples with ``factor`` set to it.

    None where the fit cannot be drawn from coefficients. ``values`` are levels that the samples hold: the row
    of another level would be that of the reference.
    """
    sheet = view.samples.loc[model.rows] if model.rows else view.samples
    if factor not in sheet or has_offset(model):
        return None
    rows = [design(model.coefs, sheet.assign(**{factor: value})) for value in values]
    return (
        None
        if any(r is None for r in rows)
        else np.array([np.nanmean(r, axis=0) for r in rows if r is not None])
    )


def means(model: ModelView, feature: str, rows: np.ndarray) -> pd.DataFrame:
    """Model means ``rows @ beta`` with limits at 1.96 standard errors."""
    at = model.position[feature]
    beta, cov = model.fit["beta"].values[at], model.fit["beta_cov"].values[at]
    mean = rows @ beta
    error = np.sqrt(np.einsum("kc,cd,kd->k", rows, cov, rows))
    return pd.DataFrame({"mean": mean, "low": mean - Z95 * error, "high": mean + Z95 * error})
