"""Fixed and random effects of one feature together: estimates, their joint covariance, effective df.

Henderson's equations (Robinson 1991, Stat. Sci. 6:15): with C = [X, Z Lambda] and S zero for X and one for the
spherical random effects, (C' R^-1 C + S)^-1 sigma^2 is the covariance of (beta-hat, u-hat - u), which is also the
posterior covariance that mgcv's intervals of smooths rest on (Wood 2017, section 6.10). Dense, one feature at a
time on the host: for curves and their tests, not for fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mixflow.inference.refit import Fitted
from mixflow.inference.rows import effect_columns, residual_root
from mixflow.optimise.prepare import prepare

ALIASED = 1e-10
"""Eigenvalues of the scaled normal equations below this belong to what the rows cannot estimate."""


@dataclass(frozen=True, eq=False)
class Joint:
    """One feature's effects: p coefficients, then the spherical random effects u of each group, b = Lambda u.

    ``place``: group -> columns of u, as (levels, k) numbers; ``factor``: group -> Lambda (k, k). ``gain``:
    (C' R^-1 C + S)^-1 C' R^-1 C, whose diagonal holds the effective df. ``root`` (r, p + u): an R factor of
    the whitened C.
    """

    effects: np.ndarray
    cov: np.ndarray
    gain: np.ndarray
    root: np.ndarray
    n_obs: int
    place: Mapping[str, np.ndarray]
    factor: Mapping[str, np.ndarray]


def joint(fitted: Fitted, feature: int) -> Joint:
    """The effects of the feature of this number, which must have been fitted."""
    fit, design = fitted.fit, fitted.design
    layout = prepare(design, fit.reml).layout
    seen = fitted.observed[feature]
    columns, place, factors = [design.X], {}, {}
    first = design.X.shape[1]
    for group, index, z in effect_columns(design, layout):
        parts = [e.factor_many(fit.theta[[feature], part])[0] for g, e, part in layout.slices if g is group]
        lower = _beside(parts)
        columns.append(_spread(index, z @ lower, group.n_levels))
        place[group.name] = first + np.arange(group.n_levels * group.size).reshape(group.n_levels, -1)
        factors[group.name] = lower
        first = place[group.name].max() + 1
    c = _whitened(fitted, feature, np.hstack(columns), seen)
    y = _whitened(fitted, feature, (fitted.values[feature] - design.offset)[:, None], seen)
    penalty = np.repeat([0.0, 1.0], [design.X.shape[1], first - design.X.shape[1]])
    cross = c.T @ c
    inverse = _inverse(cross + np.diag(penalty))
    root = np.linalg.qr(c, mode="r")
    cov = inverse * fit.sigma[feature] ** 2
    effects = inverse @ (c.T @ y)[:, 0]
    return Joint(effects, cov, inverse @ cross, root, int(seen.sum()), place, factors)


def _spread(index: np.ndarray, z: np.ndarray, n_levels: int) -> np.ndarray:
    """Columns (n, levels * k) of a group from its level numbers and its k columns."""
    out = np.zeros((len(z), n_levels, z.shape[1]))
    out[np.arange(len(z)), index] = z
    return out.reshape(len(z), -1)


def _beside(parts: list[np.ndarray]) -> np.ndarray:
    size = sum(len(part) for part in parts)
    out, first = np.zeros((size, size)), 0
    for part in parts:
        out[first : first + len(part), first : first + len(part)] = part
        first += len(part)
    return out


def _whitened(fitted: Fitted, feature: int, a: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rows observed, times R^-1/2: weights, and the residual structure where there is one."""
    weights = fitted.recipe.weights
    if weights is not None:
        own = weights if weights.ndim == 1 else weights[feature]
        a = a * np.sqrt(np.where(seen, own, 0.0))[:, None]
    if fitted.design.residual is None:
        return a[seen]
    layout = prepare(fitted.design, fitted.fit.reml).layout
    one = slice(feature, feature + 1)
    small = replace(fitted.fit, theta=fitted.fit.theta[one], status=fitted.fit.status[one])
    draws = np.eye(len(a))[None]
    root = residual_root(small, fitted.design, layout, draws)[0].T
    covariance = (root @ root.T)[np.ix_(seen, seen)]  # a mask acts on the covariance
    return np.linalg.solve(np.linalg.cholesky(covariance), a[seen])


def _inverse(a: np.ndarray) -> np.ndarray:
    """Inverse of a positive semidefinite matrix, zero along what it does not see; columns scaled first."""
    size = np.sqrt(np.diag(a))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(a / np.outer(size, size))
    keep = values > ALIASED
    return (vectors[:, keep] / values[keep]) @ vectors[:, keep].T / np.outer(size, size)
