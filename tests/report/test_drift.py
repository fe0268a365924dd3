"""Signal drift in the report: its sentence, table and pictures; nothing by sample in a copy to share."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.report import carried, html, methods
from mixflow.report.build import prepared
from mixflow.report.doubts import doubts
from mixflow.report.pictures import drift as pictures
from mixflow.report.section import Section
from mixflow.report.sections.data import batch
from mixflow.report.sections.summary import summary
from mixflow.report.view import View
from tests.report.synthetic_data import SITES


def drifting(tree: xr.DataTree, *, restart: bool = False) -> xr.DataTree:
    """The study measured site by site, 3 features drifting; ``restart``: each site counts from 1."""
    made = tree.copy()
    sheet = made["data/samples"].to_dataset()
    place = (
        pd.Series(sheet["site"].values.astype(str)).groupby(sheet["site"].values.astype(str)).cumcount() + 1.0
    )
    shift = pd.Series(sheet["site"].values.astype(str)).map(SITES.index) * 100
    order = place if restart else place + shift
    made["data/samples"] = sheet.assign(injection=("sample", order.to_numpy(), {"kind": "number"}))
    group = made["batch"].to_dataset()
    n, rng = group.sizes["feature"], np.random.default_rng(2)
    p, share = rng.uniform(0.2, 1, n), rng.beta(0.4, 6, n)
    p[:3], share[:3], p[5], share[5] = 1e-6, 0.7, np.nan, np.nan
    numbers = {"share": share, "edf": rng.uniform(4, 9, n), "p": p, "q": np.where(p < 0.01, 1e-4, p)}
    numbers["n"] = np.full(n, 40, dtype="int32")
    told = {"drift_order": "injection", "drift_batch": "site", "drift_used": "all samples"}
    variables = {f"drift_{name}": ("feature", array) for name, array in numbers.items()}
    made["batch"] = group.assign(variables).assign_attrs(told)
    made["batch/drift_curves"] = curves([str(f) for f in group["feature"].values[:4]])
    return made


def curves(features: list[str]) -> xr.Dataset:
    """A fall in every site."""
    x = np.linspace(0, 12, 10)
    rows = [
        pd.DataFrame({"feature_id": f, "batch": s, "order": x, "estimate": 1 - x / 6, "std_error": 0.1})
        for f in features
        for s in SITES
    ]
    table = pd.concat(rows)
    text = ("feature_id", "batch")
    return xr.Dataset({n: ("point", table[n].to_numpy(dtype=object if n in text else float)) for n in table})


def rendered(tree: xr.DataTree) -> str:
    """The page with the summary and the section on batches."""
    view = prepared(tree, [], share=False)
    return html.render(view, [summary(view), batch(view)], carried.text(view))


@pytest.fixture(scope="module")
def drifted(tree: xr.DataTree) -> xr.DataTree:
    return drifting(tree)


@pytest.fixture(scope="module")
def section(drifted: xr.DataTree) -> Section:
    return batch(prepared(drifted, [], share=False))


def test_the_sentence_counts_what_drifts_and_what_could_not_be_tested(section: Section) -> None:
    facts, table = section.facts["drift"], section.tables["drift"]
    assert (facts["drifting"], facts["untested"]) == (3, 1)
    assert facts["tested"] == len(table) - 1
    assert facts["share_drifting"] == pytest.approx(0.7)
    assert facts["share"] == pytest.approx(table["share"].median())
    assert list(table.columns) == ["feature", "name", "share", "edf", "p_value", "q_value", "n_obs", "used"]


def test_curves_are_drawn_of_features_that_drift(section: Section, drifted: xr.DataTree) -> None:
    picture = section.pictures["drift curves"]
    assert [panel.title for panel in picture.panels] == list(section.tables["drift"]["name"][:3])
    assert all(
        "drift along injection in" in panel.alt and "from 1 to -1" in panel.alt for panel in picture.panels
    )
    seen = picture.data[(picture.data["kind"] == "sample") & (picture.data["batch"] == SITES[0])]
    view = View(drifted)
    assert set(seen["order"]) <= set(range(len(view.sample_ids))) and len(seen)
    share = section.pictures["drift share"]
    assert "of the 3 that drift 70.0%" in share.caption and len(share.panels) == 1


def test_batches_stand_side_by_side_where_the_count_runs_on(tree: xr.DataTree, drifted: xr.DataTree) -> None:
    on, again = (pictures.axis_of(View(t)) for t in (drifted, drifting(tree, restart=True)))
    assert on.runs_on and on.label == "injection"
    assert list(on.at(SITES[1], np.array([0.0, 2.0]))) == [101.0, 103.0]
    assert not again.runs_on and again.label == "injection from the start of the site"


def test_many_batches_on_one_axis_are_lines_alone(tree: xr.DataTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_OVERLAID", 3)
    made = batch(prepared(drifting(tree, restart=True), [], share=False)).pictures["drift curves"]
    assert set(made.data["kind"]) == {"curve"} and made.caption.endswith("clearest, one curve a site.")
    (drawn,) = made.figure(100, made.panels[:1]).axes
    assert len(drawn.lines) == len(SITES) + 1 and not drawn.collections


def test_the_page_tells_it_and_the_methods_cite(drifted: xr.DataTree) -> None:
    text = rendered(drifted)
    assert "Signal drift within site" in text and "<b>3 of " in text and "1 could not be tested" in text
    words, references = methods.methods(prepared(drifted, [], share=False))
    assert "Signal drift within site was tested in all samples by penalised splines by site" in words
    assert any("Wood SN" in reference for reference in references)


def test_what_follows_the_order_is_doubted_unless_the_model_knows_it(drifted: xr.DataTree) -> None:
    assert not [d for d in doubts(View(drifted)) if "order of injection" in d.title]
    made = drifted.copy()
    sheet = made["data/samples"].to_dataset()
    late = sheet["injection"].values % 100 > pd.Series(sheet["injection"].values % 100).median()
    dose = np.where(late & (sheet["role"].values == "sample"), "high", "control").astype(object)
    made["data/samples"] = sheet.assign(dose=("sample", dose, sheet["dose"].attrs))
    (doubt,) = [d for d in doubts(View(made)) if "order of injection" in d.title]
    assert doubt.serious and doubt.text.startswith("3 features drift along injection, and")
    assert "s(place, by = site)" in doubt.text
    headline = made["fits/mixed"].to_dataset()
    knows = headline.attrs["formula"] + " + s(injection)"
    made["fits/mixed"] = headline.assign_attrs(formula=knows)
    assert not [d for d in doubts(View(made)) if "order of injection" in d.title]


def test_a_copy_to_share_has_no_samples(drifted: xr.DataTree) -> None:
    made = batch(prepared(drifted, [], share=True))
    assert set(made.pictures["drift curves"].data["kind"]) == {"curve"}
    assert "injection" not in str(made.tables["drift"].columns)


def test_a_study_that_could_not_be_tested_says_so(tree: xr.DataTree) -> None:
    made = tree.copy()
    group = made["batch"].to_dataset()
    notes = [
        *json.loads(group.attrs["notes"]),
        "Drift along injection was not tested: no site has 5 samples.",
    ]
    told = {"drift_order": "injection", "drift_batch": "site", "notes": json.dumps(notes)}
    made["batch"] = group.assign_attrs(told)
    text = rendered(made)
    assert notes[-1] in text and "could not be tested: no batch has enough samples" in text
    assert "drift" not in batch(prepared(made, [], share=False)).tables


def test_a_study_without_an_order_says_nothing_of_it(report) -> None:
    assert "Signal drift" not in (report / "report.html").read_text(encoding="utf-8")
    assert not (report / "tables" / "drift.tsv").exists()
