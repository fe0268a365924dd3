"""The embedded study by its config: every protein against R, and its story on the report's first page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.report import build
from tests.acceptance import study

pytestmark = pytest.mark.acceptance

R_OF = {
    "mixed": "mixed",
    "mixed.collection_site-fixed": "fixed",
    "ignored": "ignored",
    "without_kiel": "without_kiel",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    return study.run("", tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def first_page(tree: xr.DataTree) -> str:
    """The text of the report's first section."""
    page = build.page(tree)
    section = page[page.index('id="summary"') : page.index('id="design"')]
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", section, flags=re.S))


def ad(tree: xr.DataTree, model: str) -> pd.DataFrame:
    table = study.tests(tree, model)
    return table[table["contrast"] == "AD vs control"].set_index("feature")


@pytest.mark.parametrize("model", R_OF)
def test_every_protein_is_that_of_r(tree: xr.DataTree, reference: Path, model: str) -> None:
    by_r = pd.read_csv(reference / "embedded" / f"{R_OF[model]}.csv.gz")
    by_r = by_r[by_r["name"] == "AD[AD]"].set_index("feature")
    ours = ad(tree, model).loc[by_r.index]
    assert len(by_r) == 100
    assert ((ours["estimate"] - by_r["estimate"]).abs() / by_r["se"]).max() < 1e-4
    np.testing.assert_allclose(ours["std_error"], by_r["se"], rtol=1e-4)
    np.testing.assert_allclose(ours["df"], by_r["df"], rtol=1e-3)
    np.testing.assert_allclose(ours["q_value"], by_r["q"], rtol=1e-3)


def test_the_figures_of_the_study(tree: xr.DataTree) -> None:
    hits = {model: set(t.index[t["q_value"] < 0.05]) for model in R_OF for t in [ad(tree, model)]}
    assert {model: len(found) for model, found in hits.items()} == {
        "mixed": 19,
        "mixed.collection_site-fixed": 19,
        "ignored": 13,
        "without_kiel": 20,
    }
    assert hits["mixed"] == hits["mixed.collection_site-fixed"]
    assert hits["without_kiel"] - hits["mixed"] == {"Q9NX62"}
    group = study.fits(tree, "mixed")
    assert (study.statuses(group) == "SINGULAR").sum() == 8
    site = study.by_group(group, "share")["collection_site"]
    assert site.median() == pytest.approx(0.2005, abs=5e-4)
    assert site["J3KNA1"] == pytest.approx(0.7376, abs=5e-4)


def test_the_story_stands_on_the_first_page(first_page: str) -> None:
    for words in (
        "19 of 100 features differ between AD and control",
        "GOT1",
        "MIF",
        "CHI3L1",
        "+0.40",
        "+0.47",
        "Kiel has 16 samples",
        "age 32 years lower",
        "Only 4 levels of Collection site",
        "8 of 100 fits are singular",
        "20 % of a feature",
        "J3KNA1",
        "74 %",
        "Sites ignored 13",
    ):
        assert words in first_page, (words, first_page)
