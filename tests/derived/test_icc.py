"""Intraclass correlations beside psych, lme4 and dense matrices in R (tests/reference/icc.R); every ending."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from scipy.stats import norm

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError
from mixflow.inference.icc import COLUMNS
from tests.derived.subjects import of_frame, subject_of
from tests.inference.many_features import fitted

ICC = ANALYSES["icc"].run
FOLDER = Path(__file__).parents[1] / "reference"
R = json.loads((FOLDER / "icc.json").read_text())
NAMES = [case["name"] for case in R["ratings"]]
PSYCH = 1e-4  # psych fits with lme4's default optimiser: its own digits


@pytest.fixture(scope="module")
def ratings() -> tuple[pd.DataFrame, np.ndarray]:
    """All tables of ratings as features of one design of 20 subjects and 5 raters, most of it missing for some."""
    frame = pd.DataFrame(
        [(f"s{i}", f"r{j}") for i in range(1, 21) for j in range(1, 6)], columns=["subject", "rater"]
    )
    values = np.full((len(NAMES), len(frame)), np.nan)
    place = {pair: i for i, pair in enumerate(frame.itertuples(index=False, name=None))}
    for row, case in zip(values, R["ratings"], strict=True):
        row[[place[pair] for pair in zip(case["subject"], case["rater"], strict=True)]] = case["y"]
    return frame, values


@pytest.fixture(scope="module")
def crossed(ratings: tuple[pd.DataFrame, np.ndarray]) -> Subject:
    """Raters as a second random effect."""
    return of_frame("~ 1 + (1 | subject) + (1 | rater)", *ratings)


def test_oneway_and_its_exact_limits(ratings: tuple[pd.DataFrame, np.ndarray]) -> None:
    found = ICC(of_frame("~ 1 + (1 | subject)", *ratings), group="subject")
    for row, case in zip(found.itertuples(), R["ratings"], strict=True):
        held_against(row, case["oneway"])
    balanced = [NAMES.index("sf"), NAMES.index("ratings")]
    of_psych = [R["ratings"][i]["psych"] for i in balanced]
    np.testing.assert_allclose(found["icc"].iloc[balanced], [p["icc"][0] for p in of_psych], atol=PSYCH)
    np.testing.assert_allclose(
        found["conf_high"].iloc[balanced], [p["high"][0] for p in of_psych], atol=PSYCH
    )
    low = np.maximum([p["low"][0] for p in of_psych], 0)  # psych's limits of a share may be negative
    np.testing.assert_allclose(found["conf_low"].iloc[balanced], low, atol=PSYCH)


def test_raters_as_fixed_effects_give_exact_limits_of_the_consistency(
    ratings: tuple[pd.DataFrame, np.ndarray],
) -> None:
    found = ICC(of_frame("~ rater + (1 | subject)", *ratings), group="subject", rater="rater")
    assert set(found["kind"]) == {"consistency"} and set(found["method"]) == {"exact"}
    for row, case in zip(found.itertuples(), R["ratings"], strict=True):
        held_against(row, case["fixed"])
    for name in ("sf", "ratings"):
        row, psych = found.iloc[NAMES.index(name)], R["ratings"][NAMES.index(name)]["psych"]
        expected = [psych[key][2] for key in ("icc", "low", "high")]
        np.testing.assert_allclose(row[["icc", "conf_low", "conf_high"]].astype(float), expected, atol=PSYCH)


def test_random_raters_as_psych_and_lme4_have_them(crossed: Subject) -> None:
    agreement = ICC(crossed, group="subject", rater="rater", kind="agreement")
    consistency = ICC(crossed, group="subject", rater="rater", kind="consistency")
    for i, case in enumerate(R["ratings"]):
        np.testing.assert_allclose(agreement["icc"][i], case["agreement"], atol=1e-5)
        np.testing.assert_allclose(consistency["icc"][i], case["consistency"], atol=1e-5)
        np.testing.assert_allclose(agreement["icc"][i], case["psych"]["icc"][1], atol=PSYCH)
        np.testing.assert_allclose(consistency["icc"][i], case["psych"]["icc"][2], atol=PSYCH)
    assert set(agreement["method"]) == {"delta"} and agreement["p_value"].isna().all()
    for table in (agreement, consistency):
        assert ((table["conf_low"] < table["icc"]) & (table["icc"] < table["conf_high"])).all()


def test_the_delta_method_is_that_of_numerical_derivatives(crossed: Subject) -> None:
    table = ICC(crossed, group="subject", rater="rater", kind="agreement")
    groups = [name.split(".")[0] for name in crossed.fit.theta_names]
    own = groups.index("subject")
    logit_of = lambda theta: logit(theta[own] ** 2 / (1 + (theta**2).sum()))  # noqa: E731
    for i, theta in enumerate(crossed.fit.theta):
        slope = [(logit_of(theta + step) - logit_of(theta - step)) / 2e-6 for step in 1e-6 * np.eye(2)]
        half = norm.ppf(0.975) * np.sqrt(slope @ crossed.fit.par_cov[i, :2, :2] @ slope)
        ends = logit(table[["conf_low", "conf_high"]].to_numpy()[i])
        np.testing.assert_allclose(ends[1] - ends[0], 2 * half, rtol=1e-4)


def held_against(row, expected: dict) -> None:
    np.testing.assert_allclose(row.icc, expected["icc"], atol=1e-5)
    told = [row.conf_low, row.conf_high, row.f_statistic, row.df1, row.df2]
    np.testing.assert_allclose(told, [expected[k] for k in ("low", "high", "f", "df1", "df2")], atol=1e-7)


@pytest.mark.parametrize("case", R["data"], ids=lambda case: case["data"])
def test_exact_limits_with_fixed_effects_unbalanced_and_at_zero(case: dict) -> None:
    frame = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv").iloc[case["rows"]].reset_index(drop=True)
    response, right = case["formula"].split(" ~ ")
    frame[case["group"]] = frame[case["group"]].astype(str)
    subject = of_frame("~ " + right, frame, frame[response].to_numpy()[None, :])
    (row,) = ICC(subject, group=case["group"]).itertuples()
    held_against(row, case)
    assert row.status == ("ok" if case["icc"] > 0 else "at the boundary")


def test_weights_count_as_variances_that_are_smaller() -> None:
    """Rows of weight 2 are as good as two rows of which the mean was taken, with the same sum of squares."""
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(8), 4).astype(str)
    y = (rng.normal(size=8)[:, None] + rng.normal(size=(8, 4))).reshape(1, -1)
    frame = pd.DataFrame({"g": group})
    plain = ICC(of_frame("~ 1 + (1 | g)", frame, y), group="g")
    weighted = ICC(of_frame("~ 1 + (1 | g)", frame, y, np.full(32, 4.0)), group="g")
    tau = lambda share: share / (1 - share)  # noqa: E731
    for name in ("icc", "conf_low", "conf_high"):
        np.testing.assert_allclose(tau(weighted[name]), tau(plain[name]) / 4, rtol=1e-4)


def test_features_without_a_fit_and_no_features() -> None:
    whole = fitted("~ x + (1 | subject)")
    table = ICC(subject_of(whole), group="subject")
    assert list(table) == list(COLUMNS) and list(table["feature"]) == list(whole.fit.feature_ids)
    lost = ~whole.fit.fitted
    assert lost.any() and table.loc[lost, ["icc", "conf_low", "sem"]].isna().all().all()
    singular = table.set_index("feature").loc["singular"]
    assert singular["icc"] == 0 and singular["conf_low"] == 0 and singular["status"] == "at the boundary"
    assert ICC(subject_of(whole.take(np.zeros(0, dtype=int))), group="subject").empty
    whole_row = ICC(subject_of(whole.take(np.array([0]))), group="subject")
    pd.testing.assert_frame_equal(whole_row, table.iloc[:1], check_exact=True)


@pytest.mark.parametrize(
    ("formula", "options", "told"),
    [
        ("~ x + (1 | subject)", {"group": "sbject"}, "no such random effect"),
        ("~ x + (x | subject)", {"group": "subject"}, "differs between rows"),
        ("~ x + (1 | subject)", {"group": "subject", "kind": "agreement"}, "need a rater"),
        ("~ x + (1 | subject)", {"group": "subject", "rater": "x", "kind": "agreement"}, "no such random"),
    ],
)
def test_what_cannot_be_meant_is_told(formula: str, options: dict, told: str) -> None:
    with pytest.raises(MixflowError, match=told):
        ICC(subject_of(fitted(formula, features=[])), **options)
