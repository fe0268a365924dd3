"""Many features of a negative binomial model at once: statuses, missing values, and the same bytes one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mixflow.design import build
from mixflow.family import named
from mixflow.formula import parse
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import Status

NAMES = ("zeros", "constant", "separated", "poisson", "no_group", "gaps", "empty", "no_b", "huge", "spread")


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    subject = np.repeat(np.arange(18), rng.integers(3, 9, 18))
    arm = np.where(np.isin(subject % 3, [0]), "a", np.where(subject % 3 == 1, "b", "c"))
    reads = rng.integers(500, 4000, len(subject))
    time = rng.normal(size=len(subject))
    return pd.DataFrame(
        {"subject": subject.astype(str), "arm": arm, "time": time, "reads": reads.astype(float)}
    )


def _counts(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Ordinary features, then one of each kind of `NAMES`."""
    rng = np.random.default_rng(6)
    n, arm = len(table), table["arm"].to_numpy()
    index = table["subject"].astype(int).to_numpy()

    def draw(sd: float, size: float, level: float = -6.0) -> np.ndarray:
        eta = level + np.log(table["reads"]) + 0.5 * (arm == "b") + rng.normal(0, sd, 18)[index]
        mu = np.exp(eta.to_numpy())
        return rng.poisson(mu if np.isinf(size) else mu * rng.gamma(size, 1 / size, n)).astype(float)

    y = {f"plain{i}": draw(0.7, 1.5) for i in range(10)}
    y |= {
        "zeros": np.zeros(n),
        "constant": np.full(n, 3.0),
        "separated": np.where(arm == "b", 0.0, draw(0.5, 2.0)),
    }
    y |= {"poisson": np.round(np.exp(-5 + np.log(table["reads"].to_numpy()))), "no_group": draw(0.0, 3.0)}
    y |= {"gaps": np.where(rng.random(n) < 0.3, np.nan, draw(0.7, 1.5)), "empty": np.full(n, np.nan)}
    y |= {
        "no_b": np.where(arm == "b", np.nan, draw(0.7, 1.5)),
        "huge": draw(0.5, 4.0, 6.0),
        "spread": draw(1.5, 0.3),
    }
    return list(y), np.array(list(y.values()))


@pytest.fixture(scope="module")
def fitted():
    table = _table()
    names, y = _counts(table)
    design = build(parse("~ arm + time + offset(log(reads)) + (1 | subject)"), table)
    designs = {"mu": design, "dispersion": build(parse("~ 1"), table)}
    return designs, names, y, fit_generalised(designs, named("nbinom2"), y[:, :, None], np.array(names))


def _status(fitted, name: str) -> Status:
    return Status(fitted[3].status[fitted[1].index(name)])


def test_every_feature_ends_as_it_should(fitted):
    expected = {
        "zeros": Status.NO_VARIATION,
        "constant": Status.NO_VARIATION,
        "separated": Status.SEPARATION,
        "poisson": Status.SIMPLER_FAMILY,
        "no_group": Status.SINGULAR,
        "gaps": Status.OK,
        "empty": Status.TOO_FEW_OBSERVATIONS,
        "no_b": Status.OK,
        "huge": Status.OK,
        "spread": Status.OK,
    }
    assert {name: _status(fitted, name) for name in NAMES} == expected
    assert all(_status(fitted, f"plain{i}") == Status.OK for i in range(10))


def test_features_without_estimates_hold_no_numbers(fitted):
    fit, names = fitted[3], fitted[1]
    for name in ("zeros", "constant", "empty"):
        i = names.index(name)
        for array in (fit.solution, fit.beta_cov, fit.loglik, fit.theta, fit.more, fit.variance):
            assert np.isnan(array[i]).all()


def test_a_separated_coefficient_is_named_and_the_others_stand(fitted):
    fit, names = fitted[3], fitted[1]
    i = names.index("separated")
    assert fit.coef_names[1] == "arm[b]"
    np.testing.assert_array_equal(fit.estimable[i], [True, False, True, True])
    assert np.isfinite(np.diagonal(fit.beta_cov[i])[[0, 2, 3]]).all()
    assert np.isnan(fit.beta[i, 1])


def test_a_level_never_seen_is_not_estimable(fitted):
    fit, names = fitted[3], fitted[1]
    np.testing.assert_array_equal(fit.estimable[names.index("no_b")], [True, False, True, True])


def test_a_simpler_family_is_the_poisson(fitted):
    designs, names, y, fit = fitted
    i = names.index("poisson")
    alone = fit_generalised({"mu": designs["mu"]}, named("poisson"), y[i][None, :, None], np.array(["one"]))
    assert np.isclose(alone.loglik[0], fit.loglik[i], atol=1e-6)
    np.testing.assert_allclose(alone.solution[0], fit.solution[i], atol=1e-6)
    np.testing.assert_allclose(np.diagonal(alone.beta_cov[0]), np.diagonal(fit.beta_cov[i]), rtol=1e-3)
    assert np.isnan(fit.more_cov[i]).all()


def test_one_by_one_gives_the_same_bytes(fitted):
    designs, names, y, fit = fitted
    for i in (0, 3, names.index("separated"), names.index("gaps"), names.index("no_group")):
        alone = fit_generalised(designs, named("nbinom2"), y[i][None, :, None], np.array([names[i]]))
        for field in dataclasses.fields(fit):
            whole, one = getattr(fit, field.name), getattr(alone, field.name)
            if isinstance(whole, np.ndarray) and len(whole) == len(names) and field.name != "feature_ids":
                np.testing.assert_array_equal(whole[i], one[0], err_msg=f"{names[i]} {field.name}")


def test_missing_values_are_as_rows_left_out(fitted):
    _, names, y, _ = fitted
    own = y[names.index("gaps")]
    seen, table = np.isfinite(own), _table()
    fits = []
    for rows in (np.ones(len(own), dtype=bool), seen):
        design = build(parse("~ arm + time + offset(log(reads)) + (1 | subject)"), table[rows])
        fits.append(
            fit_generalised({"mu": design}, named("poisson"), own[rows][None, :, None], np.array(["gaps"]))
        )
    assert np.isclose(fits[0].loglik[0], fits[1].loglik[0], atol=1e-7)
    np.testing.assert_allclose(fits[0].solution, fits[1].solution, atol=1e-5)
