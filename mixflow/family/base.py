"""What a family answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mixflow.backend import jax


@dataclass(frozen=True)
class Family(ABC):
    """Conditional log density of y given its distributional parameters; knows nothing of random effects."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the distributional parameters, ``mu`` first."""

    @abstractmethod
    def log_density(self, y: jax.Array, *parameters: jax.Array) -> jax.Array:
        """log f(y | parameters), elementwise."""
