"""The Gaussian family against scipy, and against the exact marginal likelihood without random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mixflow.api import fit_values
from mixflow.backend import jax, jnp
from mixflow.family import Gaussian


def test_log_density_equals_scipy() -> None:
    y, mu, sigma = np.array([-3.0, 0.0, 1e8]), np.array([0.5, 0.0, 1e8 - 1]), np.array([2.0, 1e-3, 5.0])
    found = Gaussian().log_density(jnp.asarray(y), jnp.asarray(mu), jnp.asarray(sigma))
    np.testing.assert_allclose(found, stats.norm(mu, sigma).logpdf(y), rtol=1e-12)
    assert Gaussian().parameters == ("mu", "sigma")


def test_gradient_equals_numeric() -> None:
    density, h = Gaussian().log_density, 1e-6
    exact = jax.grad(density, argnums=(1, 2))(jnp.asarray(1.0), 0.3, 2.0)
    numeric = [
        (
            density(jnp.asarray(1.0), 0.3 + a * h, 2.0 + b * h)
            - density(jnp.asarray(1.0), 0.3 - a * h, 2.0 - b * h)
        )
        / (2 * h)
        for a, b in ((1, 0), (0, 1))
    ]
    np.testing.assert_allclose(exact, numeric, rtol=1e-7)


def test_without_random_effects_the_marginal_is_the_sum_of_densities() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40)})
    y = 1 + 2 * frame["x"].to_numpy() + rng.normal(size=40)
    fit = fit_values(y[None, :], frame, "~ x", reml=False)
    mu = fit.beta[0, 0] + fit.beta[0, 1] * frame["x"].to_numpy()
    by_ml = fit.sigma[0] * np.sqrt(38 / 40)  # the fit reports the unbiased sigma, as R's lm
    total = float(Gaussian().log_density(jnp.asarray(y), jnp.asarray(mu), jnp.asarray(by_ml)).sum())
    assert fit.loglik[0] == pytest.approx(total, rel=1e-12)
