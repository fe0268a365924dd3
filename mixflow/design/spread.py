"""Cross-products by what a model of the residual's spread hangs on: rows with like columns weigh alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.design.forms import BasisArrays, FormBuilder, Shared
from mixflow.design.rows import RowBuilder


def kinds(dispersion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows (J, d) of ``dispersion`` (n, d) but that of zeros, and which each row is (n,), -1 if none."""
    rows, which = np.unique(dispersion, axis=0, return_inverse=True)
    kept = (rows != 0).any(axis=1)
    place = np.where(kept, np.cumsum(kept) - 1, -1)
    return rows[kept], place[which.ravel()]


@dataclass(frozen=True, eq=False)
class SpreadBuilder(FormBuilder):
    """For independent residuals whose spread hangs on few kinds of rows; ``kind`` (n,) as `kinds` has it."""

    kind: np.ndarray

    @classmethod
    def of(cls, rows: RowBuilder, groups: list[tuple[np.ndarray, np.ndarray]]) -> SpreadBuilder:
        """``groups``: (level index (n,), columns (n, k)) of each group of the layout, in its order."""
        return cls(Shared.of(rows, groups), kinds(rows.dispersion)[1])

    @property
    def n_summed(self) -> int:
        return len(self.kind)

    def fill(self, into: BasisArrays, y: np.ndarray, w: np.ndarray) -> None:
        """The rows of each kind; how many there are."""
        for j in range(into.counts.shape[1]):
            own = w * (self.kind == j)[:, None]
            into.counts[:, j] = (own > 0).sum(axis=0)
            self.put(into, 1 + j, self.weighted(own, y))
