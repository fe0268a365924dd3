"""The list of generalised models is what the issue asks for, and every case has R's answer."""

from __future__ import annotations

import json

import pytest

from mixflow.family import FAMILIES
from tests.reference.glmm_cases import CASES, TABLES

ELSEWHERE = {"gaussian"}
"""Families whose mixed models are the Gaussian engine's."""


def test_the_list_is_large_enough():
    assert len(CASES) >= 60
    assert len({TABLES[case["table"]]["file"] for case in CASES.values()}) >= 15


def test_every_family_is_there():
    assert {case["family"] for case in CASES.values()} == set(FAMILIES) - ELSEWHERE


def of(family: str, **wanted: object) -> list[str]:
    """Names of the cases of a family with these options; True for any value."""
    return [
        name
        for name, case in CASES.items()
        if case["family"] == family
        and all(case.get(k) == v or (v is True and case.get(k)) for k, v in wanted.items())
    ]


@pytest.mark.parametrize("family", ["binomial", "cumulative"])
@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_links_are_there(family, link):
    assert of(family, link=link)


@pytest.mark.parametrize("thresholds", ["symmetric", "equidistant"])
def test_thresholds_are_there(thresholds):
    assert of("cumulative", thresholds=thresholds)


@pytest.mark.parametrize("family", ["poisson", "nbinom1", "nbinom2"])
def test_zero_inflation_of_every_count(family):
    assert of(family, zi=True)


@pytest.mark.parametrize("family", ["truncated_poisson", "truncated_nbinom1", "truncated_nbinom2", "Gamma"])
def test_hurdles(family):
    assert of(family, zi=True)


def test_predictors_with_fixed_and_random_terms_of_their_own():
    for key in ("zi", "dispersion"):
        formulas = [case[key] for case in CASES.values() if case.get(key)]
        assert any("|" in text for text in formulas)
        assert any("|" not in text and text != "~ 1" for text in formulas)


def test_offsets_weights_and_quadrature():
    assert any("offset(" in case["formula"] for case in CASES.values())
    assert len([name for name, case in CASES.items() if case.get("weights")]) >= 4
    assert len([name for name, case in CASES.items() if case.get("nagq")]) >= 8


def test_every_case_has_an_answer_from_r(reference):
    answers = json.loads((reference / "glmm" / "glmm.json").read_text())
    assert set(CASES) <= set(answers)
    assert [name for name in CASES if "error" in answers[name]] == []
