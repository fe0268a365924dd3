"""`mixflow.fit` with a family: responses, tables, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError
from mixflow.store import fits, zarr_io


@pytest.fixture(scope="module")
def cbpp(request) -> pd.DataFrame:
    folder = request.getfixturevalue("reference") / "data"
    return pd.read_csv(folder / "cbpp__lme4.csv").assign(period=lambda d: d["period"].astype(str))


@pytest.fixture(scope="module")
def two_columns(cbpp):
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return mixflow.fit(formula, cbpp, family="binomial")


def test_a_proportion_with_trials_as_weights_is_cbind(cbpp, two_columns):
    again = mixflow.fit(
        "share ~ period + (1 | herd)",
        cbpp.assign(share=cbpp["incidence"] / cbpp["size"]),
        family="binomial",
        weights="size",
    )
    assert np.isclose(again.loglik.iloc[0], two_columns.loglik.iloc[0], atol=1e-10)
    np.testing.assert_allclose(
        again.coefficients["estimate"], two_columns.coefficients["estimate"], atol=1e-10
    )


def test_tables_are_of_z_tests(two_columns):
    table = two_columns.coefficients
    assert list(table["component"]) == ["mu"] * 4
    assert np.isinf(table["df"]).all()
    np.testing.assert_allclose(table["statistic"], table["estimate"] / table["std_error"])
    assert table["p_value"].between(0, 1).all()
    assert np.isclose(two_columns.aic.iloc[0], -2 * two_columns.loglik.iloc[0] + 2 * 5)
    assert list(two_columns.variance_components["group"]) == ["herd"]
    assert len(two_columns.random_effects) == 15
    contrast = two_columns.contrast({"2 vs 1": {"period": ["2", "1"]}})
    assert np.isclose(contrast["estimate"].iloc[0], table["estimate"].iloc[1])
    assert two_columns.terms()["p_value"].iloc[0] < 1e-4
    assert "Laplace" in repr(two_columns)


def test_yes_and_no_are_one_and_zero(cbpp):
    rows = cbpp.loc[cbpp.index.repeat(2)].reset_index(drop=True)
    rows["ill"] = np.where(np.arange(len(rows)) % 2 < (rows["incidence"] > 1), "yes", "no")
    text = mixflow.fit("ill ~ (1 | herd)", rows, family="binomial")
    number = mixflow.fit(
        "one ~ (1 | herd)", rows.assign(one=(rows["ill"] == "yes").astype(int)), family="binomial"
    )
    np.testing.assert_array_equal(text.coefficients["estimate"], number.coefficients["estimate"])


REFUSED = [
    ({"reml": True, "nagq": 5}, "Laplace"),
    ({"reml": True, "prior": {"sd": 1.0}}, "exclude each other"),
    ({"prior": {"kind": "cauchy"}}, "kind of prior"),
    ({"prior": {"kind": "jeffreys"}}, "without random effects"),
    ({"df": "kenward-roger"}, "z tests"),
    ({"residual": "ar1(period | herd)"}, "residual"),
    ({"variances": "size"}, "variances"),
    ({"dispersion": "~ period"}, "no such predictor"),
    ({"zi": "~ 1"}, "zi"),
    ({"nagq": 0}, "nagq"),
    ({"nagq": "many"}, "nagq"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_what_is_not_there_is_refused_in_words(cbpp, options, words):
    with pytest.raises(MixflowError, match=words):
        mixflow.fit(
            "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial", **options
        )


def test_values_outside_the_support_are_refused(cbpp):
    with pytest.raises(MixflowError, match="whole numbers"):
        mixflow.fit("half ~ (1 | herd)", cbpp.assign(half=0.5), family="poisson")


def test_quadrature_takes_one_group(cbpp):
    with pytest.raises(MixflowError, match="one grouping factor"):
        mixflow.fit("incidence ~ (1 | herd) + (1 | period)", cbpp, family="poisson", nagq=5)


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("half ~ (1 | herd)", {"family": "cumulative"}, "whole numbers"),
        ("period ~ (1 | herd)", {"family": "cumulative"}, "Text has no order"),
        ("incidence ~ (1 | herd)", {"family": "poisson", "thresholds": "flexible"}, "cumulative"),
        ("incidence ~ 0 + size + (1 | herd)", {"family": "cumulative"}, "place of the intercept"),
        ("below(incidence, size) ~ (1 | herd)", {"family": "poisson"}, "no below"),
        ("cens(incidence) ~ (1 | herd)", {"family": "censored"}, "takes two columns"),
        ("incidence ~ size + (size | herd)", {"family": "poisson", "nagq": 80}, "grid of 6400 points"),
    ],
)
def test_what_does_not_go_together_is_refused(cbpp, formula, options, words):
    with pytest.raises(MixflowError, match=words):
        mixflow.fit(formula, cbpp.assign(half=0.5), **options)


def test_options_of_families_are_refused_for_the_gaussian(cbpp):
    with pytest.raises(MixflowError, match="families beside gaussian"):
        mixflow.fit("incidence ~ (1 | herd)", cbpp, nagq=5)


def test_what_needs_the_values_again_is_refused(two_columns, tmp_path):
    for attempt in (
        lambda: two_columns.analyse("moderated"),
        lambda: two_columns.analyse("icc", group="herd"),
        lambda: two_columns.slopes("herd", "period"),
    ):
        with pytest.raises(MixflowError, match="not available for generalised models"):
            attempt()


def test_a_saved_fit_comes_back_from_its_store(two_columns, tmp_path):
    path = two_columns.save(tmp_path / "fit.zarr")
    stored = fits.from_dataset(zarr_io.group(zarr_io.load(path), "fits/model"))
    assert (stored.family, stored.link, stored.nodes) == ("binomial", "logit", 1)
    np.testing.assert_array_equal(stored.joint_cov, two_columns.model.joint_cov)
    np.testing.assert_array_equal(stored.beta, two_columns.model.beta)
