"""One model: a family, random effects, and a role for each block of parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mixflow.covariance import Covariance
from mixflow.family import Family, Gaussian

Role = Literal["integrated", "profiled", "outer", "fixed"]


@dataclass(frozen=True)
class RandomEffect:
    """Effects of the levels of ``group``: b = Lambda(theta) u on the columns named by ``terms``."""

    group: str
    terms: tuple[str, ...]
    within: Covariance

    @property
    def theta_names(self) -> tuple[str, ...]:
        return tuple(f"{self.group}.{name}" for name in self.within.names(self.terms))


@dataclass(frozen=True)
class Model:
    """y | u ~ family, u ~ N(0, I); REML is beta integrated, ML is beta profiled; sigma is profiled."""

    random: tuple[RandomEffect, ...]
    family: Family = field(default_factory=Gaussian)
    beta: Role = "integrated"
    sigma: Role = "profiled"

    @property
    def reml(self) -> bool:
        return self.beta == "integrated"
