"""Meta-analysis from Python: what is refused, studies without information, the forest plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError
from mixflow.inference.meta import Studies, generalised_q, tau2_by_moments
from mixflow.report.pictures.forest import forest

STUDIES = pd.DataFrame({"yi": [0.1, 0.3, 0.35, 0.65], "vi": [0.03, 0.03, 0.05, 0.01], "who": list("abcd")})


@pytest.fixture(scope="module")
def trials(reference) -> pd.DataFrame:
    return pd.read_csv(reference / "meta" / "data" / "dat_nielweise2007__metadat.csv")


@pytest.fixture(scope="module")
def catheters(trials):
    return mixflow.meta_counts(trials, ("ai", "n1i"), ("ci", "n2i"), study="author")


@pytest.mark.parametrize(
    ("formula", "options", "told"),
    [
        ("yi ~ 1", {"method": "EB"}, "no such method"),
        ("yi ~ 1", {"test": "t"}, "no such test"),
        ("~ 1", {}, "names no estimates"),
        ("yi ~ 1 + (1 | who)", {"method": "DL"}, "one row a study"),
        ("yi ~ 1", {"study": "name"}, "no such column"),
        ("yi ~ vi + I(2 * vi)", {}, "depend on each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(formula, options, told):
    with pytest.raises(MixflowError, match=told):
        mixflow.meta_analysis(formula, STUDIES, variances="vi", **options)


def test_wrong_counts_are_refused(trials):
    wrong = trials.assign(ai=trials["n1i"] + 1)
    with pytest.raises(MixflowError, match="not more than the total"):
        mixflow.meta_counts(wrong, ("ai", "n1i"), ("ci", "n2i"))
    with pytest.raises(MixflowError, match="do not go together"):
        mixflow.meta_counts(trials, ("ai", "n1i"), measure="OR")
    with pytest.raises(MixflowError, match="no such model"):
        mixflow.meta_counts(trials, ("ai", "n1i"), ("ci", "n2i"), measure="IRR", model="CM.AL")


def test_paule_mandel_solves_its_equation():
    studies = Studies(STUDIES["yi"].to_numpy(), STUDIES["vi"].to_numpy(), np.ones((4, 1)))
    assert generalised_q(studies, tau2_by_moments(studies, "PM")) == pytest.approx(3.0, abs=1e-9)
    alike = Studies(np.full(4, 0.3), studies.v, studies.x)
    assert tau2_by_moments(alike, "PM") == 0 == tau2_by_moments(alike, "DL")


def test_a_study_without_events_is_told_and_left_out(catheters, trials):
    empty = (trials["ai"] == 0) & (trials["ci"] == 0)
    assert catheters.heterogeneity["studies_without_information"] == empty.sum() == 1
    assert list(catheters.studies["study"]) == list(trials.loc[~empty, "author"])
    assert catheters.studies["weight"].sum() == pytest.approx(100)


def test_forest_plot_is_a_vector_file_with_every_study(catheters, tmp_path: Path):
    path = mixflow.forest_plot(catheters, tmp_path / "forest.svg")
    text = path.read_text()
    for study in catheters.studies["study"]:
        assert study in text
    assert "Prediction interval" in text and "Odds ratio" in text and "0.29 [0.17, 0.50]" in text
    assert text == mixflow.forest_plot(catheters, tmp_path / "again.svg").read_text()
    assert "adds nothing" in forest(catheters).caption


def test_numbers_of_the_page(catheters):
    page = (Path(__file__).parents[2] / "docs" / "meta-analysis.md").read_text()
    row = catheters.coefficients.iloc[0]
    assert f"log odds ratio {row['estimate']:.3f} ({row['std_error']:.3f})" in page
    assert f"tau2 {catheters.heterogeneity['tau2']:.3f}" in page
