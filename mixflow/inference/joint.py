"""Fixed and random effects of one feature together: estimates, their joint covariance, effective df.

Henderson's equations (Robinson 1991, Stat. Sci. 6:15): with C = [X, Z Lambda] and S zero for X and one for
the spherical random effects, (C' R^-1 C + S)^-1 sigma^2 is the covariance of (beta-hat, u-hat - u), which is
also the posterior covariance that mgcv's intervals of smooths rest on (Wood 2017, section 6.10). Dense, one
feature at a time on the host: for curves and their tests, not for fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from mixflow.design.layout import GroupBlock, Layout
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
    the whitened C. ``scale_known``: no residual variance was estimated.
    """

    effects: np.ndarray
    cov: np.ndarray
    gain: np.ndarray
    root: np.ndarray
    n_obs: int
    place: Mapping[str, np.ndarray]
    factor: Mapping[str, np.ndarray]
    scale_known: bool = False


@dataclass(frozen=True, eq=False)
class Henderson:
    """What the equations of all features of a fit share; `joint` solves those of one."""

    fitted: Fitted

    @cached_property
    def layout(self) -> Layout:
        return prepare(self.fitted.design, self.fitted.fit.reml).layout

    @cached_property
    def groups(self) -> list[tuple[GroupBlock, np.ndarray, np.ndarray]]:
        return list(effect_columns(self.fitted.design, self.layout))

    def factor(self, group: GroupBlock, feature: int) -> np.ndarray:
        """Lambda of one level of a group at the feature's theta. (k, k)."""
        theta = self.fitted.fit.theta[[feature]]
        return block_diag(*(e.factor_many(theta[:, s])[0] for g, e, s in self.layout.slices if g is group))

    def joint(self, feature: int) -> Joint:
        """The effects of the feature of this number, which must have been fitted."""
        fit, design = self.fitted.fit, self.fitted.design
        seen = self.fitted.observed[feature]
        p = first = design.X.shape[1]
        columns, place, factors = [design.X], {}, {}
        for group, index, z in self.groups:
            factors[group.name] = self.factor(group, feature)
            columns.append(_spread(index, z @ factors[group.name], group.n_levels))
            width = group.n_levels * group.size
            place[group.name] = first + np.arange(width).reshape(group.n_levels, -1)
            first += width
        y = (self.fitted.values[feature] - design.offset)[:, None]
        white = self._whitened(feature, np.hstack([*columns, y]), seen)
        c, y = white[:, :-1], white[:, -1]
        cross = c.T @ c
        inverse = inverse_of(cross + np.diag(np.repeat([0.0, 1.0], [p, first - p])))
        cov = inverse * fit.sigma[feature] ** 2
        root = np.asarray(np.linalg.qr(c, mode="r"))
        return Joint(inverse @ (c.T @ y), cov, inverse @ cross, root, len(y), place, factors)

    def _whitened(self, feature: int, a: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Rows observed, times R^-1/2: weights, and the residual structure where there is one."""
        weights, fit, design = self.fitted.recipe.weights, self.fitted.fit, self.fitted.design
        if weights is not None:
            a = a * np.sqrt(weights if weights.ndim == 1 else weights[feature])[:, None]
        if design.residual is None:
            return a[seen]
        one = slice(feature, feature + 1)
        small = replace(fit, theta=fit.theta[one], status=fit.status[one])
        root = residual_root(small, design, self.layout, np.eye(len(a))[None])[0].T
        covariance = (root @ root.T)[np.ix_(seen, seen)]  # a mask acts on the covariance
        return np.linalg.solve(np.linalg.cholesky(covariance), a[seen])


def _spread(index: np.ndarray, z: np.ndarray, n_levels: int) -> np.ndarray:
    """Columns (n, levels * k) of a group from its level numbers and its k columns."""
    out = np.zeros((len(z), n_levels, z.shape[1]))
    out[np.arange(len(z)), index] = z
    return out.reshape(len(z), -1)


def inverse_of(a: np.ndarray) -> np.ndarray:
    """Inverse of a positive semidefinite matrix, zero along what it does not see; columns scaled first."""
    size = np.sqrt(np.diag(a))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(a / np.outer(size, size))
    keep = values > ALIASED
    return (vectors[:, keep] / values[keep]) @ vectors[:, keep].T / np.outer(size, size)
