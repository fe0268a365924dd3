"""The normal distribution, by mean and standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

from mixflow.backend import jax, jnp
from mixflow.family.base import Family


@dataclass(frozen=True)
class Gaussian(Family):
    """y ~ N(mu, sigma^2), identity link; its marginal likelihood is exact."""

    @property
    def parameters(self) -> tuple[str, ...]:
        return ("mu", "sigma")

    def log_density(self, y: jax.Array, *parameters: jax.Array) -> jax.Array:
        mu, sigma = parameters
        return -0.5 * ((y - mu) / sigma) ** 2 - jnp.log(sigma) - 0.5 * jnp.log(2 * jnp.pi)
