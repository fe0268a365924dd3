"""Derivatives against numeric ones; values and three derivatives at the extremes."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest
from scipy import stats

from mixflow.family import named
from tests.family.cases import BY_LABEL, CASES, Case, along

STEP = 1e-4
FIVE_POINTS = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}


@pytest.mark.parametrize("case", CASES, ids=attrgetter("label"))
def test_each_derivative_equals_the_numeric_one_of_the_order_below(case: Case) -> None:
    y, eta = case.grid
    own = np.broadcast_to(case.own, (len(y), case.family.n_own))
    direction = np.random.default_rng(0).normal(size=(len(y), eta.shape[1] + own.shape[1]))
    at = along(case.family, y, eta, own, direction)
    assert np.isfinite(at).all()
    numeric = np.zeros((3, len(y)))
    for k, weight in FIVE_POINTS.items():
        moved = np.concatenate([eta, own], axis=1) + k * STEP * direction
        d = eta.shape[1]
        numeric += weight / STEP * along(case.family, y, moved[:, :d], moved[:, d:], direction)[:3]
    scale = 1.0 + np.abs(at).max(axis=0)
    np.testing.assert_allclose(at[1:] / scale, numeric / scale, atol=2e-10)


EXTREMES = [
    "gaussian", "t", "censored", "binomial", "binomial probit", "binomial cloglog", "betabinomial", "poisson",
    "nbinom1", "nbinom2", "truncated_poisson", "truncated_nbinom1", "truncated_nbinom2", "zero-inflated poisson",
    "zero-inflated nbinom2", "hurdle nbinom1", "Gamma", "tweedie", "beta", "ordbeta", "cumulative",
    "cumulative probit", "cumulative cloglog",
]  # fmt: skip
"""Not lognormal and gaussian with log link: (y - mu)^2 / sd^2 of mu = e^700 is beyond the largest number."""


@pytest.mark.parametrize("label", EXTREMES)
def test_predictors_of_700_have_finite_values_and_derivatives(label: str) -> None:
    case = BY_LABEL[label]
    y, _ = case.grid
    y = np.unique(y, axis=0)
    if case.family.discrete and case.family.columns == ("y",) and "cumulative" not in label:
        y = np.append(y, [[1e9]], axis=0)
    names = [p.name for p in case.family.predictors]
    ends = [(j, e) for j, name in enumerate(names) for e in (-700.0, 700.0) if _representable(label, name, e)]
    for j, end in ends:
        eta = np.full((len(y), len(names)), 0.3)
        eta[:, j] = end
        for direction in (np.eye(len(names) + case.family.n_own)[j], np.ones(len(names) + case.family.n_own)):
            found = along(case.family, y, eta, case.own, direction)
            assert np.isfinite(found).all(), (names[j], end, y[~np.isfinite(found).all(axis=0)], found)


def _representable(label: str, name: str, end: float) -> bool:
    """Whether density and derivatives are numbers: a sd of e^-700 puts z^2 beyond the largest one.

    Tweedie's third derivative by the power is y^2 times its density, which is at e^700 already.
    """
    return not (label in ("gaussian", "censored", "tweedie") and name == "dispersion" and end < 0)


def value(name: str, y: object, eta: object, own: object = (), **options: object) -> float:
    family = named(name, **options)  # type: ignore[arg-type]
    eta = np.atleast_2d(eta)
    return float(along(family, np.atleast_2d(y), eta, own, np.ones(eta.shape[1] + family.n_own))[0, 0])


def test_values_at_the_extremes_are_right() -> None:
    assert value("binomial", [0.0, 3.0], [700.0]) == pytest.approx(-2100, rel=1e-14)
    assert value("binomial", [3.0, 0.0], [700.0]) == pytest.approx(0, abs=1e-300)
    assert value("binomial", [1.0, 0.0], [-700.0], link="cloglog") == pytest.approx(-700, rel=1e-14)
    assert value("binomial", [1.0, 0.0], [-700.0], link="probit") == pytest.approx(stats.norm.logcdf(-700))
    assert value("beta", 0.5, [-700.0, 0.0]) == pytest.approx(-700 + np.log(2), rel=1e-13)  # mu phi / y
    assert value("poisson", 5.0, [-700.0]) == pytest.approx(-3500 - np.log(120), rel=1e-14)
    assert value("truncated_poisson", 1.0, [-700.0]) == pytest.approx(0, abs=1e-12)
    assert value("truncated_nbinom2", 2.0, [-700.0, 0.3]) == pytest.approx(
        -700 + np.log((np.exp(0.3) + 1) / (2 * np.exp(0.3))), rel=1e-12
    )
    # -mu where the variance is nearly mu, -size log(mu / size) where it is nearly mu^2 / size
    assert value("nbinom1", 0.0, [700.0, -700.0]) == pytest.approx(-np.exp(700), rel=1e-12)
    assert value("nbinom2", 0.0, [700.0, -1.0]) == pytest.approx(-np.exp(-1) * 701, rel=1e-12)
    assert value("cumulative", 1.0, [700.0], [-1.0, 0.0], levels=3) == pytest.approx(-700, abs=1)
    assert value("tweedie", 0.0, [-700.0, 0.0], [0.0]) == pytest.approx(-2 * np.exp(-350))
    assert value("poisson", 0.0, [0.0, 700.0], zi=True) == pytest.approx(0, abs=1e-12)


def test_counts_of_a_billion_keep_their_digits() -> None:
    """At its mean a count has density 1 / sqrt(2 pi mu), less Stirling's correction; times sqrt(size / variance)."""
    mu = 1e9
    peak = -0.5 * np.log(2 * np.pi * mu) - 1 / (12 * mu)
    assert value("poisson", mu, [np.log(mu)]) == pytest.approx(peak, abs=1e-12)
    off = mu + 1e5  # a z of sqrt(10), by the third-order expansion of the deviance
    deviance = 2 * (off * np.log1p(1e-4) - 1e5)
    assert value("poisson", off, [np.log(mu)]) == pytest.approx(
        -0.5 * np.log(2 * np.pi * off) - deviance / 2, abs=1e-4
    )
    for phi in (0.0, 12.0, 20.0):
        wanted = stats.nbinom(np.exp(phi), np.exp(phi) / (np.exp(phi) + mu)).logpmf(mu)
        assert value("nbinom2", mu, [np.log(mu), phi]) == pytest.approx(wanted, abs=1e-5)
    assert value("binomial", [5e8, 5e8], [0.0]) == pytest.approx(0.5 * np.log(2 / (np.pi * 1e9)), abs=1e-6)


