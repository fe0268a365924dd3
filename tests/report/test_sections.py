"""Sections hold what the store holds; the page is whole without scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.report import adjusted, onefeature, story
from mixflow.report.build import page
from mixflow.report.html import count, number, p_value, percent, signed
from mixflow.report.pictures import absence
from mixflow.report.pictures.feature import leaders
from mixflow.report.section import Section
from mixflow.report.sections import sections
from mixflow.report.view import View
from mixflow.status import MEANING, Status
from tests.report.synthetic import study

IDS = ["summary", "design", "quality", "batch", "results", "onegroup", "variance", "analysis-mixed-r2"]
IDS += ["analysis-mixed-terms", "analysis-mixed-slopes-by", "feature", "status", "methods", "provenance"]


def test_every_section_keeps_the_contract(parts: dict[str, Section]) -> None:
    assert list(parts) == IDS
    for section in parts.values():
        assert all(len(section.told[key]) > 5 for key in ("title", "purpose", "help"))
        assert section.tables or section.pictures or section.id == "methods"
        for picture in section.pictures.values():
            assert picture.caption and all(len(panel.alt) > 20 for panel in picture.panels)
            assert not picture.data.empty


def test_design_counts_samples_and_shows_the_empty_cells(parts: dict[str, Section], view: View) -> None:
    facts = parts["design"].facts
    rows = view.samples.loc[view.headline.rows]
    dose = next(f for f in facts["factors"] if f["name"] == "dose")
    assert {r["level"]: r["n"] for r in dose["levels"]} == rows["dose"].value_counts().to_dict()
    assert dose["reference"] == "control"
    crossed = facts["crossed"][0]
    delft = dict(zip(crossed["columns"], next(r[1] for r in crossed["rows"] if r[0] == "Delft"), strict=True))
    assert delft["low"] == delft["high"] == "0" and delft["control"] == str((rows["site"] == "Delft").sum())
    subject = next(f for f in facts["factors"] if f["name"] == "subject")
    assert subject["levels"] == [] and subject["n_levels"] == 30
    dropped = {d["reason"]: d["ids"] for d in facts["dropped"]}
    assert dropped["contaminant"] == ["CON_1", "CON_2"]


def test_quality_counts_what_is_missing(parts: dict[str, Section], tree: xr.DataTree) -> None:
    raw = tree["data"].to_dataset()["raw"].values[:, (View(tree).roles == "sample").to_numpy()]
    facts = parts["quality"].facts
    assert facts["missing"] == pytest.approx(np.isnan(raw).mean())
    assert facts["complete"] == np.isfinite(raw).all(axis=1).sum() and facts["n_qc"] == 6
    data = parts["quality"].pictures["distributions"].data
    after = data[data["stage"] == "after"].set_index("sample")
    sample = tree["data"].to_dataset()["sample"].values[3]
    assert after.loc[sample, "q50"] == pytest.approx(
        np.nanmedian(tree["data"].to_dataset()["value"].values[:, 3])
    )


def test_batch_shows_before_and_after_by_colour_and_shape(parts: dict[str, Section]) -> None:
    picture = parts["batch"].pictures["components site"]
    assert set(picture.data["stage"]) == {"before", "after"} and "QC" in set(picture.data["group"])
    assert parts["batch"].facts["associations"][0]["column"] == "age"


def test_statuses_are_counted_and_explained(parts: dict[str, Section], tree: xr.DataTree) -> None:
    rows = {r["code"]: r for r in parts["status"].facts["rows"]}
    status = tree["fits/mixed"].to_dataset()["status"].values
    assert rows[Status.SINGULAR]["counts"][0] == (status == Status.SINGULAR).sum()
    assert sum(r["counts"][0] for r in rows.values()) == len(status)
    assert rows[Status.NOT_ESTIMABLE]["meaning"] is MEANING[Status.NOT_ESTIMABLE]


def test_variance_components_are_written_for_every_feature(
    parts: dict[str, Section], tree: xr.DataTree
) -> None:
    table = parts["variance"].tables["variance_components_mixed"]
    fit = tree["fits/mixed"].to_dataset()
    site = table[table["group"] == "site"]
    np.testing.assert_array_equal(site["share"], fit["share"].values[:, 0])
    assert list(table.columns) == ["feature", "name", "group", "term", "term_2", "variance", "share"]


def test_model_means_are_the_contrast_apart(view: View) -> None:
    """With no interaction the difference of two model means is the contrast itself."""
    model = view.headline
    on = onefeature.axis(view, model, "dose")
    assert on.rows is not None and on.levels == ("control", "low", "high")
    one = onefeature.feature(view, model, on, "F0000")
    assert one.fit is not None and one.values is not None
    row = model.results("high vs control").set_index("feature").loc["F0000"]
    assert one.fit["mean"][2] - one.fit["mean"][0] == pytest.approx(row["estimate"])
    seen = view.factor_values("dose", model.rows) == "low"
    assert one.group_means[1] == pytest.approx(np.nanmean(one.values[seen.to_numpy()]))


def changed_fit(tree: xr.DataTree, **attrs: str) -> View:
    """The study with other attrs of the headline's fit."""
    changed = tree.copy()
    changed["fits/mixed"] = xr.DataTree(tree["fits/mixed"].to_dataset().assign_attrs(attrs))
    return View(changed)


