"""Predictions and means of generalised models beside glmmTMB and emmeans (tests/reference/glmm_answers.R)."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError

PREDICTED = {"fit": "estimate", "se": "std_error"}
R2 = (0.085, 0.187, 0.111)
"""performance 0.10.2: r2_nakagawa and icc of glmmTMB's fit of cbpp."""
MEANS = {
    "value": "response",
    "se": "response_std_error",
    "low": "response_low",
    "high": "response_high",
}


@pytest.fixture(scope="module")
def told(request) -> dict:
    return json.loads((request.getfixturevalue("reference") / "glmm_answers.json").read_text())


@pytest.fixture(scope="module")
def cbpp(request):
    folder = request.getfixturevalue("reference") / "data"
    table = pd.read_csv(folder / "cbpp__lme4.csv").astype({"period": str, "herd": str})
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return mixflow.fit(formula, table, family="binomial")


NEW = pd.DataFrame({"period": ["1", "3"], "herd": ["1", "new"]})


def agree(table: pd.DataFrame, theirs: dict, columns: dict[str, str], share: float = 1e-4) -> None:
    """Values within this share of their standard errors, errors and limits alike."""
    error = np.atleast_1d(theirs["se"])
    for name, column in columns.items():
        assert (np.abs(table[column] - np.atleast_1d(theirs[name])) < share * error).all(), name


def test_predictions_and_their_errors_are_glmmtmbs(cbpp, told):
    theirs = told["cbpp"]
    agree(cbpp.predict(std_error=True, type="link"), theirs["link"], PREDICTED)
    agree(cbpp.predict(std_error=True), theirs["response"], PREDICTED)
    agree(cbpp.predict(NEW, std_error=True, type="link"), theirs["new"], PREDICTED)
    agree(cbpp.predict(NEW, std_error=True, groups="none"), theirs["none"], PREDICTED)


def test_averages_are_those_of_direct_integration(cbpp, told):
    found = cbpp.predict(NEW, std_error=True, groups="average")
    agree(found, told["cbpp"]["average"], PREDICTED)
    assert (found["estimate"] > cbpp.predict(NEW, True, "none")["estimate"]).all()  # drawn towards one half
    assert found["conf_low"].between(0, found["estimate"]).all()
    assert found["conf_high"].between(found["estimate"], 1).all()


def test_limits_are_those_of_the_link_scale(cbpp):
    link, mean = cbpp.predict(NEW, True, type="link"), cbpp.predict(NEW, True)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(mean[name], 1 / (1 + np.exp(-link[name])), rtol=1e-12)
    wide = cbpp.predict(NEW)
    np.testing.assert_allclose(wide.to_numpy().ravel(), mean["estimate"])


def test_means_and_odds_ratios_are_emmeans(cbpp, told):
    found = cbpp.means("period")
    agree(found.table, told["cbpp"]["means"], MEANS)
    assert set(found.table["scale"]) == {"probability"}
    agree(found.pairs(), told["cbpp"]["pairs"], MEANS, 5e-4)
    assert set(found.pairs()["scale"]) == {"odds ratio"}


def test_what_cannot_be_predicted_is_refused_in_words(cbpp):
    for options, words in (
        ({"groups": "new"}, "known, none, average"),
        ({"type": "odds"}, "link, response"),
        ({"type": "link", "groups": "average"}, "response scale"),
    ):
        with pytest.raises(MixflowError, match=words):
            cbpp.predict(**options)


def test_simulations_residuals_and_checks_are_tables(cbpp):
    drawn = cbpp.simulate(seed=4, replicates=200)
    assert drawn.shape == (200, 56) and drawn.index.names == ["feature", "replicate"]
    trials = cbpp.y[0].sum(axis=1)
    mean = cbpp.predict(groups="average").to_numpy()[0]
    error = (drawn / trials).std() / np.sqrt(200)
    assert (np.abs((drawn / trials).mean() - mean) < 4.5 * error).all()
    assert cbpp.quantile_residuals().shape == (1, 56)
    checks = cbpp.residual_checks(simulations=20)
    assert list(checks["check"]) == [
        "uniformity",
        "dispersion",
        "outliers",
    ]  # zeros say nothing of yes and no
    assert checks["p_value"].between(0, 1).all()


def test_r2_on_the_latent_scale_is_performances(cbpp):
    found = cbpp.r2().iloc[0]
    np.testing.assert_allclose(found[["r2_marginal", "r2_conditional", "icc"]].astype(float), R2, atol=5e-4)
    assert cbpp.analyse("r2")["r2_marginal"].iloc[0] == found["r2_marginal"]


def test_families_of_other_columns_are_refused(cbpp):
    with pytest.raises(MixflowError, match="other columns"):
        cbpp.families(["poisson"])


@pytest.mark.grid
def test_families_are_compared_for_every_outcome(reference):
    owls = pd.read_csv(reference / "data" / "Owls__glmmTMB.csv")
    formula = "SiblingNegotiation ~ FoodTreatment + offset(log(BroodSize)) + (1 | Nest)"
    table = mixflow.compare_families(formula, owls, ["poisson", "nbinom2"], zi=True)
    assert list(table["family"]) == ["poisson", "poisson + zi", "nbinom2", "nbinom2 + zi"]
    one = mixflow.fit(formula, owls, family="nbinom2", zi="~ 1")
    np.testing.assert_allclose(table["aic"].iloc[3], one.aic.iloc[0])
    assert table.loc[table["best"] == "yes", "delta"].tolist() == [0.0]


@pytest.mark.grid
def test_zero_inflation_and_offsets_are_as_in_glmmtmb_and_emmeans(told, reference):
    owls = pd.read_csv(reference / "data" / "Owls__glmmTMB.csv")
    formula = "SiblingNegotiation ~ FoodTreatment + ArrivalTime + offset(log(BroodSize)) + (1 | Nest)"
    found = mixflow.fit(formula, owls, family="poisson", zi="~ 1")
    rows, theirs = owls.iloc[[0, 49, 299]], told["owls"]
    agree(found.predict(rows, True), theirs["response"], PREDICTED, 2e-4)
    agree(found.predict(rows, True, "none"), theirs["none"], PREDICTED, 2e-4)
    agree(found.predict(rows, True, "average"), theirs["average"], PREDICTED, 2e-4)
    agree(found.means("FoodTreatment").table, theirs["means"], MEANS, 2e-4)
    agree(found.means("FoodTreatment", offset=0.0).table, theirs["rates"], MEANS, 2e-4)
    agree(found.means("FoodTreatment").pairs(), theirs["pairs"], MEANS, 2e-4)
