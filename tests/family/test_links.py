"""Links and their inverses, against each other and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from mixflow.backend import jax
from mixflow.errors import MixflowError
from mixflow.family.links import LINKS, ProbabilityLink, link_named

PROBABILITY = [link for link in LINKS.values() if isinstance(link, ProbabilityLink)]
POSITIVE = [link for link in LINKS.values() if not isinstance(link, ProbabilityLink)]
BY_SCIPY = {
    "logit": lambda x: (special.log_expit(x), special.log_expit(-x)),
    "probit": lambda x: (special.log_ndtr(x), special.log_ndtr(-x)),
    "cloglog": lambda x: (np.log(-np.expm1(-np.exp(x))), -np.exp(x)),
}


@pytest.mark.parametrize("link", PROBABILITY, ids=lambda link: link.name)
@settings(max_examples=60, deadline=None)
@given(p=st.floats(1e-12, 1 - 1e-12))
def test_inverse_of_link_is_the_probability(link: ProbabilityLink, p: float) -> None:
    eta = link.link(np.float64(p))
    assert float(link.inverse(eta)) == pytest.approx(p, rel=1e-9)
    assert float(link.inverse(eta) + link.complement(eta)) == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("link", PROBABILITY, ids=lambda link: link.name)
@settings(max_examples=60, deadline=None)
@given(eta=st.floats(-30, 30))
def test_logs_of_probabilities_equal_scipy_and_have_their_slopes(link: ProbabilityLink, eta: float) -> None:
    x = np.float64(eta)
    p, rest = BY_SCIPY[link.name](x)
    assert float(link.log_inverse(x)) == pytest.approx(float(p), rel=1e-9, abs=1e-13)
    assert float(link.log_complement(x)) == pytest.approx(float(rest), rel=1e-10, abs=1e-15)
    h = 1e-5
    for function in (link.log_inverse, link.log_complement):
        numeric = (float(function(x + h)) - float(function(x - h))) / (2 * h)
        assert float(jax.grad(function)(x)) == pytest.approx(numeric, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("link", PROBABILITY, ids=lambda link: link.name)
@pytest.mark.parametrize("eta", [-700.0, 700.0])
def test_logs_and_three_slopes_are_finite_far_out(link: ProbabilityLink, eta: float) -> None:
    for function in (link.log_inverse, link.log_complement):
        for _ in range(4):
            assert np.isfinite(float(function(eta))), (link.name, eta)
            function = jax.grad(function)
    assert float(link.inverse(700.0)) == 1.0 and float(link.complement(-700.0)) == 1.0


@pytest.mark.parametrize("link", POSITIVE, ids=lambda link: link.name)
@settings(max_examples=60, deadline=None)
@given(mu=st.floats(1e-6, 1e6))
def test_inverse_of_link_is_the_mean(link: object, mu: float) -> None:
    eta = link.link(np.float64(mu))  # type: ignore[attr-defined]
    assert link.inside(eta) is True or bool(link.inside(eta))  # type: ignore[attr-defined]
    assert float(link.inverse(eta)) == pytest.approx(mu, rel=1e-12)  # type: ignore[attr-defined]
    assert float(link.log_inverse(eta)) == pytest.approx(np.log(mu), rel=1e-12, abs=1e-14)  # type: ignore[attr-defined]


def test_a_link_that_a_family_does_not_take_is_refused_with_the_nearest() -> None:
    with pytest.raises(MixflowError, match="did you mean 'cloglog'"):
        link_named("clog-log", ("logit", "probit", "cloglog"), "binomial")
    with pytest.raises(MixflowError, match="choose one of log, sqrt"):
        link_named("inverse", ("log", "sqrt"), "poisson")
