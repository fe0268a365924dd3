"""What every covariance structure answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixflow.backend import jax


@dataclass(frozen=True)
class Covariance(ABC):
    """A k x k covariance written as Lambda(theta) Lambda(theta)', relative to the residual variance.

    Frozen and hashable: it is a static argument of the compiled kernels.
    """

    size: int

    @property
    @abstractmethod
    def n_params(self) -> int:
        """Length of theta."""

    @abstractmethod
    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        """A name for each parameter, from the names of the k columns (as lme4's ``getME(, "theta")``)."""

    @abstractmethod
    def start(self) -> np.ndarray:
        """A starting theta, away from the boundary. Shape (n_params,)."""

    @abstractmethod
    def factor(self, theta: jax.Array) -> jax.Array:
        """Lambda(theta), lower triangular but for `Structured`. Shape (k, k); traced by JAX."""

    @property
    @abstractmethod
    def boundary(self) -> np.ndarray:
        """Which parameters, when zero, put the covariance on its boundary. Bool (n_params,)."""

    @property
    @abstractmethod
    def even(self) -> np.ndarray:
        """Parameters whose sign alone does not change the covariance. Bool (n_params,)."""

    @property
    def hangs_on(self) -> np.ndarray:
        """For each parameter the one whose zero makes it meaningless, or -1. Int (n_params,)."""
        return np.full(self.n_params, -1)

    @property
    def tied(self) -> bool:
        """Whether the effects of one level share a variance, so that a single level can estimate it."""
        return False

    def scales(self, rms: np.ndarray) -> np.ndarray:
        """What the kernels divide the k columns by, from their root mean squares. (k,) -> (k,).

        A structure that ties the columns' variances together scales them alike, or not at all.
        """
        return rms

    @abstractmethod
    def scaling(self, columns: np.ndarray) -> np.ndarray:
        """t such that theta * t belongs to columns divided by ``columns`` (k,). Shape (n_params,)."""

    @abstractmethod
    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """The one representative of all theta with the same covariance. (N, n_params) -> the same."""

    def matrix(self, theta: np.ndarray) -> np.ndarray:
        """Lambda Lambda' of many theta. (N, n_params) -> (N, k, k); host side."""
        factor = self.factor_many(theta)
        return factor @ np.swapaxes(factor, -1, -2)

    @abstractmethod
    def factor_many(self, theta: np.ndarray) -> np.ndarray:
        """``factor`` of many theta on the host. (N, n_params) -> (N, k, k)."""
