"""Slopes by a moderator and two one-sided tests beside emmeans (tests/reference/derived.R)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError
from mixflow.model.some import take
from tests.derived.subjects import of_frame

SLOPES, EQUIVALENCE = ANALYSES["slopes_by"], ANALYSES["equivalence"]
FOLDER = Path(__file__).parents[1] / "reference"
R = json.loads((FOLDER / "derived.json").read_text())


def of_case(case: dict, group: str) -> Subject:
    frame = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv").dropna().reset_index(drop=True)
    frame[group] = frame[group].astype(str)
    response, right = case["formula"].split(" ~ ")
    log = response.startswith("log(")
    y = frame[response.removeprefix("log(").removesuffix(")")].to_numpy(dtype=float)
    return of_frame("~ " + right, frame, (np.log(y) if log else y)[None, :])


@pytest.mark.parametrize("case", R["slopes"], ids=lambda case: case["data"])
def test_slopes_as_emtrends_has_them(case: dict) -> None:
    table = SLOPES.run(of_case(case, case["group"]), slope=case["slope"], by=case["by"])
    if "levels" in case:
        assert list(table["at"]) == case["levels"]
    else:
        assert [at.split(" ", 1)[1] for at in table["at"]] == ["(mean - sd)", "(mean)", "(mean + sd)"]
    se = np.array(case["std_error"])
    for name, key in (
        ("estimate", "estimate"),
        ("std_error", "std_error"),
        ("conf_low", "low"),
        ("conf_high", "high"),
    ):
        np.testing.assert_allclose((table[name] - case[key]) / se, 0, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(table["df"], case["df"], rtol=1e-3)
    assert list(table) == list(SLOPES.columns)


@pytest.fixture(scope="module")
def stool() -> Subject:
    return of_case(R["equivalence"][1], "Subject")


def test_two_one_sided_tests_as_emmeans_has_them(stool: Subject) -> None:
    case = R["equivalence"][1]
    (row,) = EQUIVALENCE.run(
        stool, factor="Type", levels=["T2", "T1"], bounds=[-5, 5], scale="identity"
    ).itertuples()
    told = [row.ratio, row.std_error, row.df, row.p_value, row.conf_low, row.conf_high]
    expected = [case[key] for key in ("estimate", "std_error", "df", "p_value", "low", "high")]
    np.testing.assert_allclose(told, expected, rtol=1e-5)
    assert row.equivalent == "yes" and row.p_value == max(row.p_lower, row.p_upper)


def test_on_a_log_scale_ratio_limits_and_bounds_go_together() -> None:
    case = R["equivalence"][0]
    subject = of_case(case, "Subject")
    run = lambda subject, **more: next(  # noqa: E731
        EQUIVALENCE.run(subject, factor="Sex", levels=["Female", "Male"], **more).itertuples()
    )
    row = run(subject)
    np.testing.assert_allclose(
        np.log([row.conf_low, row.conf_high, row.ratio]),
        [case["low"], case["high"], case["estimate"]],
        rtol=1e-5,
    )
    np.testing.assert_allclose([row.p_value, row.df], [case["p_value"], case["df"]], rtol=1e-4)
    assert row.equivalent == "yes" and row.conf_low > 0.8 and row.conf_high < 1.25
    tighter = run(subject, bounds=[0.9, 1.11])
    assert tighter.equivalent == "no" and tighter.conf_low < 0.9 and tighter.p_value > 0.05
    strict = run(replace(subject, alpha=0.0001))
    assert strict.equivalent == "no" and strict.conf_low < row.conf_low
    two = run(subject, scale="log2")
    np.testing.assert_allclose(np.log2(two.ratio), row.estimate)


def test_no_features(stool: Subject) -> None:
    none = replace(stool, fit=take(stool.fit, np.zeros(0, dtype=int)), values=stool.values[:0])
    assert EQUIVALENCE.run(none, factor="Type", levels=["T2", "T1"]).empty


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"levels": ["T2", "T9"]}, "no such level"),
        ({"levels": ["T2", "T1"], "bounds": [1.25, 0.8]}, "lower and an upper"),
        ({"levels": ["T2", "T1"], "bounds": [-1, 2]}, "lower and an upper"),
    ],
)
def test_equivalence_that_cannot_be_meant_is_told(stool: Subject, options: dict, told: str) -> None:
    with pytest.raises(MixflowError, match=told):
        EQUIVALENCE.run(stool, factor="Type", **options)


def test_slopes_that_cannot_be_meant_are_told(stool: Subject) -> None:
    with pytest.raises(MixflowError, match="Only a number has a slope"):
        SLOPES.run(stool, slope="Type", by="Type")
