"""Log densities and distribution functions against scipy, against each other, and total probability one."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest
from scipy import integrate, special, stats

from tests.family.cases import BY_LABEL, CASES, Case, every

WITH_SCIPY = [case for case in CASES if case.scipy is not None]
DISCRETE = [case for case in CASES if case.family.discrete and case.family.columns == ("y",)]


ids = attrgetter("label")


@pytest.mark.parametrize("case", WITH_SCIPY, ids=ids)
def test_density_and_distribution_function_equal_scipy(case: Case) -> None:
    assert case.scipy is not None
    y, eta = case.grid
    own = np.array(case.own)
    density = every(case.family, "log_density", y, eta, own)
    of = [case.scipy(e, own) for e in eta]
    kind = "logpmf" if case.family.discrete else "logpdf"
    wanted = [getattr(d, kind)(v[0]) for d, v in zip(of, y, strict=True)]
    np.testing.assert_allclose(density, wanted, rtol=1e-11, atol=1e-11)
    cdf = every(case.family, "cdf", y, eta, own)
    np.testing.assert_allclose(cdf, [d.cdf(v[0]) for d, v in zip(of, y, strict=True)], rtol=1e-9, atol=1e-11)
    below = every(case.family, "cdf_below", y, eta, own)
    step = 1.0 if case.family.discrete else 0.0
    np.testing.assert_allclose(
        below, [d.cdf(v[0] - step) for d, v in zip(of, y, strict=True)], rtol=1e-9, atol=1e-11
    )
    mean, variance = every(case.family, "mean", y, eta, own), every(case.family, "variance", y, eta, own)
    if not case.label.startswith("t"):
        np.testing.assert_allclose(mean, [d.mean() for d in of], rtol=1e-10)
        np.testing.assert_allclose(variance, [d.var() for d in of], rtol=1e-10)


@pytest.mark.parametrize("label", ["binomial", "binomial probit", "binomial cloglog", "betabinomial"])
def test_successes_equal_scipy(label: str) -> None:
    case = BY_LABEL[label]
    y, eta = case.grid
    inverse = {"logit": special.expit, "probit": special.ndtr, "cloglog": lambda e: -np.expm1(-np.exp(e))}
    p, n = inverse[case.family.predictors[0].link.name](eta[:, 0]), y.sum(axis=1)
    if label == "betabinomial":
        of = stats.betabinom(n.astype(int), p * np.exp(eta[:, 1]), (1 - p) * np.exp(eta[:, 1]))
    else:
        of = stats.binom(n.astype(int), p)
    density = every(case.family, "log_density", y, eta, [])
    np.testing.assert_allclose(density, of.logpmf(y[:, 0]), rtol=1e-11, atol=1e-11)
    for at, ours in ((0, "cdf"), (1, "cdf_below")):
        found = every(case.family, ours, y, eta, [])
        np.testing.assert_allclose(found, of.cdf(y[:, 0] - at), rtol=1e-9, atol=1e-11)
    variance = every(case.family, "variance", y, eta, [])
    np.testing.assert_allclose(variance, of.var() / n**2, rtol=1e-10)


@pytest.mark.parametrize("case", DISCRETE, ids=ids)
def test_probabilities_of_counts_and_categories_sum_to_one(case: Case) -> None:
    """The running sum is the distribution function, its end one, its moments mean and variance."""
    most = 5 if case.family.name == "cumulative" else 640
    least = 1 if case.family.without_zero else 0
    y, own = np.arange(least, most, dtype=float)[:, None], np.array(case.own)
    for e in case.eta:
        eta = np.tile(e, (len(y), 1))
        p = np.exp(every(case.family, "log_density", y, eta, own))
        assert p.sum() == pytest.approx(1.0, abs=1e-10)
        cdf = every(case.family, "cdf", y, eta, own)
        np.testing.assert_allclose(cdf, np.cumsum(p), rtol=1e-9, atol=1e-10)
        mean = every(case.family, "mean", y[:1], eta[:1], own)[0]
        variance = every(case.family, "variance", y[:1], eta[:1], own)[0]
        assert mean == pytest.approx(p @ y[:, 0], rel=1e-9)
        assert variance == pytest.approx(p @ (y[:, 0] - mean) ** 2, rel=1e-7)


CONTINUOUS = [
    ("gaussian", -np.inf, np.inf), ("t", -np.inf, np.inf), ("Gamma", 0, np.inf), ("hurdle Gamma", 0, np.inf),
    ("lognormal", 0, np.inf), ("tweedie", 0, np.inf), ("tweedie near Gamma", 0, np.inf), ("beta", 0, 1),
    ("ordbeta", 0, 1), ("tweedie near Poisson", 0, np.inf),
]  # fmt: skip


@pytest.mark.parametrize(("label", "low", "high"), CONTINUOUS)
def test_densities_integrate_to_the_distribution_function(label: str, low: float, high: float) -> None:
    """Between two points by Gauss-Legendre, and in all (by the distribution function's ends and the masses)."""
    case = BY_LABEL[label]
    nodes, weights = np.polynomial.legendre.leggauss(256)
    a, b = (0.2, 0.8) if high == 1 else (0.3, 4.0)
    y = 0.5 * (b - a) * nodes + 0.5 * (a + b)
    places = np.concatenate([y, [0.0, a, b, 1.0 if high == 1 else 1e9]])[:, None]
    for e in case.eta:
        eta = np.tile(e, (len(places), 1))
        density = np.exp(every(case.family, "log_density", places, eta, case.own))
        cdf = every(case.family, "cdf", places, eta, case.own)
        assert 0.5 * (b - a) * weights @ density[:256] == pytest.approx(cdf[-2] - cdf[-3], abs=1e-9)
        assert cdf[-1] == pytest.approx(1.0, abs=1e-7)
        if low == 0:
            has_zeros = label in ("hurdle Gamma", "ordbeta") or label.startswith("tweedie")
            assert cdf[-4] == pytest.approx(density[-4] if has_zeros else 0.0, abs=1e-12)


def test_a_limit_has_the_probability_of_what_lies_beyond_it() -> None:
    case = BY_LABEL["censored"]
    y, eta = case.grid
    of = stats.norm(eta[:, 0], np.exp(eta[:, 1]))
    density = every(case.family, "log_density", y, eta, [])
    interval = np.where(
        y[:, 0] > eta[:, 0], of.sf(y[:, 0]) - of.sf(y[:, 1]), of.cdf(y[:, 1]) - of.cdf(y[:, 0])
    )
    with np.errstate(divide="ignore"):
        wanted = np.where(y[:, 0] == y[:, 1], of.logpdf(y[:, 0]), np.log(interval))
    np.testing.assert_allclose(density, wanted, rtol=1e-9)


def test_a_normal_interval_far_in_the_tail_keeps_its_digits() -> None:
    case = BY_LABEL["censored"]
    lower = np.array([8.0, 20.0, 37.0, 100.0])
    y = np.stack([lower, lower + 1.5], axis=1)
    density = every(case.family, "log_density", y, np.zeros((4, 2)), [])
    # P(a < Z < b) = phi(a) * integral of exp(-a s - s^2 / 2) over 0..1.5
    wanted = [
        stats.norm.logpdf(a) + np.log(integrate.quad(lambda s: np.exp(-a * s - s * s / 2), 0, 1.5)[0])  # noqa: B023
        for a in lower
    ]
    np.testing.assert_allclose(density, wanted, rtol=1e-12)


def test_zero_inflation_and_hurdle_are_mixtures_of_their_parts() -> None:
    inflated, part = BY_LABEL["zero-inflated nbinom2"], BY_LABEL["nbinom2"]
    y, eta = inflated.grid
    zi = special.expit(eta[:, -1])
    of_part = every(part.family, "log_density", y, eta[:, :-1], [])
    found = every(inflated.family, "log_density", y, eta, [])
    np.testing.assert_allclose(np.exp(found), zi * (y[:, 0] == 0) + (1 - zi) * np.exp(of_part), rtol=1e-12)
    hurdle, truncated = BY_LABEL["hurdle nbinom1"], BY_LABEL["truncated_nbinom1"]
    of_part = every(truncated.family, "log_density", np.maximum(y, 1.0), eta[:, :-1], [])
    found = every(hurdle.family, "log_density", y, eta, [])
    np.testing.assert_allclose(
        np.exp(found), np.where(y[:, 0] == 0, zi, (1 - zi) * np.exp(of_part)), rtol=1e-12
    )
