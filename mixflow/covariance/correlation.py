"""Correlation of positions (visits, times): written once, used on the residual side and within a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.linalg.ldl import ldl


@dataclass(frozen=True)
class Correlation(ABC):
    """theta and positions -> a T x T matrix; ``size``: number of distinct positions in the design.

    ``where`` are position numbers 0 .. size - 1 (continuous times for OU). The parameters are unconstrained
    reals; ``natural`` turns them into what the field reports (rho, phi, ratios of standard deviations).
    Frozen and hashable: a static argument of the compiled kernels.
    """

    size: int

    @property
    @abstractmethod
    def n_params(self) -> int:
        """Length of theta."""

    @abstractmethod
    def names(self, positions: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the natural parameters, one for each of theta; ``positions``: labels of the positions."""

    @abstractmethod
    def matrix(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        """Correlation of the rows at ``where`` (T,). Shape (T, T); traced by JAX."""

    @abstractmethod
    def natural(self, theta: np.ndarray) -> np.ndarray:
        """Natural parameters of many theta. (N, n_params) -> the same shape; host side."""

    def start(self) -> np.ndarray:
        """A starting theta. Shape (n_params,)."""
        return np.zeros(self.n_params)

    def root(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        """A with A A' = `matrix`, smooth in theta. Shape (T, T)."""
        lower, pivots = ldl(self.matrix(theta, where))
        return lower * jnp.sqrt(pivots)[None, :]

    @property
    def even(self) -> np.ndarray:
        """Parameters whose sign alone changes nothing. Bool (n_params,)."""
        return np.zeros(self.n_params, dtype=bool)

    @property
    def boundary(self) -> np.ndarray:
        """Parameters that, when zero, make the matrix singular. Bool (n_params,)."""
        return np.zeros(self.n_params, dtype=bool)


@dataclass(frozen=True)
class AR1(Correlation):
    """rho^|i - j| by the order of the positions; rho = theta / sqrt(1 + theta^2), as glmmTMB."""

    @property
    def n_params(self) -> int:
        return 1

    def names(self, positions: tuple[str, ...]) -> tuple[str, ...]:
        return ("rho",)

    def matrix(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        rho = theta[0] / jnp.sqrt(1.0 + theta[0] ** 2)
        # Powers as products: exact derivatives at rho = 0, and negative rho.
        powers = jnp.cumprod(jnp.concatenate([jnp.ones(1), jnp.full(max(self.size - 1, 0), rho)]))
        lag = jnp.abs(where[:, None] - where[None, :]).astype(int)
        return powers[lag]

    def apart(self, theta: jax.Array, gaps: np.ndarray) -> jax.Array:
        """Correlation of two rows at each of the ``gaps`` (D,), whole numbers of at least 1."""
        rho = theta[0] / jnp.sqrt(1.0 + theta[0] ** 2)
        powers = jnp.cumprod(jnp.full(int(gaps.max()), rho))  # products: see `matrix`
        return powers[gaps.astype(int) - 1]

    def natural(self, theta: np.ndarray) -> np.ndarray:
        return theta / np.sqrt(1.0 + theta**2)


@dataclass(frozen=True)
class OrnsteinUhlenbeck(Correlation):
    """phi^|t_i - t_j| in continuous time (nlme's corCAR1); phi = theta^2 / (1 + theta^2), so 0 is reached.

    ``unit``: the smallest distance of two times of one unit, by which the kernel's times are divided: powers
    of at least 1 keep two derivatives at phi = 0. ``natural`` is phi at a distance of 1 in the user's time.
    """

    unit: float = 1.0

    @property
    def n_params(self) -> int:
        return 1

    def names(self, positions: tuple[str, ...]) -> tuple[str, ...]:
        return ("phi",)

    def start(self) -> np.ndarray:
        return np.ones(1)

    def matrix(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        squared = theta[0] ** 2 + 1e-200  # the power's derivatives at 0 are then 0, not 0 * inf
        distance = jnp.abs(where[:, None] - where[None, :])
        power = jnp.power(squared / (1.0 + squared), jnp.where(distance > 0, distance, 1.0))
        return jnp.where(distance > 0, power, 1.0)

    def apart(self, theta: jax.Array, gaps: np.ndarray) -> jax.Array:
        """Correlation of two rows at each of the ``gaps`` (D,), in the kernel's time."""
        squared = theta[0] ** 2 + 1e-200
        return jnp.power(squared / (1.0 + squared), gaps)

    def natural(self, theta: np.ndarray) -> np.ndarray:
        return (theta**2 / (1.0 + theta**2)) ** (1.0 / self.unit)

    @property
    def even(self) -> np.ndarray:
        return np.ones(1, dtype=bool)


@dataclass(frozen=True)
class CompoundSymmetry(Correlation):
    """One correlation between any two of T = ``size`` positions, from -1 / (T - 1) to 1 (nlme's corCompSymm).

    rho = (theta^2 - 1) / (theta^2 + T - 1): theta = 1 is no correlation, and the lower bound is an ordinary
    point, theta = 0, in which the likelihood is even.
    """

    @property
    def n_params(self) -> int:
        return 1

    def names(self, positions: tuple[str, ...]) -> tuple[str, ...]:
        return ("rho",)

    def matrix(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        return self.of((theta[0] ** 2 - 1.0) / (theta[0] ** 2 + max(self.size, 2) - 1.0), where)

    def of(self, rho: jax.Array, where: jax.Array) -> jax.Array:
        """The matrix with this correlation."""
        return jnp.where(jnp.eye(where.shape[0], dtype=bool), 1.0, rho)

    def root(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        """The symmetric root of all T positions: eigenvalues sqrt(1 - rho), and theta times that for their sum.

        Its sign follows theta's, so that it has derivatives where a triangular root has none.
        """
        t = max(self.size, 2)
        scale = jnp.sqrt(t / (theta[0] ** 2 + t - 1.0))
        return scale * (jnp.eye(where.shape[0]) + (theta[0] - 1.0) / t)

    def start(self) -> np.ndarray:
        return np.ones(1)

    @property
    def even(self) -> np.ndarray:
        return np.ones(1, dtype=bool)

    @property
    def boundary(self) -> np.ndarray:
        return np.ones(1, dtype=bool)

    def natural(self, theta: np.ndarray) -> np.ndarray:
        return (theta**2 - 1.0) / (theta**2 + max(self.size, 2) - 1.0)


@dataclass(frozen=True)
class UnstructuredByVisit(Correlation):
    """Any covariance of the visits relative to the variance of the first (the mmrm model).

    theta: row by row of the lower Cholesky factor from the second row on, log on the diagonal; the first
    entry is 1, so that sigma is the standard deviation of the first visit. Natural parameters: ratios of
    standard deviations to the first, and correlations.
    """

    @property
    def n_params(self) -> int:
        return self.size * (self.size + 1) // 2 - 1

    @property
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.tril_indices(self.size)
        return rows[1:], columns[1:]

    def names(self, positions: tuple[str, ...]) -> tuple[str, ...]:
        first = positions[0]
        return tuple(
            f"sd[{positions[i]}]/sd[{first}]" if i == j else f"cor[{positions[i]},{positions[j]}]"
            for i, j in zip(*self._index, strict=True)
        )

    def matrix(self, theta: jax.Array, where: jax.Array) -> jax.Array:
        rows, columns = self._index
        entries = jnp.where(jnp.asarray(rows == columns), jnp.exp(theta), theta)
        factor = jnp.zeros((self.size, self.size)).at[0, 0].set(1.0).at[rows, columns].set(entries)
        place = where.astype(int)
        return (factor @ factor.T)[place[:, None], place[None, :]]

    def natural(self, theta: np.ndarray) -> np.ndarray:
        rows, columns = self._index
        factor = np.zeros((len(theta), self.size, self.size))
        factor[:, 0, 0] = 1.0
        factor[:, rows, columns] = np.where(rows == columns, np.exp(theta), theta)
        matrix = factor @ np.swapaxes(factor, 1, 2)
        sd = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
        correlation = matrix / sd[:, :, None] / sd[:, None, :]
        return np.where(rows == columns, sd[:, rows] / sd[:, :1], correlation[:, rows, columns])
