"""The Wald test that a whole smooth is zero: Wood (2013), Biometrika 100:221, as in mgcv's summary.

The statistic is f' V^- f with a pseudo-inverse of V of rank r, r the effective df of the test, which need not
be whole: with k = floor(r) and nu = r - k the eigenvectors k and k + 1 share a 2 x 2 block [[1, rho], [rho,
nu]], rho^2 = nu (1 - nu) / 2, whose eigenvalues are the weights of two chi-squared variables. The null
distribution is that of the weighted sum over the chi-squared of the estimated scale; both signs of rho are
tried and averaged.
"""

from __future__ import annotations

import numpy as np
from scipy import special

NEGLIGIBLE = 1e-14
"""Eigenvalues below this share of the largest are rounding."""
WHOLE = 1e-6
"""A rank this close to a whole number is that number."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
TERMS = 60


def smooth_test(
    root: np.ndarray, effects: np.ndarray, cov: np.ndarray, rank: float, df: float
) -> tuple[float, float]:
    """Statistic and p. ``root`` (r, m): an R factor of the smooth's columns; ``effects`` (m,)."""
    r = np.asarray(np.linalg.qr(root, mode="r"))
    v = r @ cov @ r.T
    values, vectors = np.linalg.eigh((v + v.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    usable = int((values > NEGLIGIBLE * values[0]).sum()) if values[0] > 0 else 0
    if usable == 0 or df <= 0:
        return float("nan"), float("nan")
    rank = min(max(rank, 1.0), float(usable))
    k = int(rank + WHOLE)
    nu = rank - k
    if nu <= WHOLE:
        along = vectors[:, :k].T @ (r @ effects) / np.sqrt(values[:k])
        statistic = float((along**2).sum())
        return statistic, float(special.fdtrc(k, df, statistic / k))
    along = vectors[:, : k + 1].T @ (r @ effects) / np.sqrt(values[: k + 1])
    one, other = (_statistic(along, nu, sign) for sign in (1.0, -1.0))
    return (one + other) / 2, (tail(one, k, nu, df) + tail(other, k, nu, df)) / 2


def _statistic(along: np.ndarray, nu: float, sign: float) -> float:
    rho = sign * np.sqrt(nu * (1 - nu) / 2)
    a, b = along[-2:]
    return float((along[:-2] ** 2).sum() + a**2 + 2 * rho * a * b + nu * b**2)


def tail(statistic: float, k: int, nu: float, df: float) -> float:
    """P(chi2_(k - 1) + w1 chi2_1 + w2 chi2_1 > statistic chi2_df / df), w the eigenvalues of the block.

    The first two are a mixture of chi-squared (Robbins and Pitman 1949, Ann. Math. Stat. 20:552). With Z^2
    the last one, V the scale's and b = Z^2 / (Z^2 + V) = sin^2(phi), which is independent of Z^2 + V ~
    chi2_(df + 1), the probability given phi is that of an F, and phi has the density cos(phi)^(df - 1): one
    integral of positive numbers, so that small p are right too.
    """
    total = 1 + nu
    first = (total + np.sqrt(total * (2 - total))) / 2
    second = total - first
    scale = first if k == 1 else 1.0
    i = np.arange(TERMS if k > 1 else 1)
    mixture = special.poch(0.5, i) / special.factorial(i) * (1 - scale / first) ** i / np.sqrt(first / scale)
    widest = min(np.pi / 2, 12 / np.sqrt(df))
    phi = widest * (NODES + 1) / 2
    density = WEIGHTS * np.exp((df - 1) * np.log(np.cos(phi)))
    bound = (statistic / df * np.cos(phi) ** 2 - second * np.sin(phi) ** 2) / scale
    m = (k + 2 * i)[:, None]
    above = np.where(bound > 0, special.fdtrc(m, df + 1, np.maximum(bound, 0) * (df + 1) / m), 1.0)
    return float((mixture @ above) @ density / density.sum())
