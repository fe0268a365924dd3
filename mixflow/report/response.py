"""A feature on the scale of the response: what of its values is drawn, in which unit, on which axis."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.formula import parse
from mixflow.report.model import ModelView
from mixflow.report.view import View

LINEAR, LOG, YES_NO = "linear", "log1p", "yes/no"
"""How the vertical axis runs: as the values; by log(1 + value / least value above 0); 0 and 1 alone."""
_LOG_OF = re.compile(r"log\(\s*`?(?P<column>[^`()]+?)`?\s*\)")


@dataclass(frozen=True)
class Response:
    """``factor`` (sample,): what values are multiplied with; ``offset``: of the predictor at which means are drawn.

    None where they cannot be drawn: an offset that differs between samples and is no factor of the mean.
    """

    unit: str
    spread: str
    factor: np.ndarray
    offset: float | None
    kind: str = "values"

    def values(self, view: View, feature: str, sample_ids: list[str], read: np.ndarray) -> np.ndarray:
        """Values (sample,) as drawn, of those that the model's study ``read`` (all samples)."""
        from mixflow.preprocess.responses import response_of

        raw = view.raw[[view.feature_row[feature]]]
        found = response_of(self.kind, read[None, :], raw, str(view.data.attrs.get("scale", "free")))[0]
        return found[[view.sample_column[s] for s in sample_ids]] * self.factor


def response(view: View, model: ModelView, sample_ids: list[str]) -> Response:
    """How ``model`` reads the values of these samples."""
    kind, trials = str(model.attr("response", "values")), str(model.attr("trials", ""))
    sheet, ones = view.samples.loc[sample_ids], np.ones(len(sample_ids))
    offset = parse(model.formula).offset
    if kind == "presence":
        unit = "there (1) or not (0)"
        return Response(unit, YES_NO, ones, None if offset else 0.0, kind)
    if trials:
        factor = 1.0 / sheet[trials].to_numpy(dtype=float)
        return Response(f"share of {view.label(trials)}", LINEAR, factor, None if offset else 0.0, kind)
    multiplies = model.scale.link == "log" and not model.scale.linear
    spread = LOG if multiplies else LINEAR
    if not offset:
        return Response(view.unit, spread, ones, 0.0, kind)
    if not multiplies:
        return Response(view.unit, spread, ones, None, kind)
    amount = _offsets(offset, sheet)
    middle = float(np.nanmedian(amount))
    return Response(_per(view, offset, middle), spread, np.exp(middle - amount), middle, kind)


def _offsets(expressions: tuple[str, ...], sheet: pd.DataFrame) -> np.ndarray:
    from mixflow.design.terms import evaluate

    return np.sum([evaluate(text, sheet, finite=False) for text in expressions], axis=0)


def _per(view: View, offset: tuple[str, ...], middle: float) -> str:
    """'count at library size 3,912'."""
    found = _LOG_OF.fullmatch(offset[0]) if len(offset) == 1 else None
    if found is None:
        return f"{view.unit} at the median offset"
    amount = np.exp(middle)
    return f"{view.unit} at {view.label(found['column'])} {f'{amount:,.0f}' if amount >= 100 else f'{amount:.3g}'}"
