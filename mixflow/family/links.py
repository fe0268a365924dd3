"""Links between a predictor and a mean, each with the logarithms that densities need, stable for any predictor.

Definitions as R's ``make.link`` and McCullagh and Nelder (1989), sections 2.2.3 and 4.3.1.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mixflow.backend import jax, jnp
from mixflow.errors import MixflowError, Problem
from mixflow.family.normal import log_normal_cdf
from mixflow.family.special import log_one_minus_exp, softplus


@dataclass(frozen=True)
class Link(ABC):
    """eta = link(mu). Frozen and hashable: part of a family, a static argument of the compiled kernels."""

    name: ClassVar[str]
    words: ClassVar[str]
    ratio: ClassVar[str] = ""
    """What exp of a difference of two predictors is; empty where it is nothing."""

    @abstractmethod
    def link(self, mu: jax.Array) -> jax.Array:
        """eta of a mean inside the link's range."""

    @abstractmethod
    def inverse(self, eta: jax.Array) -> jax.Array:
        """mu of a predictor."""

    @abstractmethod
    def log_inverse(self, eta: jax.Array) -> jax.Array:
        """log mu of a predictor, for links to a positive mean or a probability."""

    def inside(self, eta: jax.Array) -> jax.Array | bool:
        """Whether a positive mean answers this predictor; True for links that only have positive means."""
        return True


@dataclass(frozen=True)
class ProbabilityLink(Link):
    """The mean is a probability; eta is a quantile of the distribution that gives the link its name."""

    @abstractmethod
    def log_complement(self, eta: jax.Array) -> jax.Array:
        """log(1 - mu)."""

    def inverse(self, eta: jax.Array) -> jax.Array:
        return jnp.exp(self.log_inverse(eta))

    def complement(self, eta: jax.Array) -> jax.Array:
        """1 - mu, with its own relative precision."""
        return jnp.exp(self.log_complement(eta))


@dataclass(frozen=True)
class Logit(ProbabilityLink):
    """mu = 1 / (1 + exp(-eta))."""

    name = "logit"
    words = "logit"
    ratio = "odds ratio"

    def link(self, mu: jax.Array) -> jax.Array:
        return jnp.log(mu) - jnp.log1p(-mu)

    def inverse(self, eta: jax.Array) -> jax.Array:
        return jax.lax.logistic(eta)

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return -softplus(-eta)

    def log_complement(self, eta: jax.Array) -> jax.Array:
        return -softplus(eta)


@dataclass(frozen=True)
class Probit(ProbabilityLink):
    """mu = Phi(eta)."""

    name = "probit"
    words = "probit"

    def link(self, mu: jax.Array) -> jax.Array:
        return jax.scipy.special.ndtri(mu)

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return log_normal_cdf(eta)

    def log_complement(self, eta: jax.Array) -> jax.Array:
        return log_normal_cdf(-eta)


@dataclass(frozen=True)
class Cloglog(ProbabilityLink):
    """mu = 1 - exp(-exp(eta)): the chance of at least one event of a Poisson process with log rate eta."""

    name = "cloglog"
    words = "complementary log-log"
    ratio = "hazard ratio"

    def link(self, mu: jax.Array) -> jax.Array:
        return jnp.log(-jnp.log1p(-mu))

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return log_one_minus_exp(eta)

    def log_complement(self, eta: jax.Array) -> jax.Array:
        return -jnp.exp(eta)


@dataclass(frozen=True)
class Log(Link):
    """mu = exp(eta)."""

    name = "log"
    words = "log"
    ratio = "ratio of means"

    def link(self, mu: jax.Array) -> jax.Array:
        return jnp.log(mu)

    def inverse(self, eta: jax.Array) -> jax.Array:
        return jnp.exp(eta)

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return eta


@dataclass(frozen=True)
class Identity(Link):
    """mu = eta."""

    name = "identity"
    words = "identity"

    def link(self, mu: jax.Array) -> jax.Array:
        return mu

    def inverse(self, eta: jax.Array) -> jax.Array:
        return eta

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return jnp.log(eta)

    def inside(self, eta: jax.Array) -> jax.Array | bool:
        return eta > 0


@dataclass(frozen=True)
class Inverse(Link):
    """mu = 1 / eta."""

    name = "inverse"
    words = "inverse"

    def link(self, mu: jax.Array) -> jax.Array:
        return 1.0 / mu

    def inverse(self, eta: jax.Array) -> jax.Array:
        return 1.0 / eta

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return -jnp.log(eta)

    def inside(self, eta: jax.Array) -> jax.Array | bool:
        return eta > 0


@dataclass(frozen=True)
class Sqrt(Link):
    """mu = eta^2, eta > 0 (the negative root would be a second answer for the same mean)."""

    name = "sqrt"
    words = "square-root"

    def link(self, mu: jax.Array) -> jax.Array:
        return jnp.sqrt(mu)

    def inverse(self, eta: jax.Array) -> jax.Array:
        return eta * eta

    def log_inverse(self, eta: jax.Array) -> jax.Array:
        return 2.0 * jnp.log(eta)

    def inside(self, eta: jax.Array) -> jax.Array | bool:
        return eta > 0


LOGIT, PROBIT, CLOGLOG, LOG, IDENTITY, INVERSE, SQRT = (
    Logit(), Probit(), Cloglog(), Log(), Identity(), Inverse(), Sqrt(),
)  # fmt: skip
LINKS: dict[str, Link] = {link.name: link for link in (LOGIT, PROBIT, CLOGLOG, LOG, IDENTITY, INVERSE, SQRT)}


def link_named(name: str, allowed: tuple[str, ...], family: str) -> Link:
    """The link of this name, one of those that the family takes; MixflowError naming them otherwise."""
    if name in allowed:
        return LINKS[name]
    near = difflib.get_close_matches(name.lower(), allowed, n=1, cutoff=0.5)
    raise MixflowError(
        Problem(
            f"the family {family} does not take this link",
            value=name,
            remedy=f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(allowed)}",
        )
    )
