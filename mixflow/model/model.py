"""One model: a family, random effects, and a role for each block of parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mixflow.covariance import Covariance, Identity, Residual
from mixflow.family import Family, Gaussian

Role = Literal["integrated", "profiled", "outer", "fixed"]
Marginal = Literal["exact", "laplace", "quadrature"]


@dataclass(frozen=True)
class RandomEffect:
    """Effects of the levels of ``group``: b = Lambda(theta) u on the columns named by ``terms``.

    ``within``: covariance of the effects of one level; ``between``: of the levels among each other.
    """

    group: str
    terms: tuple[str, ...]
    within: Covariance
    between: Covariance = field(default_factory=lambda: Identity(1))

    @property
    def theta_names(self) -> tuple[str, ...]:
        return tuple(f"{self.group}.{name}" for name in self.within.names(self.terms))


@dataclass(frozen=True)
class Model:
    """y | u ~ family, u ~ N(0, I); REML is beta integrated, ML is beta profiled; sigma is profiled.

    ``residual``: covariance of rows given u, over sigma^2 / weight, None where rows are independent and alike;
    ``marginal``: how u is integrated out; sigma is 1 where its role is fixed (known residual variances).
    """

    random: tuple[RandomEffect, ...]
    family: Family = field(default_factory=Gaussian)
    residual: Residual | None = None
    marginal: Marginal = "exact"
    beta: Role = "integrated"
    sigma: Role = "profiled"

    @property
    def reml(self) -> bool:
        return self.beta == "integrated"
