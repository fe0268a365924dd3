"""The quantities that intervals are given for: standard deviations, correlations, structures, coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.model import Fit
from mixflow.model.unbounded import told
from mixflow.optimise.natural import COEFFICIENT, CORRELATION, STD_DEV, STRUCTURE, Natural
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "group": "grouping factor, Residual; of a coefficient empty, or its predictor where that is not mu",
    "term": "column of the random effect, or coefficient",
    "term_2": "second column of a correlation",
    "quantity": "std_dev (unit of the feature over that of the column), correlation, structure, or coefficient",
    "estimate": "estimate of the fit",
    "conf_low": "lower limit",
    "conf_high": "upper limit",
    "method": "how the limits were found",
    "status": "ok; at the boundary (a limit is the end of the range); or why there are none",
}


def names(fit: Fit) -> list[Natural]:
    """Every quantity of the model, variance components first."""
    found = []
    for group, term, term_2 in fit.components:
        if group != "Residual" or not fit.sigma_known:
            found.append(Natural(CORRELATION if term_2 else STD_DEV, group, term, term_2))
    found += [Natural(STRUCTURE, *name.rsplit(".", 1)) for name in fit.structure_names]
    found += [Natural(COEFFICIENT, "", name) for name in fit.coef_names]
    return found + [Natural(COEFFICIENT, *name) for name in fit.more_names]


def estimates(fit: Fit, wanted: list[Natural]) -> np.ndarray:
    """Estimates of the quantities (N, m); NaN where not fitted, not estimable, or (a correlation) not defined."""
    place = {component: i for i, component in enumerate(fit.components)}
    columns, beta = [np.zeros((len(fit.status), 0))], fit.beta
    for name in wanted:
        if name.quantity == COEFFICIENT and name.group:
            column = told(fit.more, fit.more_cov)[:, fit.more_names.index((name.group, name.term))]
        elif name.quantity == COEFFICIENT:
            column = np.where(fit.fitted, beta[:, fit.coef_names.index(name.term)], np.nan)
        elif name.quantity == STRUCTURE:
            column = fit.structure[:, fit.structure_names.index(f"{name.group}.{name.term}")]
        elif name.quantity == STD_DEV:
            column = np.sqrt(fit.variance[:, place[name.group, name.term, ""]])
        else:
            own = [place[name.group, term, ""] for term in (name.term, name.term_2)]
            product = fit.variance[:, own[0]] * fit.variance[:, own[1]]
            root = np.sqrt(np.where(product > 0, product, np.nan))
            column = fit.variance[:, place[name.group, name.term, name.term_2]] / root
        columns.append(column[:, None])
    return np.concatenate(columns, axis=1)


def table(
    fit: Fit,
    wanted: list[Natural],
    low: np.ndarray,
    high: np.ndarray,
    method: str,
    status: np.ndarray,
) -> pd.DataFrame:
    """Tidy table of limits (N, m), a feature's rows together; ``status`` (N, m) words of those fitted."""
    n, m = low.shape
    label = np.array([MEANING[Status(s)].label for s in fit.status], dtype=object)
    words = np.where(fit.fitted[:, None], status, label[:, None])
    words = np.where(np.isin(words, ["singular"]), "ok", words)
    parts = {key: np.tile([getattr(name, key) for name in wanted], n) for key in ("group", "term", "term_2")}
    return pd.DataFrame(
        {
            "feature": np.repeat(fit.feature_ids, m),
            **parts,
            "quantity": np.tile([name.quantity for name in wanted], n),
            "estimate": estimates(fit, wanted).ravel(),
            "conf_low": low.ravel(),
            "conf_high": high.ravel(),
            "method": method,
            "status": words.ravel(),
        }
    )
