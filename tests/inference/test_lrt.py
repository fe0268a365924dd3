"""Likelihood-ratio tests, R2, simulation: against lme4 and performance, over features of every ending."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import mixflow
from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.lrt import COLUMNS, compare, mixture
from mixflow.inference.nested import nesting
from mixflow.inference.r2 import COLUMNS as R2
from mixflow.inference.r2 import r2
from mixflow.inference.refit import Fitted, Recipe, same_rows
from mixflow.inference.simulate import simulate
from mixflow.optimise.fitting import fit_features
from tests.inference.many_features import IDS, fitted

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "intervals.json").read_text())
TABLES = {
    "sleepstudy": ("sleepstudy__lme4.csv", ["Subject"]),
    "sleepstudy_gaps": ("sleepstudy__lme4.csv", ["Subject"]),
    "Dyestuff": ("Dyestuff__lme4.csv", ["Batch"]),
    "Dyestuff2": ("Dyestuff2__lme4.csv", ["Batch"]),
    "Pastes": ("Pastes__lme4.csv", ["batch", "cask", "sample"]),
    "Penicillin": ("Penicillin__lme4.csv", ["plate", "sample"]),
    "Oats": ("Oats__nlme.csv", ["Block", "Variety"]),
}
GAPS = [1, 5, 17, 44, 45, 46, 98, 99, 131, 150, 151, 177]


def table(name: str) -> pd.DataFrame:
    """A table as intervals.R has it."""
    file, factors = TABLES[name]
    frame = pd.read_csv(HERE / "data" / file).astype(dict.fromkeys(factors, str))
    return frame.drop(index=[i - 1 for i in GAPS]) if name == "sleepstudy_gaps" else frame


@pytest.mark.parametrize("case", R["pairs"], ids=lambda c: f"{c['data']}: {c['null']} < {c['full']}")
def test_against_lme4(case: dict) -> None:
    null, full = (mixflow.fit(case[k], table(case["data"])) for k in ("null", "full"))
    found = full.anova(null)
    assert list(found) == list(COLUMNS)
    row = found.iloc[0]
    assert row["fitted_by"] == ("ML" if case["refit"] else "REML")
    np.testing.assert_allclose(row["statistic"], case["chisq"], atol=2e-6)
    assert row["df"] == case["df"]
    np.testing.assert_allclose(row["p_plain"], case["p"], rtol=1e-5)
    for kind in ("loglik", "aic", "bic"):
        np.testing.assert_allclose(
            row[[f"null_{kind}", f"full_{kind}"]].to_numpy(float), case[kind], rtol=1e-8
        )
    pd.testing.assert_frame_equal(found, null.anova(full))  # either may be the simpler one


@pytest.mark.parametrize("case", R["r2"], ids=lambda c: f"{c['data']}: {c['formula']}")
def test_r2_against_performance(case: dict) -> None:
    found = mixflow.fit(case["formula"], table(case["data"])).r2().iloc[0]
    for ours, theirs in (("var_fixed", "fixed"), ("var_random", "random"), ("var_residual", "residual")):
        np.testing.assert_allclose(found[ours], case[theirs], rtol=2e-6, atol=1e-9)
    np.testing.assert_allclose(found["r2_marginal"], case["marginal"], rtol=2e-6, atol=1e-12)
    np.testing.assert_allclose(found["r2_conditional"], case["conditional"], rtol=2e-6)


def test_mixture_where_a_variance_is_tested() -> None:
    data = table("sleepstudy")
    full = mixflow.fit("Reaction ~ Days + (Days | Subject)", data)
    row = full.anova(mixflow.fit("Reaction ~ Days + (1 | Subject)", data)).iloc[0]
    expected = 0.5 * chi2.sf(row["statistic"], 1) + 0.5 * chi2.sf(row["statistic"], 2)
    np.testing.assert_allclose(row["p_value"], expected, rtol=1e-12)
    pastes = table("Pastes")
    both = mixflow.fit("strength ~ 1 + (1 | batch) + (1 | sample)", pastes)
    row = both.anova(mixflow.fit("strength ~ 1 + (1 | sample)", pastes)).iloc[0]
    np.testing.assert_allclose(row["p_value"], 0.5 * row["p_plain"], rtol=1e-12)
    lm = mixflow.fit("strength ~ 1", pastes)  # two variances at once: the mixture is not known
    row = both.anova(lm).iloc[0]
    assert row["p_value"] == row["p_plain"]
    diagonal = mixflow.fit(
        "Reaction ~ Days + (Days || Subject)", data
    )  # a correlation of zero is no boundary
    row = full.anova(diagonal).iloc[0]
    assert row["p_value"] == row["p_plain"]


def test_mixture_at_zero() -> None:
    np.testing.assert_allclose(
        mixture(np.array([0.0, 1.0, np.nan]), np.ones(3)), [1, 0.5 * chi2.sf(1, 1), np.nan]
    )


def test_null_rejects_at_its_level() -> None:
    """Simulated from a model without the variance tested: the mixture's p is uniform but for its atom."""
    rng = np.random.default_rng(5)
    level = np.repeat(np.arange(15), 4)
    y = rng.normal(size=(2000, 60))
    frame = pd.DataFrame({"g": level.astype(str)})
    one, two = (_fit(f, frame, y) for f in ("~ 1", "~ 1 + (1 | g)"))
    p = compare(one, two)["p_value"].to_numpy()
    assert 0.03 < (p < 0.05).mean() < 0.065  # 3 standard errors; few groups lower it
    assert 0.4 < (p == 1).mean() < 0.65


