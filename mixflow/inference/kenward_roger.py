"""Kenward and Roger's tests from a stored fit: df of one contrast, scaled F of several (as pbkrtest)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.inference.reduced import Reduced
from mixflow.model import Fit, KenwardRoger


class ScaledF(NamedTuple):
    """``statistic`` is lambda F; ``df`` its denominator df; ``scale`` lambda. All (N,)."""

    statistic: np.ndarray
    df: np.ndarray
    scale: np.ndarray


def blocks(fit: Fit) -> KenwardRoger:
    """What the fit keeps for these tests; raises where it was fitted without."""
    if fit.kr is None:
        remedy = (
            "Fit with df='kenward-roger' (Python), or set the model's key df: kenward-roger and fit again."
        )
        raise MixflowError(
            Problem(
                "This fit lacks what Kenward-Roger needs", column="df", value="kenward-roger", remedy=remedy
            )
        )
    return fit.kr


def degrees_of_freedom(fit: Fit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted variance and df of contrasts l' beta; ``rows`` (N, p), or (1, p) for all. (N,), (N,).

    For one contrast Kenward and Roger's df (1997, section 4; pbkrtest's ``ddf_Lb``) come down to
    2 v^2 / (g' W g), v = l' Phi l and g = -l' Phi P_i Phi l its derivatives: Satterthwaite's, with the
    expected information of variances and covariances. Their scale of F is one.
    """
    kr = blocks(fit)
    rows = np.broadcast_to(rows, (len(fit.beta_cov), rows.shape[1]))
    adjusted = np.einsum("ni,nij,nj->n", rows, kr.cov, rows)
    across = np.einsum("nij,nj->ni", fit.beta_cov, rows)
    variance = np.einsum("ni,ni->n", rows, across)
    slopes = np.einsum("nsij,ni,nj->ns", kr.P, across, across)
    spread = np.einsum("ns,nst,nt->n", slopes, kr.W, slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        return adjusted, 2 * variance**2 / spread


def scaled_f(fit: Fit, reduced: Reduced) -> ScaledF:
    """F of the rows that ``reduced`` has made independent (pbkrtest's ``KRmodcomp``)."""
    kr, rows, q = blocks(fit), reduced.rows, reduced.rank.astype(float)
    across = rows @ fit.beta_cov
    moved = across[:, None] @ kr.P @ np.swapaxes(across, 1, 2)[:, None] / reduced.values[:, None, :, None]
    trace = np.trace(moved, axis1=2, axis2=3)
    A1 = np.einsum("ns,nst,nt->n", trace, kr.W, trace)
    A2 = np.einsum("nst,nst->n", kr.W, np.einsum("nsab,ntba->nst", moved, moved))
    df, scale = _moments(A1, A2, q)
    wald = reduced.wald(rows @ kr.cov @ np.swapaxes(rows, 1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return ScaledF(scale * wald / q, df, scale)


def _moments(A1: np.ndarray, A2: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """df and scale that match mean and variance of F (Kenward and Roger 1997, section 4). (N,), (N,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        c = 3 * q + 2 * (1 - g)
        top, left, right = 1 + g / c * B, 1 - (q - g) / c * B, 1 - (q + 2 - g) / c * B
        top = np.where(np.abs(top) < 1e-10, 0.0, top)
        rest = 1 - A2 / q
        both = (np.abs(rest) < 1e-14) & (np.abs(left) < 1e-14)
        rho = np.where(both, 1.0, rest / left) ** 2 * top / right / q
        df = 4 + (q + 2) / (q * rho - 1)
        return df, np.where(np.abs(df - 2) < 0.01, 1.0, df * rest / (df - 2))
