"""The general positive semidefinite covariance, by its lower Cholesky factor column by column (as lme4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.covariance.base import Covariance


@dataclass(frozen=True)
class Unstructured(Covariance):
    """theta holds the lower triangle of Lambda, column by column."""

    @property
    def n_params(self) -> int:
        return self.size * (self.size + 1) // 2

    @property
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        columns, rows = np.triu_indices(self.size)
        return rows, columns

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        rows, columns = self._index
        pairs: list[tuple[int, int]] = list(zip(rows.tolist(), columns.tolist(), strict=True))
        return tuple(str(terms[i]) if i == j else f"{terms[i]}.{terms[j]}" for i, j in pairs)

    def start(self) -> np.ndarray:
        rows, columns = self._index
        return (rows == columns).astype(float)

    def factor(self, theta: jax.Array) -> jax.Array:
        if self.size == 1:
            return theta.reshape(1, 1)
        return jnp.zeros((self.size, self.size)).at[self._index].set(theta)

    @property
    def boundary(self) -> np.ndarray:
        rows, columns = self._index
        return rows == columns

    @property
    def even(self) -> np.ndarray:
        return np.arange(self.n_params) == self.n_params - 1  # the last column has one entry only

    def scaling(self, columns: np.ndarray) -> np.ndarray:
        return columns[self._index[0]]

    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        factor = np.zeros((len(theta), self.size, self.size))
        factor[(slice(None), *self._index)] = theta
        return factor

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """Columns with a non-negative diagonal; where one is zero, the semidefinite Cholesky factor.

        A column's sign does not change the covariance. A zero on the diagonal with entries below it
        leaves a rotation free as well, which the semidefinite factorisation (a zero pivot gives a zero
        column) settles.
        """
        factor = self.factor_many(theta)
        diagonal = np.diagonal(factor, axis1=1, axis2=2)
        sign = np.where(diagonal < 0, -1.0, 1.0)
        factor = factor * sign[:, None, :]
        below = np.abs(factor).sum(axis=1) > np.abs(diagonal)
        free = ((diagonal == 0) & below).any(axis=1)
        if free.any():
            factor[free] = semidefinite_cholesky(factor[free] @ np.swapaxes(factor[free], 1, 2))
        return factor[(slice(None), *self._index)]


def semidefinite_cholesky(matrix: np.ndarray, tolerance: float = 1e-12) -> np.ndarray:
    """Lower factors of many positive semidefinite matrices. (N, k, k) -> (N, k, k)."""
    rest, factor = matrix.copy(), np.zeros_like(matrix)
    for j in range(matrix.shape[1]):
        zero = rest[:, j, j] <= tolerance * matrix[:, j, j]
        root = np.sqrt(np.where(zero, 1.0, rest[:, j, j]))
        column = np.where(zero[:, None], 0.0, rest[:, j:, j] / root[:, None])
        factor[:, j:, j] = column
        rest[:, j:, j:] -= column[:, :, None] * column[:, None, :]
    return factor