def _fit(formula: str, frame: pd.DataFrame, y: np.ndarray) -> Fitted:
    design = build(parse(formula), frame)
    return Fitted(fit_features(design, y, [str(i) for i in range(len(y))]), design, y)


def test_every_ending_and_any_order() -> None:
    whole = compare(fitted("~ x + (1 | subject)"), fitted())
    assert list(whole["feature"]) == list(IDS)
    assert whole["status"].tolist()[3:5] == ["no variation", "too few levels"]
    assert whole.loc[3:4, "p_value"].isna().all()
    assert whole.loc[[0, 1, 2, 5], "p_value"].notna().all()
    assert whole.loc[5, "p_value"] < 1e-6
    order = [5, 2, 1]
    part = compare(fitted("~ x + (1 | subject)", features=order), fitted(features=order))
    columns = ["statistic", "p_value", "full_loglik", "status"]
    pd.testing.assert_frame_equal(
        part[columns], whole.loc[order, columns].reset_index(drop=True), check_exact=True
    )


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("~ z + (1 | Subject)", "fixed parts"),
        ("~ Days + (z | Subject)", "random effects of 'Subject'"),
        ("~ Days + (1 | other)", "random effects of 'other'"),
        ("~ half + (1 | Subject)", "same rows"),
        ("~ 1 + (Days | Subject) + offset(z)", "offset"),
    ],
)
def test_not_nested(formula: str, reason: str) -> None:
    data = table("sleepstudy").assign(z=np.arange(180.0), half=np.where(np.arange(180) < 90, np.nan, 1.0))
    data = data.assign(other=np.tile(list("abc"), 60))
    full = build(parse("~ Days + (Days | Subject)"), data)
    with pytest.raises(MixflowError, match=reason):
        nesting(build(parse(formula), data), full)


def test_refused_with_reason() -> None:
    one, two = fitted("~ x + (1 | subject)"), fitted("~ 1 + (1 | subject)")
    for other, reason in [
        (one, "same number of parameters"),
        (replace(two, values=two.values + 1), "same values"),
        (replace(two, recipe=Recipe(np.full(60, 2.0))), "weights"),
        (fitted("~ 1 + (1 | subject)", features=[0]), "same features"),
    ]:
        with pytest.raises(MixflowError, match=reason):
            compare(one, other)


def test_analysis_lrt_and_r2() -> None:
    full = fitted()
    subject = Subject(full.fit, full.design, full.values)
    found = ANALYSES["lrt"].run(subject, null="~ x + (1 | subject)")
    pd.testing.assert_frame_equal(found, compare(fitted("~ x + (1 | subject)"), full))
    assert list(found) == list(ANALYSES["lrt"].columns)
    assert list(ANALYSES["r2"].run(subject)) == list(R2)
    with pytest.raises(MixflowError, match="age"):
        same_rows("~ age + (1 | subject)", full.design)


def test_r2_uses_the_features_own_rows() -> None:
    found = r2(fitted()).set_index("feature")
    assert found.loc[["constant", "one level"], "r2_marginal"].isna().all()
    many = fitted()
    seen = np.isfinite(many.values[1])
    line = (many.design.X @ many.fit.solution[1])[seen]
    np.testing.assert_allclose(found.loc["gaps", "var_fixed"], line.var(ddof=1), rtol=1e-12)
    shares = found.loc[["whole", "gaps", "steep"], ["r2_marginal", "r2_conditional"]].to_numpy()
    assert (shares[:, 0] <= shares[:, 1]).all() and (shares < 1).all()


def test_simulation_has_the_models_moments() -> None:
    frame_weights = np.linspace(0.5, 2, 60)
    model = fitted(features=[0], weights=frame_weights)
    drawn = simulate(model, 1, 20000)[0]
    theta, sigma, z = model.fit.theta[0], model.fit.sigma[0], model.design.random[0].Z
    factor = np.array([[theta[0], 0], [theta[1], theta[2]]]) * sigma
    same = np.equal.outer(model.design.random[0].index, model.design.random[0].index)
    expected = (z @ factor @ factor.T @ z.T) * same + np.diag(sigma**2 / frame_weights)
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / 20000)
    assert (np.abs(np.cov(drawn.T) - expected) < 5 * error).all()
    mean = model.design.X @ model.fit.beta[0]
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(expected) / 20000)).all()
    conditional = simulate(model, 1, 5000, conditional=True)[0]
    np.testing.assert_allclose(conditional.var(axis=0), sigma**2 / frame_weights, rtol=0.15)


def test_simulation_belongs_to_the_feature() -> None:
    whole = simulate(fitted(), 7, 3)
    part = simulate(fitted(features=[5, 1]), 7, [2, 0])
    np.testing.assert_array_equal(part, whole[[5, 1]][:, [2, 0]])
    assert np.isnan(whole[3:5]).all()
    np.testing.assert_array_equal(np.isnan(whole[1, 0]), np.isnan(fitted().values[1]))
    assert not np.array_equal(whole[0, 0], simulate(fitted(), 8)[0, 0])


def test_result_simulate_frame() -> None:
    fit = mixflow.fit("Reaction ~ Days + (Days | Subject)", table("sleepstudy_gaps"))
    drawn = fit.simulate(seed=3, replicates=2)
    assert drawn.index.tolist() == [("Reaction", 0), ("Reaction", 1)]
    assert list(drawn.columns) == list(fit.design.frame.index)
    assert np.isfinite(drawn.to_numpy()).all()