def test_no_mean_is_drawn_for_a_level_that_the_model_did_not_read(tree: xr.DataTree, view: View) -> None:
    text = view.factor_values("dose", view.headline.rows)
    kept = changed_fit(tree, rows=json.dumps(list(text.index[text != "low"])))
    on = onefeature.axis(kept, kept.headline, "dose")
    assert on.levels == ("control", "high") and set(on.x) == {0.0, 1.0}
    one = onefeature.feature(kept, kept.headline, on, "F0000")
    assert one.fit is not None and len(one.fit) == len(one.group_means) == 2
    row = view.headline.results("high vs control").set_index("feature").loc["F0000"]
    assert one.fit["mean"][1] - one.fit["mean"][0] == pytest.approx(row["estimate"])


def test_points_are_the_harmonised_values_where_those_were_fitted(tree: xr.DataTree) -> None:
    view = changed_fit(tree, fit_on="harmonised")
    on = onefeature.axis(view, view.headline, "dose")
    one = onefeature.feature(view, view.headline, on, "F0008")
    stored = tree["batch"].to_dataset()["harmonised"].sel(feature="F0008").to_series()
    np.testing.assert_array_equal(one.values, stored[on.sample_ids])
    assert not np.allclose(stored[on.sample_ids], view.value[8, : len(on.sample_ids)], equal_nan=True)


def test_an_offset_leaves_no_fit_to_draw_and_the_caption_says_so(tree: xr.DataTree, view: View) -> None:
    view_offset = changed_fit(tree, formula=view.headline.formula + " + offset(log(age))")
    for known, drawn in ((view, True), (view_offset, False)):
        on = onefeature.axis(known, known.headline, "dose")
        one = onefeature.feature(known, known.headline, on, "F0000")
        picture = leaders([one], "high vs control", "high")
        assert (one.fit is not None) is drawn and picture is not None
        assert ("black: the model's means" in picture.caption) is drawn
        assert ("The model has an offset" in picture.caption) is not drawn


def test_units_are_joined_where_they_are_paired(view: View) -> None:
    model = view.headline
    dose = onefeature.axis(view, model, "dose")
    time = onefeature.axis(view, model, "time")
    assert dose.unit_column == "", "a subject has one dose, so there is nothing to join"
    lines = onefeature.feature(view, model, time, "F0008").lines()
    assert time.unit_column == "subject" and len(lines) > 10 and all(len(line) == 2 for line in lines)


def test_design_from_names_of_coefficients() -> None:
    sheet = pd.DataFrame({"a": ["x", "y"], "n": [2.0, 3.0], "odd name": ["u", "v"]})
    made = adjusted.design(["(Intercept)", "a[y]", "n", "a[y]:n", "odd name[v]"], sheet)
    np.testing.assert_array_equal(made, [[1, 0, 2, 0, 0], [1, 1, 3, 3, 1]])
    logged = adjusted.design(["(Intercept)", "log(n)"], sheet)
    assert logged is not None
    np.testing.assert_allclose(logged[:, 1], np.log([2, 3]))
    for name in ("scale(n)", "bs(n, df=3)[1]", "s(n)", "log(absent)"):
        assert adjusted.design(["(Intercept)", name], sheet) is None, name


