"""What is timed of a generalised case: every feature fitted, every coefficient of mu tested by its z."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from mixflow.design.several import predictor_terms, several
from mixflow.family import named
from mixflow.formula import parse
from mixflow.inference.contrasts import build_coefficients
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import Status


def work(case: dict[str, Any], sheet: pd.DataFrame, values: np.ndarray, ids: np.ndarray) -> Callable[[], Fit]:
    """``values`` (N, n): counts, 0 and 1, or grades from 0."""
    options = {"levels": case["levels"]} if "levels" in case else {}
    family = named(case["family"], zi=case.get("zi", False), **options)
    y = values[:, :, None]
    if family.columns == ("success", "failure"):
        y = np.stack([values, 1.0 - values], axis=-1)

    def run() -> Fit:
        designs, _, _ = several(predictor_terms(family, parse(case["formula"]), None, None), sheet)
        fit = fit_generalised(designs, family, y, ids, nodes=case.get("nodes", 1), modes=False)
        test(fit, build_coefficients(designs["mu"]), df="z", design=designs["mu"])
        return fit

    return run


def answers(fit: Fit, places: np.ndarray) -> dict[str, list[float | None]]:
    """Log-likelihood, estimates and standard errors by the feature's place in the table, as the peers give them."""
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diagonal(fit.beta_cov, axis1=1, axis2=2))
    rows = np.concatenate([fit.loglik[:, None], fit.solution, errors], axis=1)
    rows[~np.isin(fit.status, [Status.OK, Status.SINGULAR])] = (
        np.nan
    )  # separated: no finite estimate to compare
    plain = [[float(v) if np.isfinite(v) else None for v in row] for row in rows]
    return dict(zip(map(str, places.tolist()), plain, strict=True))
