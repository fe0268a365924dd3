"""What Student's t has beside a density: its majorant, and its expected information."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from mixflow.backend import jax, jnp
from mixflow.family import named

T = named("t")
RESIDUAL = st.floats(-50, 50)


@settings(max_examples=50, deadline=None)
@given(RESIDUAL, RESIDUAL, st.floats(-2, 2), st.floats(-1, 6))
def test_the_majorant_touches_and_lies_above(
    here: float, there: float, log_scale: float, log_df: float
) -> None:
    y, own = jnp.zeros(1), jnp.array([log_df])

    def minus(mu: jax.Array) -> jax.Array:
        return -T.log_density(y, jnp.stack([mu, jnp.asarray(log_scale)]), own)

    weight = T.majorant(y, jnp.array([here, log_scale]), own)
    assert weight is not None
    value, slope = jax.value_and_grad(minus)(jnp.asarray(here))
    above = value + slope * (there - here) + 0.5 * float(weight) * (there - here) ** 2
    assert float(minus(jnp.asarray(there))) <= float(above) + 1e-9 * (1 + abs(float(above)))


def test_expected_information_is_that_of_an_integral() -> None:
    scale, df = 0.7, 3.5
    own, eta = jnp.array([np.log(df)]), jnp.array([0.4, np.log(scale)])
    found = np.asarray(T.information(eta, own))
    score = jax.jit(jax.vmap(lambda y: jax.grad(lambda e: T.log_density(y[None], e, own))(eta)))
    z = np.linspace(0.0005, 0.9995, 20_001)
    values = stats.t.ppf(z, df) * scale + 0.4
    s = np.asarray(score(jnp.asarray(values)))
    moments = integrate.simpson(s[:, :, None] * s[:, None, :], x=z, axis=0)
    np.testing.assert_allclose(found[0, 0], moments[0, 0], rtol=2e-3)
    np.testing.assert_allclose(found[1, 1], moments[1, 1], rtol=2e-2)  # the tails cut off have a large score
    np.testing.assert_allclose([found[0, 1], moments[0, 1]], 0.0, atol=1e-6)


def test_another_link_has_no_majorant() -> None:
    assert named("t", link="log").majorant(jnp.zeros(1), jnp.zeros(2), jnp.zeros(1)) is None
