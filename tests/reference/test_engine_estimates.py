"""Estimates, standard errors, log-likelihood and variance parameters of every case of the grid against R.

Tolerances of DESIGN section 6: our optimum is not above R's by more than 1e-6 on -2 log-likelihood, estimates
agree within 1e-4 standard errors.
"""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.api import Result
from mixflow.status import Status
from tests.reference.engine import CASES, asking, by_r, fitted, group_name, in_order, values

pytestmark = pytest.mark.grid

BEST = 1e-6
"""How far -2 log-likelihood of mixflow may lie above R's."""


def _optimum(result: Result, reference: dict, slack: float) -> None:
    """Not above R's; below it only as far as R's own optimiser may have stopped early."""
    assert result.model.status[0] in (Status.OK, Status.SINGULAR)
    assert result.model.n_obs[0] == reference["n"]
    above = -2 * result.model.loglik[0] + 2 * reference["loglik"]
    assert above < BEST
    assert above > -slack


def _coefficients(result: Result, reference: dict, rtol: float = 1e-4) -> None:
    rows = in_order(result, reference["coefficients"])
    se = values(rows, "se")
    assert (np.abs(result.model.beta[0] - values(rows, "estimate")) < 1e-4 * se).all()
    np.testing.assert_allclose(np.sqrt(np.diag(result.model.beta_cov[0])), se, rtol=rtol)


@pytest.mark.parametrize("name", asking("estimates", "lmer"))
def test_lme4(name: str) -> None:
    result, reference = fitted(name), by_r(name)
    _optimum(result, reference, 1e-6)
    _coefficients(result, reference)
    assert (result.model.status[0] == Status.SINGULAR) == reference["singular"]
    assert result.model.sigma[0] == pytest.approx(reference["sigma"], rel=1e-5)
    assert result.model.aic[0] == pytest.approx(reference["aic"], abs=1e-5)
    assert result.model.bic[0] == pytest.approx(reference["bic"], abs=1e-5)
    table = result.variance_components
    largest = max(row["variance"] for row in reference["components"])
    for row in reference["components"]:
        if row["group"] == "Residual":
            continue
        pair = {row["term"], row["term_2"] or ""}
        of_group = table[table["group"] == group_name(result, row["group"])]
        found = [
            v
            for a, b, v in zip(of_group.term, of_group.term_2, of_group.variance, strict=True)
            if {a, b} == pair
        ]
        assert found == [pytest.approx(row["variance"], abs=2e-4 * largest)]


@pytest.mark.parametrize("name", asking("estimates", "gls", "lme"))
def test_nlme(name: str) -> None:
    """nlme's model at the optimum of nlme's own likelihood (polished, see README)."""
    result, reference = fitted(name), by_r(name)
    _optimum(result, reference, 2e-6)
    _coefficients(result, reference)


@pytest.mark.parametrize("name", asking("estimates", "glmmTMB"))
def test_glmmtmb(name: str) -> None:
    """glmmTMB reaches a zero variance only in the limit of its logarithm."""
    result, reference = fitted(name), by_r(name)
    singular = CASES[name]["state"] == "singular"
    _optimum(result, reference, 1e-3 if singular else 1e-5)
    _coefficients(result, reference, rtol=1e-3)
    if not singular:
        assert result.model.sigma[0] == pytest.approx(reference["sigma"], rel=1e-4)


@pytest.mark.parametrize("name", asking("estimates", "rma", "rma.mv"))
def test_metafor(name: str) -> None:
    """metafor's restricted log-likelihood without its constant log|X'X| / 2."""
    result, reference = fitted(name), by_r(name)
    _optimum(result, reference, 1e-5)
    _coefficients(result, reference)
    found = sorted(
        v
        for g, v in zip(result.variance_components.group, result.variance_components.variance, strict=True)
        if g != "Residual"
    )
    np.testing.assert_allclose(found, sorted(reference["tau2"]), rtol=1e-3, atol=1e-6)
