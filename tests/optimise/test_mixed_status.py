"""Three hundred features of mixed kinds: nothing aborts, every status is right, and together is as one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mixflow.design import Design, build
from mixflow.family import Family, named
from mixflow.formula import parse
from mixflow.model import Fit
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import Status

FINE = {Status.OK, Status.SINGULAR}
KINDS = {
    "plain": FINE, "spread": FINE, "gaps": FINE, "unobserved": FINE, "no_group": FINE, "zeros": {Status.NO_VARIATION},
    "constant": {Status.NO_VARIATION}, "separated": {Status.SEPARATION}, "empty": {Status.TOO_FEW_OBSERVATIONS},
    "even": {Status.SIMPLER_FAMILY},
}  # fmt: skip
"""Kind of a feature: how it may end. ``even``: less varied than a Poisson; ``unobserved``: an arm never measured."""
EACH = 30
SUBJECTS = 18


def table() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    subject = np.repeat(np.arange(SUBJECTS), rng.integers(3, 9, SUBJECTS))
    arm = np.array(["a", "b", "c"])[subject % 3]
    reads = rng.integers(500, 4000, len(subject)).astype(float)
    time = rng.normal(size=len(subject))
    return pd.DataFrame({"subject": subject.astype(str), "arm": arm, "time": time, "reads": reads})


def features(kinds: dict[str, set[Status]], draw, even, constant: float) -> tuple[list[str], np.ndarray]:
    """Names ``kind_number`` and values (N, n, c); ``draw(rng, sd, size)`` an ordinary feature (n, c)."""
    own, rng = table(), np.random.default_rng(12)
    b = (own["arm"] == "b").to_numpy()
    names, values = [], []
    for kind in kinds:
        for number in range(EACH):
            y = draw(rng, 0.0 if kind == "no_group" else 0.7, 0.4 if kind == "spread" else 2.0)
            if kind in ("zeros", "constant"):
                y[:, 0] = 0.0 if kind == "zeros" else constant
            if kind == "separated":
                y[b, 1:] += y[b, :1]
                y[b, 0] = 0.0
            if kind == "even":
                y = even(number)
            y[
                {"gaps": rng.random(len(y)) < 0.3, "unobserved": b, "empty": np.ones(len(y), bool)}.get(
                    kind, []
                )
            ] = np.nan
            names.append(f"{kind}_{number}")
            values.append(y)
    return names, np.array(values)


def counts() -> tuple[list[str], np.ndarray]:
    own = table()
    index, base = own["subject"].astype(int).to_numpy(), -6.0 + np.log(own["reads"].to_numpy())

    def draw(rng, sd, size):
        mu = np.exp(base + 0.5 * (own["arm"] == "b") + rng.normal(0, sd, SUBJECTS)[index]).to_numpy()
        return rng.poisson(mu * rng.gamma(size, 1 / size, len(mu))).astype(float)[:, None]

    return features(KINDS, draw, lambda number: np.round(np.exp(base + 1 + number / 20))[:, None], 3.0)


def yes_no() -> tuple[list[str], np.ndarray]:
    own = table()
    index, trials = own["subject"].astype(int).to_numpy(), np.random.default_rng(2).integers(2, 9, len(own))

    def draw(rng, sd, size):
        eta = -0.3 + 0.6 * (own["arm"] == "b") + rng.normal(0, sd / size * 2, SUBJECTS)[index]
        success = rng.binomial(trials, 1 / (1 + np.exp(-eta.to_numpy()))).astype(float)
        return np.stack([success, trials - success], axis=1)

    kinds = {k: v for k, v in KINDS.items() if k not in ("even", "constant")}
    return features(kinds, draw, None, 0.0)


MODELS = {
    "nbinom2": ("~ arm + time + offset(log(reads)) + (1 | subject)", counts),
    "binomial": ("~ arm + time + (1 | subject)", yes_no),
}


def designs(family: Family, formula: str) -> dict[str, Design]:
    rest = {p.name: build(parse("~ 1"), table()) for p in family.predictors[1:]}
    return {"mu": build(parse(formula), table()), **rest}


@pytest.fixture(scope="module", params=list(MODELS))
def together(request) -> tuple[Family, dict[str, Design], list[str], np.ndarray, Fit]:
    family = named(request.param)
    formula, make = MODELS[request.param]
    names, y = make()
    own = designs(family, formula)
    return family, own, names, y, fit_generalised(own, family, y, np.array(names))


@pytest.mark.grid
def test_every_status_is_right(together):
    names, fit = together[2], together[4]
    kinds = [name.rsplit("_", 1)[0] for name in names]
    wrong = [
        (n, Status(s).name) for n, k, s in zip(names, kinds, fit.status, strict=True) if s not in KINDS[k]
    ]
    assert wrong == []
    assert len(names) >= 240


@pytest.mark.grid
@pytest.mark.timeout(1800)
def test_one_by_one_gives_the_same_bytes(together):
    family, own, names, y, fit = together
    for i, name in enumerate(names):
        alone = fit_generalised(own, family, y[[i]], np.array([name]))
        for field in dataclasses.fields(fit):
            whole, one = getattr(fit, field.name), getattr(alone, field.name)
            if isinstance(whole, np.ndarray) and len(whole) == len(names) and field.name != "feature_ids":
                np.testing.assert_array_equal(whole[i], one[0], err_msg=f"{name} {field.name}")


@pytest.mark.grid
def test_only_what_a_feature_cannot_tell_is_missing(together):
    names, fit = together[2], together[4]
    for i, name in enumerate(names):
        kind = name.rsplit("_", 1)[0]
        if kind in ("zeros", "constant", "empty"):
            assert np.isnan(fit.solution[i]).all()
            assert np.isnan(fit.loglik[i])
        else:
            lost = kind in ("separated", "unobserved")
            np.testing.assert_array_equal(fit.estimable[i], [True, not lost, True, True], err_msg=name)


@pytest.mark.grid
def test_even_counts_have_the_poisson_answer():
    family = named("nbinom2")
    formula, make = MODELS["nbinom2"]
    names, y = make()
    even = [i for i, name in enumerate(names) if name.startswith("even")]
    own = designs(family, formula)
    fit = fit_generalised(own, family, y[even], np.array(names)[even])
    plain = fit_generalised({"mu": own["mu"]}, named("poisson"), y[even], np.array(names)[even])
    np.testing.assert_allclose(fit.loglik, plain.loglik, atol=1e-6)
    np.testing.assert_allclose(fit.solution, plain.solution, atol=1e-6)
    np.testing.assert_allclose(fit.theta, plain.theta, atol=1e-5)
    assert np.isnan(fit.more_cov).all()
