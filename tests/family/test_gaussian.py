"""The Gaussian family against the exact marginal likelihood without random effects (densities: test_densities)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.api import fit_values
from mixflow.backend import jax, jnp
from mixflow.family import Gaussian


def test_without_random_effects_the_marginal_is_the_sum_of_densities() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40)})
    y = 1 + 2 * frame["x"].to_numpy() + rng.normal(size=40)
    fit = fit_values(y[None, :], frame, "~ x", reml=False)
    mu = fit.beta[0, 0] + fit.beta[0, 1] * frame["x"].to_numpy()
    by_ml = fit.sigma[0] * np.sqrt(38 / 40)  # the fit reports the unbiased sigma, as R's lm
    eta = jnp.stack([jnp.asarray(mu), jnp.full(40, np.log(by_ml))], axis=1)
    density = jax.vmap(Gaussian().log_density, in_axes=(0, 0, None))
    total = float(density(jnp.asarray(y)[:, None], eta, jnp.zeros(0)).sum())
    assert fit.loglik[0] == pytest.approx(total, rel=1e-12)
