"""The page of analyses says what the analyses say, and every analysis says enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixflow.derived import ANALYSES
from mixflow.study import catalogue

PAGE = Path(__file__).parents[2] / catalogue.PAGE


def test_the_page_is_that_of_the_registered_analyses() -> None:
    again = "write it again from the root of the project: python -m mixflow.study.catalogue"
    assert PAGE.read_text(encoding="utf-8") == catalogue.page(), again


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_an_analysis_explains_itself_its_options_and_its_columns(name: str) -> None:
    analysis = ANALYSES[name]
    assert analysis.title and analysis.purpose.endswith(".") and analysis.help.endswith(".")
    assert all(part.get("description") for part in analysis.options.values())
    assert set(analysis.required) <= set(analysis.options)
    assert next(iter(analysis.columns)) == "feature"
