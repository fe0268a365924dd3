"""Variance components moderated over features: the pieces against brute force, the whole against truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.contrasts import from_weights
from mixflow.inference.mixture_t import MixtureT
from mixflow.inference.moderate_components import _require_scalars, moderate_components
from mixflow.inference.moderation import moderated
from mixflow.inference.theta_prior import Evidence, _negative, fit_theta_prior, log_density, posterior
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.prepare import prepare
from mixflow.status import Status

GROUP = np.repeat(range(6), 5)
FRAME = pd.DataFrame({"g": GROUP.astype(str), "arm": (GROUP > 2) * 1.0, "w": np.arange(30) % 2.0})


def simulate(n: int, ratio: np.ndarray | float, seed: int) -> np.ndarray:
    """Features with 25 % missing, theta^2 = ratio, residual variances 8 / chi^2(8)."""
    rng = np.random.default_rng(seed)
    groups = np.sqrt(np.broadcast_to(ratio, n))[:, None] * rng.normal(size=(n, 6))
    values = np.sqrt(8 / rng.chisquare(8, size=(n, 1))) * (rng.normal(size=(n, 30)) + groups[:, GROUP])
    values[rng.random(values.shape) < 0.25] = np.nan
    return values


def fitted(formula: str, values: np.ndarray, frame: pd.DataFrame = FRAME) -> tuple[Fit, object, list]:
    design = build(parse(formula), frame)
    fit = fit_features(design, values, list(map(str, range(len(values)))))
    asked = from_weights({"arm": {"arm": 1}, "w": {"w": 1}}, design)
    return fit, design, asked


@pytest.fixture(scope="module")
def simple():
    values = simulate(400, np.where(np.arange(400) % 2, 0.6, 0.0), 1)
    return values, *fitted("~ arm + w + (1 | g)", values)


@pytest.fixture(scope="module")
def found(simple):
    values, fit, design, asked = simple
    return moderate_components(fit, design, values, asked)


def test_one_feature_by_brute_force(simple, found):
    """Posterior of theta, and of a contrast, from dense matrices and numerical integrals over sigma."""
    values, _, design, asked = simple
    prior, i = found["prior"], 7
    seen = np.isfinite(values[i])
    x, y = design.X[seen], values[i, seen]
    z = np.eye(6)[GROUP][seen]
    nu, d0, s0 = len(y) - 3, prior.df, prior.variance
    log, parts = [], []
    for theta in prior.values[:, 0]:
        v = np.eye(len(y)) + theta**2 * z @ z.T
        inner = np.linalg.inv(v)
        cov = np.linalg.inv(x.T @ inner @ x)
        beta = cov @ x.T @ inner @ y
        rss = (y - x @ beta) @ inner @ (y - x @ beta)
        half = -0.5 * (np.linalg.slogdet(v)[1] - np.linalg.slogdet(cov)[1])
        chi = lambda u, rss=rss: np.exp(-nu / 2 * np.log(u) - rss / (2 * u)) * _prior_density(u, d0, s0)  # noqa: E731
        log.append(half + np.log(integrate.quad(chi, 1e-3, 60, limit=400, epsabs=0, epsrel=1e-10)[0]))
        s2 = (rss + d0 * s0) / (nu + d0)
        parts.append(
            (theta**2 * s2, s2, [c.L[0] @ beta for c in asked], [c.L[0] @ cov @ c.L[0] * s2 for c in asked])
        )
    weight = np.exp(np.array(log) - max(log)) * prior.weights
    weight /= weight.sum()
    between, s2, centre, variance = (np.array(column) for column in zip(*parts, strict=True))
    np.testing.assert_allclose(found["variance"][i], [weight @ between, weight @ s2], rtol=1e-6)
    np.testing.assert_allclose(found["estimate"][i], weight @ centre, rtol=1e-6)
    below = weight @ stats.t.cdf(-centre / np.sqrt(variance), nu + d0)
    np.testing.assert_allclose(found["p_value"][i], 2 * np.minimum(below, 1 - below), rtol=1e-5)
    for end, p in (("conf_low", 0.025), ("conf_high", 0.975)):
        at = (found[end][i] - centre) / np.sqrt(variance)
        np.testing.assert_allclose(weight @ stats.t.cdf(at, nu + d0), p, rtol=1e-5)


def _prior_density(u: float, d0: float, s0: float) -> float:
    return float(stats.invgamma.pdf(u, d0 / 2, scale=d0 * s0 / 2))


def test_gradient_is_that_of_the_marginal_likelihood():
    rng = np.random.default_rng(2)
    evidence = Evidence(
        rng.normal(size=(30, 5)), rng.chisquare(9, size=(30, 5)), rng.integers(5, 12, 30) * 1.0
    )
    at, weights = np.log([4.0, 1.3]), np.log(np.full(5, 0.2))
    _, slope = _negative(at, evidence, weights)
    for k, step in enumerate(1e-5 * np.eye(2)):
        numeric = (
            _negative(at + step, evidence, weights)[0] - _negative(at - step, evidence, weights)[0]
        ) / 2e-5
        assert slope[k] == pytest.approx(numeric, rel=1e-6)


def test_marginal_likelihood_ends_at_a_maximum(simple):
    """No other prior of the grid, and no other (d0, s0^2), is better by more than where the steps end."""
    rng = np.random.default_rng(4)
    theta = np.array([0.0, 0.5, 1.5])
    true = theta[rng.integers(0, 3, 3000)]
    mean_square = (1 + 5 * true**2)[:, None] * rng.chisquare(5, size=(3000, 1))
    rss = rng.chisquare(20, size=(3000, 1)) + mean_square / (1 + 5 * theta**2)
    evidence = Evidence(np.broadcast_to(5 * np.log(1 + 5 * theta**2), (3000, 3)), rss, np.full(3000, 25.0))
    prior = fit_theta_prior([theta], evidence, (10.0, 1.0))
    reached = _value(prior.weights, min(prior.df, 1e5), prior.variance, evidence)
    for _ in range(30):
        other = prior.weights * np.exp(0.2 * rng.normal(size=3))
        assert _value(other / other.sum(), min(prior.df, 1e5), prior.variance, evidence) < reached + 0.05
    assert prior.df > 200  # sigma is the same for all
    assert prior.variance == pytest.approx(1, rel=0.02)
    np.testing.assert_allclose(prior.weights, 1 / 3, atol=0.05)
    np.testing.assert_allclose(posterior(evidence, prior).mean(axis=0), prior.weights, atol=1e-3)


def _value(weights: np.ndarray, d0: float, s0: float, evidence: Evidence) -> float:
    log = log_density(evidence, d0, s0)
    top = log.max(axis=1)
    return float((top + np.log(np.exp(log - top[:, None]) @ weights)).sum())


def test_variances_are_nearer_to_the_truth(simple, found):
    _, fit, _, _ = simple
    truth = np.where(np.arange(400) % 2, 0.6, 0.0)
    plain, better = (np.mean((v[:, 0] / v[:, 1] - truth) ** 2) for v in (fit.variance, found["variance"]))
    assert better < 0.5 * plain
    assert found["prior"].weights.sum() == pytest.approx(1)


def test_rejections_and_coverage_are_nominal(found):
    """400 features of two kinds: 5 % within three Monte Carlo errors (1.1 %)."""
    rejected = (found["p_value"] < 0.05).mean(axis=0)
    np.testing.assert_allclose(rejected, 0.05, atol=0.033)
    inside = (found["conf_low"] < 0) & (found["conf_high"] > 0)
    np.testing.assert_array_equal(inside, found["p_value"] > 0.05)


def test_without_random_effects_it_is_limma_by_maximum_likelihood():
    values = simulate(300, 0.0, 3)
    fit, design, asked = fitted("~ arm + w", values)
    found, limma = moderate_components(fit, design, values, asked), moderated(fit, asked)
    d0, s0 = found["prior"].df, found["prior"].variance
    assert d0 == pytest.approx(8, rel=0.4)  # the truth of the simulation
    expected = (limma["rdf"] * limma["s2"] + d0 * s0) / (limma["rdf"] + d0)
    np.testing.assert_allclose(found["variance"][:, 0], expected, rtol=1e-9)
    t = fit.solution[:, 1] / np.sqrt(fit.beta_cov[:, 1, 1] * expected / fit.sigma**2)
    np.testing.assert_allclose(
        found["p_value"][:, 0], 2 * stats.t.sf(np.abs(t), limma["rdf"] + d0), rtol=1e-9
    )


def test_weights_are_those_of_the_fit(simple):
    """Weights of 4 in all rows: residual variances are those of rows of weight 1 times 4, all else is the same."""
    values, _, design, asked = simple
    few, ids = values[:60], list(map(str, range(60)))
    weights = np.full(30, 4.0)
    heavy_fit, light_fit = fit_features(design, few, ids, weights=weights), fit_features(design, few, ids)
    heavy = moderate_components(heavy_fit, design, few, asked, weights=weights)
    light = moderate_components(light_fit, design, few, asked)
    np.testing.assert_allclose(heavy["variance"][:, 1], 4 * light["variance"][:, 1], rtol=0.01)
    np.testing.assert_allclose(heavy["variance"][:, 0], light["variance"][:, 0], rtol=0.01)
    np.testing.assert_allclose(np.log(heavy["p_value"]), np.log(light["p_value"]), atol=0.01)


def test_order_and_unit_of_features_do_not_matter(simple, found):
    values, _, design, asked = simple
    order = np.random.default_rng(1).permutation(400)
    fit = fit_features(design, 100 * values[order], list(map(str, order)))
    again = moderate_components(fit, design, 100 * values[order], asked)
    np.testing.assert_allclose(again["p_value"], found["p_value"][order], rtol=1e-3)
    np.testing.assert_allclose(again["variance"], 1e4 * found["variance"][order], rtol=1e-3)


def test_two_random_effects_and_what_cannot_be_estimated(simple):
    frame = FRAME.assign(h=np.tile(list("pqrst"), 6))
    rng = np.random.default_rng(8)
    values = simulate(60, 0.5, 8) + rng.normal(size=(60, 5))[:, np.arange(30) % 5]
    values[3, FRAME["w"] == 1] = np.nan
    values[4] = np.nan
    fit, design, asked = fitted("~ arm + w + (1 | g) + (1 | h)", values, frame)
    found = moderate_components(fit, design, values, asked)
    assert found["status"][3].tolist() == [Status.OK, Status.NOT_ESTIMABLE]
    assert np.isfinite(found["p_value"][3]).tolist() == [True, False]
    assert np.isnan(found["variance"][4]).all()
    kept = fit.fitted
    assert (found["variance"][kept] > 0).all()
    wide = fit.variance[kept].std(axis=0) > found["variance"][kept].std(axis=0)
    assert wide.all()


def test_what_is_not_covered_is_refused(simple):
    values, _, design, asked = simple
    with pytest.raises(MixflowError, match="Correlated"):
        _require_scalars(prepare(build(parse("~ w + arm + (w | g)"), FRAME), True).layout)
    four = "~ w + (1 | g) + (0 + w | g) + (0 + arm | g) + (0 + v | g)"
    frame = FRAME.assign(v=np.arange(30.0))
    with pytest.raises(MixflowError, match="Too many"):
        _require_scalars(prepare(build(parse(four), frame), True).layout)
    few = fit_features(design, values[:5], list("abcde"))
    with pytest.raises(MixflowError, match="too few"):
        moderate_components(few, design, values[:5], asked)


def test_quantiles_undo_the_distribution():
    rng = np.random.default_rng(0)
    weight = rng.dirichlet(np.ones(4), size=7)
    centre, scale = rng.normal(size=(7, 4, 2)), rng.uniform(0.2, 2, size=(7, 4, 2))
    for df in (np.full(7, 0.7), np.full(7, 30.0), np.full(7, np.inf)):
        mixture = MixtureT(weight, centre, scale, df)
        for p in (0.001, 0.025, 0.6):
            x = mixture.quantile(p)
            np.testing.assert_allclose(mixture.cdf(x), p, rtol=1e-8)
            slope = (mixture.cdf(x + 1e-5) - mixture.cdf(x - 1e-5)) / 2e-5
            np.testing.assert_allclose(mixture.density(x), slope, rtol=1e-4)
    far = MixtureT(weight, 1e3 + centre, scale, np.full(7, 30.0))
    assert far.two_sided().max() > 0  # no digits lost
    np.testing.assert_allclose(far.heaviest(1e-9).quantile(0.3), far.quantile(0.3), rtol=1e-9)


def test_analyses_have_the_tables_that_they_declare(simple, found):
    values, fit, design, asked = simple
    subject = Subject(fit, design, values, tuple(asked))
    table = ANALYSES["moderated_components"].run(subject)
    assert list(table.columns) == list(ANALYSES["moderated_components"].columns)
    np.testing.assert_allclose(table["variance"][:400], found["variance"][:, 0], rtol=1e-9)
    assert table["group"].tolist() == ["g"] * 400 + ["Residual"] * 400
    tests = ANALYSES["averaged_tests"].run(subject)
    assert list(tests.columns) == list(ANALYSES["averaged_tests"].columns)
    np.testing.assert_allclose(tests["p_value"][400:], found["p_value"][:, 1], rtol=1e-9)
