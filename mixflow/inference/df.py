"""Variance and denominator df of every hypothesis: the one place that knows the methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.inference import kenward_roger, satterthwaite
from mixflow.inference.containment import coefficient_df
from mixflow.inference.reduced import reduce
from mixflow.model import Fit

SATTERTHWAITE, KENWARD_ROGER = "satterthwaite", "kenward-roger"
One = Callable[[Fit, np.ndarray, Design | None], tuple[np.ndarray, np.ndarray]]


def one(
    fit: Fit, rows: np.ndarray, method: str = SATTERTHWAITE, design: Design | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Variance and df of contrasts l' beta; ``rows`` (N, p), or (1, p) for all. (N,), (N,).

    ``method``: one of `METHODS`. kenward-roger needs a fit with it (its variance is the adjusted one),
    containment needs the design. df are infinite for z. Raises MixflowError.
    """
    return METHODS[known(method)](fit, rows, design)


def several(
    fit: Fit,
    L: np.ndarray,
    method: str = SATTERTHWAITE,
    design: Design | None = None,
    good: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F, numerator and denominator df of L beta = 0, ``L`` (r, p), for the features ``good``. (N,) each.

    Satterthwaite's denominator is lmerTest's, Kenward and Roger's F is scaled as theirs is; the others take
    the smallest df of the rows.
    """
    reduced = reduce(fit, L, np.ones(len(fit.status), dtype=bool) if good is None else good)
    if known(method) == KENWARD_ROGER:
        found = kenward_roger.scaled_f(fit, reduced)
        return found.statistic, reduced.rank.astype(float), found.df
    df = np.column_stack([one(fit, reduced.rows[:, k], method, design)[1] for k in range(len(L))])
    if method == SATTERTHWAITE:
        low = satterthwaite.combined(df, reduced.used)
    elif method == "containment":
        low = np.min([one(fit, row[None, :], method, design)[1] for row in L], axis=0)
    else:
        low = np.where(reduced.used, df, np.inf).min(axis=1)
    return reduced.mean_square, reduced.rank.astype(float), low


def known(method: str) -> str:
    """The method's name; raises for one that is not known."""
    if method not in METHODS:
        remedy = f"Known: {', '.join(METHODS)}."
        raise MixflowError(
            Problem("Unknown method for degrees of freedom", column="df", value=method, remedy=remedy)
        )
    return method


def _variance(fit: Fit, rows: np.ndarray) -> np.ndarray:
    rows = np.broadcast_to(rows, (len(fit.beta_cov), rows.shape[1]))
    return np.einsum("ni,nij,nj->n", rows, fit.beta_cov, rows)


def _satterthwaite(fit: Fit, rows: np.ndarray, design: Design | None) -> tuple[np.ndarray, np.ndarray]:
    return satterthwaite.degrees_of_freedom(fit, rows)


def _kenward_roger(fit: Fit, rows: np.ndarray, design: Design | None) -> tuple[np.ndarray, np.ndarray]:
    return kenward_roger.degrees_of_freedom(fit, rows)


def _residual(fit: Fit, rows: np.ndarray, design: Design | None) -> tuple[np.ndarray, np.ndarray]:
    """Observations less the rank of X, as in a linear model."""
    return _variance(fit, rows), (fit.n_obs - fit.rank).astype(float)


def _containment(fit: Fit, rows: np.ndarray, design: Design | None) -> tuple[np.ndarray, np.ndarray]:
    if design is None:
        remedy = "Pass the design of the fit."
        raise MixflowError(Problem("Containment df need the design", column="df", remedy=remedy))
    each = coefficient_df(fit, design)
    return _variance(fit, rows), np.where(rows != 0, each, np.inf).min(axis=1)


def _z(fit: Fit, rows: np.ndarray, design: Design | None) -> tuple[np.ndarray, np.ndarray]:
    """The normal distribution."""
    return _variance(fit, rows), np.full(len(fit.status), np.inf)


METHODS: dict[str, One] = {
    SATTERTHWAITE: _satterthwaite,
    KENWARD_ROGER: _kenward_roger,
    "residual": _residual,
    "containment": _containment,
    "z": _z,
}
"""Methods of df by their names in Python and in the config."""
