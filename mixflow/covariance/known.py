"""Effects whose covariance is known up to one factor: kinship, a genomic relationship, a phylogeny."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixflow.covariance.pooled import Pooled


@dataclass(frozen=True, eq=False)
class Known(Pooled):
    """theta L, where L L' is the known matrix (k, k). Compared and hashed by content (a static argument)."""

    lower: np.ndarray

    def __post_init__(self) -> None:
        frozen = np.array(self.lower, dtype=float)
        frozen.setflags(write=False)
        object.__setattr__(self, "lower", frozen)

    @classmethod
    def of(cls, matrix: np.ndarray) -> Known:
        """From a symmetric positive semidefinite matrix (k, k); its rank may be less than k."""
        return cls(len(matrix), lower_factor(matrix))

    @property
    def fixed(self) -> np.ndarray:
        return self.lower

    @property
    def diagonal(self) -> np.ndarray:
        return (self.lower**2).sum(axis=1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @cached_property
    def _content(self) -> tuple[int, str]:
        return self.size, hashlib.sha256(self.lower.tobytes()).hexdigest()


def lower_factor(matrix: np.ndarray) -> np.ndarray:
    """Lower triangular L with L L' = ``matrix``; semidefinite ones by way of their eigenvectors.

    sqrt(D) U' = Q R gives U D U' = R' R (Golub and Van Loan 2013, section 4.2.8).
    """
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        root = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
        lower = np.linalg.qr(root)[1].T
        return np.tril(lower * np.where(np.diag(lower) < 0, -1.0, 1.0))
