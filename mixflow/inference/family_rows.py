"""Rows of a generalised model, its own or new ones: linear predictors, and the variance of their random part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from mixflow.backend import jax
from mixflow.covariance import Covariance, Known
from mixflow.design.layout import GroupBlock
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.prediction import rows_of
from mixflow.model.unbounded import standing
from mixflow.optimise.glmm_prepare import prepare


@dataclass(frozen=True, eq=False)
class Piece:
    """A random term on m rows: columns ``z`` (m, k) of predictor ``predictor``, ``level`` (m,), -1 where new.

    ``effect`` and ``part``: its covariance and its part of theta; ``first``: its first column among the
    group's; ``start``: the group's first effect among all; ``curve``: a smooth, which no level leaves out.
    """

    predictor: int
    group: GroupBlock
    effect: Covariance
    part: slice
    first: int
    start: int
    level: np.ndarray
    z: np.ndarray
    curve: bool

    def place(self) -> np.ndarray:
        """Number of each row's first effect among all, whatever its level. (m,)."""
        return self.start + np.maximum(self.level, 0) * self.group.size + self.first


@dataclass(frozen=True, eq=False)
class FamilyRows:
    """m rows: ``X`` (m, p) and ``offset`` (m,) of each predictor, random terms; ``n_effects`` of all groups."""

    labels: list
    X: tuple[np.ndarray, ...]
    offset: tuple[np.ndarray, ...]
    pieces: tuple[Piece, ...]
    n_effects: int


def family_rows(outcome: FittedFamily, frame: pd.DataFrame | None = None) -> FamilyRows:
    """The rows of ``frame``, or of the designs themselves where it is None."""
    parts = [rows_of(outcome.designs[p.name], frame) for p in outcome.family.predictors]
    layout = prepare(outcome.designs, outcome.family).layout
    pieces, start = [], 0
    for group in layout.groups:
        terms = [
            (j, *own) for j, rows in enumerate(parts) for own in rows.random if own[0].group == group.name
        ]
        slices = [(effect, part) for g, effect, part in layout.slices if g is group]
        first = 0
        for (j, term, level, z), (effect, part) in zip(terms, slices, strict=True):
            if isinstance(effect, Known):  # one level, whose columns are the levels
                z = np.equal.outer(level, np.arange(effect.size)).astype(float)
                level = np.where(level < 0, -1, 0)
            pieces.append(Piece(j, group, effect, part, first, start, level, z, term.covariance == "smooth"))
            first += effect.size
        start += group.n_levels * group.size
    xs, offsets = tuple(rows.X for rows in parts), tuple(rows.offset for rows in parts)
    return FamilyRows(parts[0].labels, xs, offsets, tuple(pieces), start)


def fixed_predictors(outcome: FittedFamily, rows: FamilyRows) -> np.ndarray:
    """X beta and the offset of each predictor; NaN for features not fitted. (N, m, d)."""
    fit = outcome.fit
    found = [_product(fit.solution, rows.X[0]) + rows.offset[0]]
    for j, predictor in enumerate(outcome.family.predictors[1:], start=1):
        own = [i for i, name in enumerate(fit.more_names) if name[0] == predictor.name]
        found.append(_product(standing(fit.more[:, own]), rows.X[j]) + rows.offset[j])
    return np.stack(found, axis=-1)


def _product(beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """beta X' summed coefficient by coefficient: bytes do not hang on the number of features. (N, m)."""
    total = np.zeros((len(beta), len(x)))
    for b, column in zip(beta.T, x.T, strict=True):
        total += b[:, None] * column
    return total


def modes_part(outcome: FittedFamily, rows: FamilyRows, curves_alone: bool = False) -> np.ndarray:
    """Z b of each predictor at the conditional modes, 0 for new levels. (N, m, d)."""
    fit = outcome.fit
    total = np.zeros((len(fit.status), len(rows.labels), len(rows.X)))
    for piece in rows.pieces:
        if curves_alone and not piece.curve:
            continue
        modes = fit.modes[piece.group.name]
        place = piece.place() - piece.start
        for k in range(piece.effect.size):
            total[:, :, piece.predictor] += np.where(
                piece.level >= 0, modes[:, place + k] * piece.z[:, k], 0.0
            )
    return total


def variance_of(piece: Piece, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z' Lambda Lambda' z of the rows (N, m), and its derivative by the term's own theta (N, m, q)."""
    theta = np.nan_to_num(theta[:, piece.part])
    if isinstance(piece.effect, Known):  # of a level that is related to none
        ones = np.ones((len(theta), len(piece.z)))
        return theta[:, :1] ** 2 * ones, (2 * theta[:, :1] * ones)[:, :, None]
    factor, slope = factor_slopes(piece.effect, theta)
    load = np.einsum("mk,nkj->nmj", piece.z, factor)
    return (load**2).sum(axis=2), 2 * np.einsum("nmj,mk,nkjq->nmq", load, piece.z, slope)


def factor_slopes(effect: Covariance, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lambda (N, k, k) and its derivative by theta (N, k, k, q)."""
    kernel = _factor_slopes(effect)
    found = [kernel(own) for own in theta]
    k, q = effect.size, effect.n_params
    slopes = np.array([np.asarray(own) for own in found]).reshape(len(theta), k, k, q)
    return effect.factor_many(theta), slopes


@lru_cache(maxsize=64)
def _factor_slopes(effect: Covariance):
    return jax.jit(jax.jacfwd(effect.factor))


def random_variance(outcome: FittedFamily, rows: FamilyRows) -> tuple[np.ndarray, np.ndarray]:
    """Variance of each predictor's random part, curves left out (N, m, d), and by theta (N, m, d, q)."""
    fit = outcome.fit
    n, m, d = len(fit.status), len(rows.labels), len(rows.X)
    total, slope = np.zeros((n, m, d)), np.zeros((n, m, d, fit.theta.shape[1]))
    for piece in rows.pieces:
        if not piece.curve:
            value, by_theta = variance_of(piece, fit.theta)
            total[:, :, piece.predictor] += value
            slope[:, :, piece.predictor, piece.part] += by_theta
    return total, slope
