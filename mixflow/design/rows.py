"""Rows of every feature laid out by unit, for a residual covariance that hangs on theta.

Where the residual covariance is known, cross-products are computed once (`design.gram`). Where it is
estimated they change with theta, and each feature keeps its rows: units of correlated rows (a subject's
visits) side by side within the levels of the group that leads the arrow, padded to one shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mixflow.design.layout import Layout
from mixflow.design.observed import Observed, times


class RowArrays(NamedTuple):
    """Rows of N features, and what turns their solution back into the user's coordinates.

    The first seven as in `likelihood.data.Rows`, with a feature axis; the rest as in `GramArrays`.
    """

    z: np.ndarray
    rest: np.ndarray
    seen: np.ndarray
    where: np.ndarray
    dispersion: np.ndarray
    inert: np.ndarray
    dof: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    flat: np.ndarray


@dataclass(frozen=True, eq=False)
class RowBuilder:
    """What all features share: ``place`` (levels, units, rows) row numbers, -1 where padded."""

    layout: Layout
    q: np.ndarray
    z: np.ndarray  # (n, k) of the leading group
    corner: np.ndarray  # (n, C) dense columns of the other groups
    place: np.ndarray
    where: np.ndarray  # (n,)
    dispersion: np.ndarray  # (n, d)

    @classmethod
    def of(
        cls,
        layout: Layout,
        q: np.ndarray,
        groups: list[tuple[np.ndarray, np.ndarray]],
        place: np.ndarray,
        where: np.ndarray,
        dispersion: np.ndarray,
    ) -> RowBuilder:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        n = len(q)
        lead = 1 if layout.n_leading else 0
        dense = [_dense(index, z, g.n_levels) for g, (index, z) in zip(layout.groups, groups, strict=True)]
        z = groups[0][1] if lead else np.zeros((n, 1))
        corner = np.concatenate([np.zeros((n, 0)), *dense[lead:]], axis=1)
        return cls(layout, q, z, corner, place, where, dispersion)

    def build(self, values: np.ndarray, observed: Observed) -> RowArrays:
        """Rows of the given features. ``values`` (N, n), offset already subtracted, NaN where missing."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends as the status 'not finite'
            return self._build(values, observed)

    def _build(self, values: np.ndarray, observed: Observed) -> RowArrays:
        layout, n, p = self.layout, len(values), self.q.shape[1]
        w = observed.weights
        y, shift = self._residual(np.where(w > 0, values, 0.0), w, observed)
        norm = np.sqrt((w * y**2).sum(axis=1))
        total = np.sqrt((w * np.where(w > 0, values, 0.0) ** 2).sum(axis=1))
        flat = ~(norm > 1e-13 * total)
        scale = np.where(flat, 1.0, norm / np.sqrt(np.maximum(observed.n_obs, 1)))
        x = np.broadcast_to(self.q, (n, *self.q.shape)).copy()
        inert = np.zeros((n, layout.corner))
        for i, v in observed.basis.items():
            keep = v.copy()
            keep[:, observed.rank[i] :] = 0.0
            x[i] = self.q @ keep
            inert[i, layout.n_corner_effects + observed.rank[i] : layout.n_corner_effects + p] = 1.0
        corner = np.broadcast_to(self.corner, (n, *self.corner.shape))
        rest = np.concatenate([corner, x, (y / scale[:, None])[:, :, None]], axis=2)
        root = np.sqrt(w)
        dof = observed.n_obs - (observed.rank if layout.reml else 0)
        constant = 2 * dof * np.log(scale) - observed.log_weight
        if layout.reml:
            constant = constant + 2 * observed.log_det_r
        return RowArrays(
            self._laid(self.z * root[:, :, None]),
            self._laid(rest * root[:, :, None]),
            self._laid((w > 0).astype(float)),
            self._laid(np.broadcast_to(self.where, (n, len(self.where)))),
            self._laid(np.broadcast_to(self.dispersion, (n, *self.dispersion.shape))),
            inert,
            dof.astype(float),
            shift,
            scale,
            constant,
            flat,
        )

    def _laid(self, rows: np.ndarray) -> np.ndarray:
        """(N, n, ...) -> (N, levels, units, rows, ...), zero where padded."""
        laid = rows[:, np.maximum(self.place, 0)]
        padded = (self.place < 0).reshape(1, *self.place.shape, *[1] * (rows.ndim - 2))
        return np.where(padded, 0.0, laid)

    def _residual(self, y: np.ndarray, w: np.ndarray, observed: Observed) -> tuple[np.ndarray, np.ndarray]:
        """y less its weighted least-squares fit on Q, and that fit's coefficients; refined once."""
        p = self.q.shape[1]
        shift = np.zeros((len(y), p))
        if p == 0:
            return y, shift
        pairs = (self.q[:, :, None] * self.q[:, None, :]).reshape(len(self.q), p * p)
        cross = times(w, pairs).reshape(-1, p, p)
        inverse = np.zeros_like(cross)
        full = (observed.rank == p) & (observed.n_obs > 0)
        inverse[full] = np.linalg.inv(cross[full])
        for i, v in observed.basis.items():
            keep = v[:, : observed.rank[i]]
            inverse[i] = keep @ np.linalg.inv(keep.T @ cross[i] @ keep) @ keep.T
        for _ in range(2):
            step = (inverse @ times(w * y, self.q)[:, :, None])[:, :, 0]
            y = np.where(w > 0, y - times(step, self.q.T), 0.0)
            shift += step
        return y, shift


def _dense(index: np.ndarray, z: np.ndarray, n_levels: int) -> np.ndarray:
    """Columns of a group's random effects, level by level. (n, n_levels * k)."""
    member = np.equal.outer(index, np.arange(n_levels)).astype(float)
    return (member[:, :, None] * z[:, None, :]).reshape(len(index), -1)


def lay_out(unit: np.ndarray, level: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Row numbers (levels, units, rows) of each unit within its level, by ``order``; -1 where padded.

    ``unit`` (n,) unit of each row, ``level`` (n,) level of the leading group, in which the units nest.
    """
    rows = np.lexsort((np.arange(len(unit)), order, unit))
    of_unit = np.split(rows, np.flatnonzero(np.diff(unit[rows])) + 1)
    units_of: dict[int, list[np.ndarray]] = {}
    for members in of_unit:
        units_of.setdefault(int(level[members[0]]), []).append(members)
    shape = (int(level.max()) + 1, max(map(len, units_of.values())), max(map(len, of_unit)))
    place = np.full(shape, -1)
    for at, units in units_of.items():
        for u, members in enumerate(units):
            place[at, u, : len(members)] = members
    return place


def nests(unit: np.ndarray, level: np.ndarray) -> bool:
    """Whether every unit lies within one level."""
    pairs = np.unique(np.column_stack([unit, level]), axis=0)
    return len(pairs) == len(np.unique(unit))
