"""Errors of what hangs on coefficients and conditional modes of a generalised model together.

At fixed psi = (beta, theta, own) the random effects given y have covariance Lambda H^-1 Lambda'; the modes move
with psi by du/dpsi = -H^-1 d2J/dudpsi. Both together are TMB's variance of a prediction (Kristensen et al. 2016,
J. Stat. Softw. 70(5), section 2.1; Kass and Steffey 1989, J. Am. Stat. Assoc. 84:717). One feature at a time on
the host, in sparse matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from mixflow.backend import jax, jnp
from mixflow.family import Family
from mixflow.inference.family_means import rowwise
from mixflow.inference.family_rows import (
    FamilyRows,
    factor_slopes,
    family_rows,
    fixed_predictors,
    modes_part,
)
from mixflow.inference.generalised import FittedFamily


@dataclass(frozen=True, eq=False)
class ModeErrors:
    """One feature's modes: ``slope`` (E, P) of b by psi, and what solves for their covariance at fixed psi."""

    slope: np.ndarray
    factor: sparse.csc_matrix
    solve: Callable[[np.ndarray], np.ndarray]

    def variance(self, loading: sparse.csr_matrix) -> np.ndarray:
        """Variance of loading b (m, E) at fixed psi. (m,)."""
        own = (loading @ self.factor).toarray()
        return (own * self.solve(own.T).T).sum(axis=1)


@dataclass(frozen=True, eq=False)
class ModeEquations:
    """What the equations of all features of a fit share."""

    outcome: FittedFamily
    rows: FamilyRows

    @staticmethod
    def of(outcome: FittedFamily) -> ModeEquations:
        return ModeEquations(outcome, family_rows(outcome))

    def errors(self, i: int) -> ModeErrors:
        """Of the feature of this number, which must have been fitted."""
        one, d = self.outcome.take(np.array([i])), len(self.rows.X)
        theta = one.fit.theta
        eta = (fixed_predictors(one, self.rows) + modes_part(one, self.rows))[0]
        first, second = row_slopes(one, eta)
        seen = np.flatnonzero(one.observed[0])
        first, second = first[seen], second[seen]
        z = [loadings(self.rows, j, np.ones(len(eta)))[seen] for j in range(d)]
        lam, slopes = self._factor(theta)
        zl = [own @ lam for own in z]
        pull = _total(own.T @ first[:, j] for j, own in enumerate(z))
        u = -(lam.T @ pull)
        weighted = [_total(zl[j].multiply(second[:, j, [k]]).tocsr() for j in range(d)) for k in range(d)]
        hessian = sparse.identity(len(u)) + _total(weighted[k].T @ zl[k] for k in range(d))
        solve = splu(sparse.csc_matrix(hessian)).solve if len(u) else (lambda b: b)
        cross = [np.asarray(weighted[k].T @ self.rows.X[k][seen]) for k in range(d)]
        turned = [own @ u for own in slopes]
        moved = [
            s.T @ pull + _total(weighted[k].T @ (z[k] @ t) for k in range(d))
            for s, t in zip(slopes, turned, strict=True)
        ]
        own = _total(zl[j].T @ second[:, j, d:] for j in range(d))
        cross = np.column_stack([*cross, *moved, np.asarray(own)])
        slope = -(lam @ solve(cross)) if len(u) else np.zeros((0, cross.shape[1]))
        place = sum(x.shape[1] for x in self.rows.X)
        for t, column in enumerate(turned):
            slope[:, place + t] += column
        return ModeErrors(slope, lam, solve)

    def _factor(self, theta: np.ndarray) -> tuple[sparse.csc_matrix, list[sparse.csc_matrix]]:
        """Lambda of all effects, and its derivative by each theta."""
        e, done = self.rows.n_effects, {}
        entries = [([], [], []) for _ in range(theta.shape[1] + 1)]
        for piece in self.rows.pieces:
            key = (piece.group.name, piece.first)
            if key in done:
                continue
            done[key] = True
            factor, slope = factor_slopes(piece.effect, theta[:, piece.part])
            starts = piece.start + np.arange(piece.group.n_levels) * piece.group.size + piece.first
            a, b = (part.ravel() for part in np.indices(factor[0].shape))
            for number, values in [
                (0, factor[0]),
                *((1 + piece.part.start + q, slope[0, :, :, q]) for q in range(slope.shape[3])),
            ]:
                rows, columns, data = entries[number]
                rows.append((starts[:, None] + a).ravel())
                columns.append((starts[:, None] + b).ravel())
                data.append(np.tile(values.ravel(), len(starts)))
        joined = [
            sparse.csc_matrix((np.concatenate(v), (np.concatenate(r), np.concatenate(c))), shape=(e, e))
            if v
            else sparse.csc_matrix((e, e))
            for r, c, v in entries
        ]
        return joined[0], joined[1:]


def _total(parts: Iterable[Any]) -> Any:
    """Sum of matrices, sparse or not; of at least one."""
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def loadings(
    rows: FamilyRows, predictor: int, weight: np.ndarray, curves_alone: bool = False
) -> sparse.csr_matrix:
    """Columns of the effects of known levels on a predictor's rows, times ``weight`` (m,). (m, E)."""
    m = len(rows.labels)
    total = sparse.csr_matrix((m, rows.n_effects))
    for piece in rows.pieces:
        if piece.predictor != predictor or (curves_alone and not piece.curve):
            continue
        known = np.flatnonzero(piece.level >= 0)
        place = piece.place()[known]
        for k in range(piece.effect.size):
            values = weight[known] * piece.z[known, k]
            total = total + sparse.csr_matrix((values, (known, place + k)), shape=total.shape)
    return total


def row_slopes(one: FittedFamily, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minus the weighted log density of a feature's rows by (eta, own): (n, d + o), (n, d + o, d + o)."""
    family, n = one.family, len(eta)
    seen = one.observed[0]
    y = np.where(seen[:, None], one.y[0], np.array(family.filler))
    weight = np.ones(n) if one.weights is None else np.broadcast_to(one.weights, (1, n))[0]
    point = np.concatenate([eta, np.repeat(one.fit.free[:1], n, axis=0)], axis=1)
    return rowwise(_slopes(family), y, np.where(seen, weight, 0.0), point)


@lru_cache(maxsize=64)
def _slopes(family: Family) -> Callable[..., Any]:
    d = len(family.predictors)

    def minus(point: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        return -weight * family.log_density(y, point[:d], point[d:])

    def one(y: jax.Array, weight: jax.Array, point: jax.Array) -> tuple[jax.Array, jax.Array]:
        gradient = jax.grad(minus)
        along = jnp.eye(point.shape[0])
        push = lambda v: jax.jvp(lambda p: gradient(p, y, weight), (point,), (v,))[1]  # noqa: E731
        return gradient(point, y, weight), jax.vmap(push)(along)

    return jax.jit(jax.vmap(one))
