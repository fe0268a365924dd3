"""Every family over features with missing values, without variation, separated, and with an arm never measured."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mixflow.design import build
from mixflow.design.several import predictor_terms, several
from mixflow.family import Cumulative, named
from mixflow.formula import parse
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import Status

SUBJECTS, VISITS = 16, 8
INDEX = np.repeat(np.arange(SUBJECTS), VISITS)
ARM = INDEX % 2 == 1
FINE = (Status.OK, Status.SINGULAR, Status.SIMPLER_FAMILY)


def table() -> pd.DataFrame:
    return pd.DataFrame({"subject": INDEX.astype(str), "arm": np.where(ARM, "b", "a")})


def _trials(p, rng):
    success = rng.binomial(10, rng.beta(6 * p, 6 * (1 - p))).astype(float)
    return np.stack([success, 10 - success], axis=1)


def _shares(p, rng):
    y = rng.beta(5 * p, 5 * (1 - p))
    return np.where(y < 0.15, 0.0, np.where(y > 0.85, 1.0, y))[:, None]


def _limits(eta, rng):
    y = np.round(eta + rng.normal(0, 0.5, len(eta)), 3)
    return np.stack([np.where(y < -0.3, -np.inf, y), np.maximum(y, -0.3)], axis=1)


def _positive(draw):
    """Draws (n, 1) with those of zero drawn again: the distribution given that it is above zero."""
    y = draw()
    while (y == 0).any():
        y = np.where(y == 0, draw(), y)
    return y[:, None] * 1.0


def _logistic(eta):
    return 1 / (1 + np.exp(-eta))


FAMILIES = {
    # family, what it takes beside, a draw (n, c) at eta, what the separated arm holds (None: nothing separates)
    "betabinomial": ({}, lambda e, r: _trials(_logistic(e), r), [0.0, 10.0]),
    "nbinom1": ({}, lambda e, r: r.poisson(np.exp(1 + e) * r.gamma(1, 1, len(e)))[:, None] * 1.0, [0.0]),
    "poisson": ({"zi": True}, lambda e, r: r.poisson(np.exp(1 + e) * (r.random(len(e)) > 0.3))[:, None] * 1.0, [0.0]),
    "truncated_poisson": ({}, lambda e, r: _positive(lambda: r.poisson(np.exp(1.5 + e))), [1.0]),
    "truncated_nbinom2": (
        {"zi": True},
        lambda e, r: (
            _positive(lambda: r.poisson(np.exp(1.5 + e) * r.gamma(1, 1, len(e)))) * (r.random((len(e), 1)) > 0.3)
        ),
        None,
    ),
    "truncated_nbinom1": ({}, lambda e, r: _positive(lambda: r.poisson(3 * r.gamma(np.exp(1.5 + e) / 3))), None),
    "Gamma": ({}, lambda e, r: (np.exp(e) * r.gamma(3, 1 / 3, len(e)))[:, None], None),
    "lognormal": ({}, lambda e, r: np.exp(e + r.normal(0, 0.4, len(e)))[:, None], None),
    "tweedie": ({}, lambda e, r: (r.poisson(np.exp(e)) * r.gamma(2, 1, len(e)))[:, None], [0.0]),
    "beta": ({}, lambda e, r: r.beta(5 * _logistic(e), 5 * _logistic(-e))[:, None], None),
    "ordbeta": ({}, lambda e, r: _shares(_logistic(e), r), None),
    "t": ({}, lambda e, r: (e + 0.4 * r.standard_t(4, len(e)))[:, None], None),
    "censored": ({}, _limits, [-np.inf, -0.3]),
    "cumulative": ({}, lambda e, r: np.clip(np.round(2 + e + r.logistic(0, 0.6, len(e))), 0, 4)[:, None], [0.0]),
}  # fmt: skip
"""Each in seconds to a minute of compiling: they run with `make grid`."""


def features(draw, separated) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(8)
    names = ["plain", "other", "gaps", "unobserved", "constant", *(["separated"] if separated else [])]
    values = []
    for name in names:
        y = draw(0.4 * ARM + rng.normal(0, 0.6, SUBJECTS)[INDEX], rng)
        if name == "constant":
            y[:] = y[np.isfinite(y).all(axis=1)][0]
            y = (
                y
                if y.shape[1] == 1
                else np.broadcast_to([0.0, 10.0], y.shape).copy()
                if (y >= 0).all()
                else y
            )
        if name == "separated":
            y[ARM] = separated
        y[{"gaps": rng.random(len(y)) < 0.3, "unobserved": ARM}.get(name, [])] = np.nan
        values.append(y)
    return names, np.array(values)


@pytest.mark.grid
@pytest.mark.parametrize("name", list(FAMILIES))
def test_each_kind_of_feature_ends_as_it_should(name):
    options, draw, separated = FAMILIES[name]
    family = Cumulative(levels=5) if name == "cumulative" else named(name, **options)
    names, y = features(draw, separated)
    wanted = predictor_terms(family, parse("~ arm + (1 | subject)"), None, None)
    designs, _, _ = several(wanted, table())
    fit = fit_generalised(designs, family, y, np.array(names))
    ends = dict(zip(names, map(Status, fit.status), strict=True))
    assert ends.pop("constant") == Status.NO_VARIATION
    if separated:
        assert ends.pop("separated") == Status.SEPARATION
    assert all(status in FINE for status in ends.values()), ends
    arm = designs["mu"].coef_names.index("arm[b]")
    lost = [n for n, seen in zip(names, fit.estimable[:, arm], strict=True) if not seen and n != "constant"]
    assert lost == ["unobserved", *(["separated"] if separated else [])]
    for i in range(len(names)):
        alone = fit_generalised(designs, family, y[[i]], np.array(names)[[i]])
        for field in dataclasses.fields(fit):
            whole, one = getattr(fit, field.name), getattr(alone, field.name)
            if isinstance(whole, np.ndarray) and len(whole) == len(names) and field.name != "feature_ids":
                np.testing.assert_array_equal(whole[i], one[0], err_msg=f"{names[i]} {field.name}")


@pytest.mark.grid
def test_missing_values_are_rows_left_out():
    family = Cumulative(levels=5)
    names, y = features(FAMILIES["cumulative"][1], None)
    own, seen = y[names.index("gaps")], np.isfinite(y[names.index("gaps"), :, 0])
    wanted, fits = predictor_terms(family, parse("~ arm + (1 | subject)"), None, None), []
    for rows in (np.ones(len(own), dtype=bool), seen):
        designs, _, _ = several(wanted, table()[rows])
        fits.append(fit_generalised(designs, family, own[rows][None], np.array(["gaps"])))
    np.testing.assert_allclose(fits[0].loglik, fits[1].loglik, atol=1e-7)
    np.testing.assert_allclose(fits[0].more, fits[1].more, atol=1e-5)


def test_a_design_beside_thresholds_has_no_intercept():
    wanted = predictor_terms(Cumulative(levels=5), parse("~ arm + (1 | subject)"), None, None)
    designs, _, _ = several(wanted, table())
    assert designs["mu"].coef_names == ("arm[b]",)
    np.testing.assert_array_equal(designs["mu"].X[:, 0], ARM.astype(float))
    new = pd.DataFrame({"arm": ["b", "a"]})
    np.testing.assert_array_equal(designs["mu"].matrix(new), [[1.0], [0.0]])
    assert build(parse("~ arm"), table()).coef_names == ("(Intercept)", "arm[b]")