@pytest.mark.parametrize("y", [0.0, 1.0, 30.0, 1e6])
def test_negative_binomials_become_poisson_without_a_seam(y: float) -> None:
    """By size the difference falls as ((y - mu)^2 - y) / (2 size), down to the rounding of the density itself."""
    eta = np.log(20.0 if y < 100 else y)
    limit = value("poisson", y, [eta])
    for phi in np.linspace(25, 700, 40):
        first_order = ((y - np.exp(eta)) ** 2 - y) / 2 * np.exp(-phi)
        assert value("nbinom2", y, [eta, phi]) - limit == pytest.approx(first_order, abs=1e-12, rel=1e-3)
        assert value("nbinom1", y, [eta, eta - phi]) == pytest.approx(
            value("nbinom2", y, [eta, phi]), abs=1e-11
        )


def test_a_beta_binomial_without_overdispersion_is_binomial() -> None:
    y, eta = np.array([[3.0, 5.0], [0.0, 6.0], [200.0, 1.0]]), np.full((3, 2), 0.4)
    eta[:, 1] = 60.0
    with_it = along(named("betabinomial"), y, eta, [], np.array([1.0, 0.0]))
    without = along(named("binomial"), y, eta[:, :1], [], np.ones(1))
    np.testing.assert_allclose(with_it, without, atol=1e-11)


def test_outside_the_range_of_a_link_there_is_no_density() -> None:
    for name, link, eta in (("poisson", "identity", [-0.5]), ("Gamma", "inverse", [-0.5, 0.0])):
        family = named(name, link)
        found = along(family, np.ones((1, 1)), np.array([eta]), [], np.ones(len(eta)))
        assert found[0, 0] == -np.inf and not np.isnan(found).any()
