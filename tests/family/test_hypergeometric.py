"""2 x 2 tables given their margins: against scipy's Fisher distribution, at the extremes, derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixflow.backend import jax, jnp
from mixflow.family.hypergeometric import Hypergeometric, terms_of

NONE = jnp.zeros(0)
TABLES = np.array([[3.0, 10, 12, 7], [0, 116, 117, 3], [5, 5, 9, 11], [40, 90, 60, 75]])
FAMILY = Hypergeometric(terms=terms_of(TABLES))


@pytest.mark.parametrize("eta", [-2.0, 0.0, 0.7, 4.0])
@pytest.mark.parametrize("y", TABLES)
def test_density_variance_and_cdf_are_fishers(y, eta):
    a, n1, n2, m = y
    theirs = stats.nchypergeom_fisher(int(n1 + n2), int(n1), int(m), np.exp(eta))
    at = jnp.asarray(y), jnp.array([eta]), NONE
    assert float(FAMILY.log_density(*at)) == pytest.approx(theirs.logpmf(a), abs=1e-9)
    assert float(FAMILY.cdf(*at)) == pytest.approx(theirs.cdf(a), abs=1e-9)
    assert float(FAMILY.cdf_below(*at)) == pytest.approx(theirs.cdf(a - 1), abs=1e-9)
    assert float(FAMILY.variance(*at)) == pytest.approx(theirs.var(), rel=1e-6)


@pytest.mark.parametrize("eta", [-700.0, 700.0])
@pytest.mark.parametrize("y", TABLES)
def test_extreme_odds_are_finite_and_right(y, eta):
    """At odds of e^700 the events stand at their highest possible value, and each fewer costs 700."""
    a, n1, n2, m = y
    end = min(n1, m) if eta > 0 else max(0.0, m - n2)
    value = float(FAMILY.log_density(jnp.asarray(y), jnp.array([eta]), NONE))
    assert np.isfinite(value) and value <= 0
    choose = lambda n, k: stats.binom.logpmf(k, n, 0.5) + n * np.log(2)  # noqa: E731
    expected = choose(n1, a) + choose(n2, m - a) - choose(n1, end) - choose(n2, m - end) - 700 * abs(a - end)
    assert value == pytest.approx(expected, abs=1e-6)
    slope = jax.grad(lambda e: FAMILY.log_density(jnp.asarray(y), e, NONE))(jnp.array([eta]))
    assert float(slope[0]) == pytest.approx(a - end, abs=1e-9)


def test_derivatives_are_those_of_differences():
    y, h = jnp.asarray(TABLES[3]), 1e-4
    f = lambda e: FAMILY.log_density(y, jnp.array([e]), NONE)  # noqa: E731
    slope, bend = jax.grad(f), jax.grad(jax.grad(f))
    assert float(slope(0.3)) == pytest.approx((float(f(0.3 + h)) - float(f(0.3 - h))) / (2 * h), abs=1e-6)
    assert float(bend(0.3)) == pytest.approx(
        (float(slope(0.3 + h)) - float(slope(0.3 - h))) / (2 * h), abs=1e-6
    )
    variance = float(FAMILY.variance(y, jnp.array([0.3]), NONE))
    assert float(bend(0.3)) == pytest.approx(-variance, rel=1e-9)


def test_draws_have_the_mean_and_keep_the_margins():
    y, eta = jnp.asarray(TABLES[0]), jnp.array([0.7])
    keys = jax.random.split(jax.random.PRNGKey(1), 20_000)
    draws = np.asarray(jax.vmap(lambda key: FAMILY.simulate(key, y, eta, NONE))(keys))
    np.testing.assert_array_equal(draws[:, 1:], np.tile(TABLES[0][1:], (len(draws), 1)))
    theirs = stats.nchypergeom_fisher(22, 10, 7, np.exp(0.7))
    assert draws[:, 0].mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / np.sqrt(len(draws)))


def test_tables_that_cannot_be_are_told():
    assert FAMILY.problems(TABLES) is None
    for wrong in ([11.0, 10, 12, 12], [1, 10, 2, 9], [3, 10, 12, 2], [1.5, 10, 12, 7], [-1, 10, 12, 7]):
        assert "2 x 2 table" in str(FAMILY.problems(np.array([wrong])))
