"""What else a family answers: draws, starts, support, names."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest

from mixflow.backend import jax, jnp
from mixflow.errors import MixflowError
from mixflow.family import FAMILIES, Cumulative, named
from tests.family.cases import BY_LABEL, CASES, Case, every

DRAWS = 4000
FAR_OWN = {"tweedie near Gamma", "t near Cauchy"}
"""Their power of 1.92 and df of 0.5 are far from where own parameters start (1.5 and 5)."""
HEAVY = {"t", "t near Cauchy"}
"""No fourth moment, so that their sample variance says nothing."""


@pytest.mark.parametrize("case", CASES, ids=attrgetter("label"))
def test_draws_have_mean_and_variance_and_uniform_residuals(case: Case) -> None:
    """Mean and variance within five standard errors; randomised quantile residuals are uniform."""
    family, own = case.family, jnp.asarray(case.own, float)
    eta = jnp.asarray(case.eta[0])
    y = jnp.asarray(case.responses[0 if case.label != "binomial" else 2])
    keys = jax.random.split(jax.random.key(1), DRAWS)
    drawn = jax.jit(jax.vmap(lambda key: family.simulate(key, y, eta, own)))(keys)
    assert family.problems(np.asarray(drawn)) is None
    value = np.asarray(jax.vmap(family.value)(drawn))
    mean, variance = float(family.mean(eta, own)), float(family.variance(y, eta, own))
    if case.label not in HEAVY:
        assert abs(value.mean() - mean) < 5 * np.sqrt(variance / DRAWS)
        spread = (value - mean) ** 2
        assert abs(spread.mean() - variance) < 5 * spread.std() / np.sqrt(DRAWS) + 1e-12
    many = np.tile(np.asarray(eta), (DRAWS, 1))
    upper, lower = every(family, "cdf", drawn, many, own), every(family, "cdf_below", drawn, many, own)
    assert (lower <= upper).all()
    residual = lower + np.random.default_rng(0).uniform(size=DRAWS) * (upper - lower)
    away = np.abs(np.sort(residual) - (np.arange(DRAWS) + 0.5) / DRAWS).max()
    assert away < 1.95 / np.sqrt(DRAWS)  # Kolmogorov and Smirnov, p = 0.001


@pytest.mark.parametrize("case", CASES, ids=attrgetter("label"))
def test_starts_are_finite_and_near_what_the_data_were_drawn_from(case: Case) -> None:
    family, own = case.family, jnp.asarray(case.own, float)
    eta = jnp.asarray(case.eta[-1])
    y = jnp.asarray(case.responses[-1])
    keys = jax.random.split(jax.random.key(2), 400)
    drawn = jax.vmap(lambda key: family.simulate(key, y, eta, own))(keys)
    unseen = jnp.concatenate([drawn, jnp.full((100, y.shape[0]), jnp.nan)])
    weight = jnp.concatenate([jnp.ones(400), jnp.zeros(100)])
    start, own_start = family.start(unseen, weight)
    assert start.shape == eta.shape and own_start.shape == (family.n_own,)
    assert np.isfinite(start).all() and np.isfinite(own_start).all()
    if case.family.name != "cumulative":
        scale = np.exp(float(eta[1])) if case.label.startswith("t ") else 1.0
        assert abs(float(start[0] - eta[0])) < scale
    at_start = every(family, "log_density", drawn, np.tile(start, (400, 1)), own_start)
    at_truth = every(family, "log_density", drawn, np.tile(eta, (400, 1)), own)
    assert np.isfinite(at_start).all()
    if case.label not in FAR_OWN:
        assert at_start.mean() > at_truth.mean() - 1.5  # rough: not lost beyond one and a half units a row
    for nothing in (jnp.zeros(500), weight.at[1:].set(0.0)):
        start, own_start = family.start(unseen, nothing)
        assert not np.isinf(start).any() and not np.isinf(own_start).any()


@pytest.mark.parametrize(
    ("name", "options", "y", "words"),
    [
        ("poisson", {}, [1.0, 2.5], "value 2.5 (at position 2) is none: give raw counts"),
        ("nbinom2", {"zi": True}, [3.0, -1.0], "value -1 (at position 2)"),
        ("truncated_nbinom2", {}, [1.0, 0.0], "zeros belong to a hurdle"),
        ("truncated_nbinom2", {"zi": True}, [0.0, 0.5], "value 0.5 (at position 2)"),
        ("Gamma", {}, [0.0], "hurdle (ask for `zi`)"),
        ("Gamma", {"zi": True}, [0.0, -2.0], "from 0 upwards; value -2"),
        ("lognormal", {}, [np.inf], "value inf"),
        ("beta", {}, [0.5, 1.0], "`ordbeta` takes exact zeros"),
        ("ordbeta", {}, [0.5, 1.5], "value 1.5"),
        ("tweedie", {}, [-0.1], "value -0.1"),
        ("binomial", {}, [[1.0, 0.5]], "failures as whole numbers"),
        ("betabinomial", {}, [[0.0, 0.0]], "at least one trial"),
        ("cumulative", {"levels": 3}, [3.0], "positions of categories from 0 to 2"),
        ("gaussian", {}, [np.inf], "finite numbers"),
        ("t", {}, [-np.inf], "finite numbers"),
        ("censored", {}, [[2.0, 1.0]], "lower <= upper"),
        ("censored", {}, [[-np.inf, np.inf]], "one of them finite"),
    ],
)
def test_a_value_outside_the_support_is_named_with_the_way_out(
    name: str, options: dict, y: list, words: str
) -> None:
    family = named(name, **options)
    told = family.problems(np.asarray(y, float).reshape(len(y), -1))
    assert told is not None and words in told
    filler = np.array([family.filler, np.full(len(family.filler), np.nan)])
    assert family.problems(filler) is None


def test_names_links_and_options_that_are_not_there_are_refused_with_the_nearest() -> None:
    for name, near in (
        ("Nbinom2", "nbinom2"),
        ("gamma", "Gamma"),
        ("negbin", "nbinom2"),
        ("tweedy", "tweedie"),
    ):
        with pytest.raises(MixflowError, match=f"did you mean '{near}'"):
            named(name)
    with pytest.raises(MixflowError, match="Families are gaussian, t, censored"):
        named("zzzzzz")
    with pytest.raises(MixflowError, match="did you mean 'logit'"):
        named("binomial", "logi")
    with pytest.raises(MixflowError, match="takes no `zi`"):
        named("gaussian", zi=True)
    with pytest.raises(MixflowError, match="no option levels"):
        named("poisson", levels=3)
    with pytest.raises(MixflowError, match="at least three"):
        named("cumulative", levels=2)
    with pytest.raises(MixflowError, match="flexible, symmetric, equidistant"):
        named("cumulative", levels=4, thresholds="free")


def test_every_family_is_found_by_its_name_and_is_hashable() -> None:
    for name, kind in FAMILIES.items():
        family = named(name, **({"levels": 4} if kind is Cumulative else {}))
        assert isinstance(family, kind) and family.name == name == family.base.name and family.title
        assert hash(family) == hash(named(name, **({"levels": 4} if kind is Cumulative else {})))
        assert family.predictors[0].name == "mu" and family.predictors[0].link.name == kind.links[0]
        for link in kind.links:
            assert (
                named(name, link, **({"levels": 4} if kind is Cumulative else {})).predictors[0].link.name
                == link
            )
    assert named("nbinom2", zi=True).title == "zero-inflated negative binomial"
    assert named("nbinom2", zi=True).base.name == "nbinom2"
    assert [p.name for p in named("truncated_nbinom1", zi=True).predictors] == ["mu", "dispersion", "zi"]


def test_a_family_says_what_a_ratio_is() -> None:
    told = {"poisson": "rate ratio", "binomial": "odds ratio", "Gamma": "ratio of means", "gaussian": ""}
    for name, ratio in told.items():
        assert named(name).ratio == ratio
    assert named("nbinom2", zi=True).ratio == named("truncated_nbinom2").ratio == "rate ratio"
    assert named("binomial", "probit").ratio == "" and named("binomial", "cloglog").ratio == "hazard ratio"
    assert named("cumulative", levels=4).ratio == "odds ratio"
    assert named("cumulative", "cloglog", levels=4).ratio == ""


def test_thresholds_of_few_parameters_are_symmetric_or_equidistant() -> None:
    for levels in (3, 4, 5, 6):
        symmetric = Cumulative(levels=levels, thresholds="symmetric")
        assert symmetric.n_own == 1 + (levels - 1) // 2  # as clm's central and spacing parameters
        gaps = np.diff(symmetric.natural(jnp.linspace(-0.5, 0.8, symmetric.n_own)))
        np.testing.assert_allclose(gaps, gaps[::-1])
        assert np.mean(symmetric.natural(jnp.full(symmetric.n_own, 0.3))) == pytest.approx(0.3)
        even = Cumulative(levels=levels, thresholds="equidistant")
        assert even.n_own == 2
        np.testing.assert_allclose(np.diff(even.natural(jnp.array([0.1, np.log(2.0)]))), 2.0)


def test_an_empty_category_leaves_the_likelihood_of_the_others() -> None:
    """Of five categories the second and the last were never seen: three are fitted, thresholds told for all."""
    family = Cumulative(levels=5)
    y = np.array([0.0, 2.0, 3.0, np.nan, 2.0, 0.0])
    anew, held, present = family.without_empty(y)
    np.testing.assert_array_equal(anew, [0, 1, 2, np.nan, 1, 0])
    np.testing.assert_array_equal(np.isnan(held), [True, True, False, False])
    free = np.array([-0.4, 0.2])
    seen = anew[~np.isnan(anew)][:, None]
    eta = np.full((len(seen), 1), 0.3)
    of_five = every(family, "log_density", seen, eta, np.where(np.isnan(held), [*free, 0, 0], held))
    of_three = every(Cumulative(levels=3), "log_density", seen, eta, free)
    np.testing.assert_allclose(of_five, of_three, rtol=1e-13)
    natural = np.asarray(Cumulative(levels=3).natural(jnp.asarray(free)))
    np.testing.assert_allclose(
        family.all_thresholds(natural, present), [natural[0], natural[0], natural[1], np.inf]
    )
    assert BY_LABEL["cumulative"].family.problems(y[:, None]) is None