def test_a_number_gives_a_line(tree: xr.DataTree) -> None:
    changed = tree.copy()
    told = '[{"name": "age", "text": "per year", "factor": "age", "levels": []}]'
    tests = (
        tree["tests/mixed"].to_dataset().isel(contrast=[0]).assign_coords(contrast=np.array(["age"], object))
    )
    changed["tests/mixed"] = xr.DataTree(tests.assign_attrs(contrasts=told))
    view = View(changed)
    on = onefeature.axis(view, view.headline, "age")
    assert onefeature.factors(view, view.headline) == ["age"] and on.levels == () and len(on.grid) == 25
    one = onefeature.feature(view, view.headline, on, "F0000")
    assert one.fit is not None
    slope = np.diff(one.fit["mean"]) / np.diff(on.grid)
    beta = tree["fits/mixed"].to_dataset()["beta"].sel(feature="F0000", coef="age").item()
    np.testing.assert_allclose(slope, beta)
    for share in (False, True):
        drawn = leaders(
            [onefeature.feature(View(changed, share=share), view.headline, on, "F0000")], "age", "age"
        )
        assert drawn is not None and "GENE0 against age" in drawn.inline()[0]
    assert story.headline_sentence(story.contrast_rows(view.headline)[0]) == "change with age (age)"


def test_a_study_of_variances_alone_leads_with_what_explains_most(tree: xr.DataTree) -> None:
    groups = {n.path: n.to_dataset(inherit=False) for n in tree.subtree if "/tests" not in n.path}
    groups = {k: v for k, v in groups.items() if not k.startswith("/fits/") or k == "/fits/mixed"}
    bare = xr.DataTree.from_dict(groups)
    view = View(bare)
    assert onefeature.factors(view, view.headline) == ["site", "subject"]
    text = page(bare)
    best = max(story.explained(view, view.headline), key=lambda e: e.median)
    assert f'<p class="lede">{best.group} explains' in text and "nothing was compared" in text


def test_counts_without_missing_values_are_looked_at_for_zeros(tree: xr.DataTree) -> None:
    raw = np.nan_to_num(tree["data"].to_dataset()["raw"].values)
    changed = tree.copy()
    changed["data"] = xr.DataTree(tree["data"].to_dataset().assign(raw=(("feature", "sample"), raw)))
    changed["data"].attrs |= {"scale": "count"}
    told, word = absence.absence(View(changed))
    fitted = View(changed).roles == "sample"
    assert word == "zero" and told.sum() == (raw[:, fitted] == 0).sum() > 0
    picture = absence.missingness(View(changed))
    assert "zero" in picture.caption and "zero" in picture.data
    full = xr.DataTree.from_dict(
        {"data": tree["data"].to_dataset().assign(raw=(("feature", "sample"), raw + 1))}
    )
    assert absence.intensity(View(full)) is None


def test_a_zero_intensity_is_missing_and_qc_samples_do_not_count(tree: xr.DataTree) -> None:
    data = tree["data"].to_dataset()
    fitted = (View(tree).roles == "sample").to_numpy()
    raw = np.ones_like(data["raw"].values)
    raw[0, np.flatnonzero(fitted)[:3]] = 0
    raw[1, np.flatnonzero(fitted)[0]] = np.nan
    raw[:, ~fitted] = np.nan
    changed = data.assign(raw=(("feature", "sample"), raw))
    sheet = tree["data/samples"].to_dataset(inherit=False)
    view = View(xr.DataTree.from_dict({"data": changed, "data/samples": sheet}))
    absent, word = absence.absence(view)
    assert (word, absent.shape, absent.sum()) == ("missing", (len(raw), fitted.sum()), 4)
    shares = absence.missingness(view).data.set_index("id")["missing"]
    assert "QC_0" not in shares and shares["F0000"] == pytest.approx(3 / fitted.sum())
    drawn = absence.intensity(view)
    assert drawn is not None and drawn.data["missing"].iloc[0] == pytest.approx(3 / fitted.sum())


def test_p_withheld_in_one_group_has_its_note(tree: xr.DataTree) -> None:
    changed = tree.copy()
    only = tree["data/one_group"].to_dataset(inherit=False)
    told = only.assign(p_value=("only", [np.nan])).assign_attrs(note="No p-values: repeats.")
    changed["data/one_group"] = xr.DataTree(told)
    assert '<p class="note">No p-values: repeats.</p>' in page(changed)


