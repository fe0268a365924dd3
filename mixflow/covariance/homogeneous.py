"""Independent effects that share one variance: the penalised part of a spline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.covariance.pooled import Pooled


@dataclass(frozen=True)
class Homogeneous(Pooled):
    """theta I: the one relative standard deviation of k columns."""

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        return ("smooth",)

    @property
    def fixed(self) -> np.ndarray:
        return np.eye(self.size)

    @property
    def diagonal(self) -> np.ndarray:
        return np.ones(self.size)
