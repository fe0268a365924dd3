"""The formula in plain English."""

from __future__ import annotations

import pytest

from mixflow.formula import parse, words
from mixflow.formula.residual import parse_residual
from mixflow.formula.words import structure_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "~ AD + age + male + (1 | collection_site)",
            "AD, age and male as fixed effects; a random intercept for each collection_site",
        ),
        (
            "Reaction ~ Days + (Days | Subject)",
            "Days as fixed effect; "
            "a random intercept and a random slope of Days for each Subject (correlated)",
        ),
        (
            "~ 1 + (1 | Patient) + (1 | cartridge) + (1 | cartridge:position)",
            "an intercept as the only fixed effect; a random intercept for each Patient; a random intercept "
            "for each cartridge; a random intercept for each position within cartridge",
        ),
        ("~ 0 + a*b", "a, b and the interaction of a and b as fixed effects, without an intercept"),
        ("~ a + (1 | s:t)", "a as fixed effect; a random intercept for each combination of s and t"),
        (
            "~ a + diag(t | g) + offset(log(reads))",
            "a as fixed effect; a random intercept and a random slope of t for each g (uncorrelated); "
            "log(reads) as an offset",
        ),
        (
            "~ sex + s(age) + s(day, by = sex)",
            "sex as fixed effect; a smooth curve of age; a smooth curve of day by sex",
        ),
        (
            "~ a + ar1(day + 0 | dog)",
            "a as fixed effect; effects of day with an autoregressive correlation for each dog",
        ),
        ("~ `egfr:mut` + (0 + t | g)", "egfr:mut as fixed effect; a random slope of t for each g"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert words(parse(text)) == expected


def test_words_of_what_stands_beside_the_formula() -> None:
    found = structure_words(
        parse_residual("ar1(day | site:dog)"),
        parse("~ sex + age"),
        ["animal"],
        "cells",
        None,
        {"day": "week"},
    )
    assert found == (
        "levels of animal related by a given matrix; autoregressive residuals along week within each site and "
        "dog; residual spread by sex and age; samples weighted by cells"
    )
    assert structure_words(None, None, variances="vi") == "residual variances known from vi"
    assert structure_words(None, None) == ""


def test_labels_stand_for_columns() -> None:
    found = words(parse("~ AD + (1 | site)"), {"AD": "diagnosis", "site": "collection site"})
    assert found == "diagnosis as fixed effect; a random intercept for each collection site"