def test_the_page_without_scripts_has_the_results(report: Path) -> None:
    text = (report / "report.html").read_text()
    static = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    for section in IDS:
        assert f'<section id="{section}"' in static
    for word in ("GENE8", "high vs control", "Delft is unlike", "not estimable", "Kuznetsova", "GENE5"):
        assert word in static, word
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//|@import|url\(["']?http""", text), (
        "needs no network"
    )


def test_text_of_the_study_cannot_become_markup() -> None:
    evil = study(n_features=24, n_subjects=12)
    evil["provenance"].attrs["title"] = "<script>alert(1)</script>"
    evil["data/features"]["name"].values[0] = "</script><img src=x onerror=alert(1)>"
    text = page(evil)
    assert "<script>alert" not in text and "<img" not in text


def test_omnibus_tests_have_their_table(tree: xr.DataTree) -> None:
    from mixflow.report.sections.results import results

    changed = tree.copy()
    tests = tree["tests/mixed"].to_dataset()
    n = tests.sizes["feature"]
    p = np.linspace(1e-6, 1, n)[:, None]
    for name, value in {
        "f_statistic": 1 / p,
        "f_df1": p * 0 + 2,
        "f_df2": p * 0 + 50,
        "f_p_value": p,
    }.items():
        tests[name] = (("feature", "omnibus"), value)
    tests["f_q_value"] = (("feature", "omnibus"), np.minimum(1, p * 20))
    tests["f_status"] = (("feature", "omnibus"), np.ones((n, 1), "int8"))
    changed["tests/mixed"] = xr.DataTree(tests.assign_coords(omnibus=np.array(["dose"], object)))
    section = results(View(changed))
    told = section.facts["omnibus"][0]
    assert told["hits"] == (p * 20 < 0.05).sum() > 0 and told["tested"] == n
    assert len(section.tables["omnibus_dose"]) == n


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (p_value(3.2e-12), "3.2e−12"),
        (p_value(0.0421), "0.042"),
        (p_value(0.0), "<1e−300"),
        (p_value(np.nan), "–"),
        (number(1.4), "1.40"),
        (number(-0.00123), "−0.00123"),
        (number(np.nan), "–"),
        (number(1234.4), "1234"),
        (signed(0.4), "+0.40"),
        (signed(-1.0), "−1.00"),
        (percent(0.2), "20\u202f%"),
        (count(20000), "20,000"),
    ],
)
def test_numbers_are_written_for_readers(made: str, expected: str) -> None:
    assert made == expected


def test_parameters_of_structures_are_a_table_and_told_beside_the_formula(tree: xr.DataTree) -> None:
    fit = tree["fits/mixed"].to_dataset(inherit=False)
    n = fit.sizes["feature"]
    fit = fit.assign(structure=(("feature", "par_structure"), np.linspace(0, 1, n)[:, None]))
    fit = fit.assign_coords(par_structure=np.array(["Residual.ar1"], object))
    fit = fit.assign_attrs(residual="ar1(day | subject)", dispersion="~ sex")
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree} | {"/fits/mixed": fit}
    made = {section.id: section for section in sections(View(xr.DataTree.from_dict(groups)))}
    table = made["variance"].tables["structure_mixed"]
    assert list(table) == ["feature", "name", "parameter", "estimate"] and len(table) == n
    assert set(table["parameter"]) == {"Residual.ar1"} and table["estimate"].iloc[-1] == 1
    assert "structure_ignored" not in made["variance"].tables
    text = page(xr.DataTree.from_dict(groups))
    assert "residual <code>ar1(day | subject)</code><br>dispersion <code>~ sex</code>" in text
    assert (
        "; residual <code>ar1(day | subject)</code>; dispersion <code>~ sex</code>" in text
    )  # summary, analyses
    told = made["summary"].tables["models"].set_index("model").loc["mixed"]
    told = told.iloc[0] if isinstance(told, pd.DataFrame) else told
    assert (
        told["structure"] == "residual: ar1(day | subject); dispersion: ~ sex"
        and told["df"] == "satterthwaite"
    )
