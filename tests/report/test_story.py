"""The first page: counts, models side by side, doubts, each against numbers worked out from the store."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from mixflow.errors import MixflowError
from mixflow.report import story
from mixflow.report.build import prepared
from mixflow.report.doubts import doubts
from mixflow.report.methods import methods
from mixflow.report.model import Contrast
from mixflow.report.sections.summary import forest
from mixflow.report.view import View
from mixflow.store.check import check


def hits(tree: xr.DataTree, model: str, contrast: str) -> set[str]:
    tests = tree[f"tests/{model}"].to_dataset().sel(contrast=contrast)
    return {str(f) for f in tests["feature"].values[tests["q_value"].values < 0.05]}


def test_the_made_up_study_is_what_the_schema_declares(tree: xr.DataTree) -> None:
    check(tree)
    assert tree["fits/mixed"].to_dataset().sizes["feature"] == tree["data"].to_dataset()["kept"].values.sum()


def test_headline_comes_first_and_counts_match_the_store(tree: xr.DataTree, view: View) -> None:
    assert [m.role for m in view.models] == ["headline", "companion", "sensitivity", "sensitivity"]
    for row in story.contrast_rows(view.headline):
        found = hits(tree, "mixed", row.contrast.name)
        assert row.hits == len(found) == row.higher + row.lower
    assert story.contrast_rows(view.headline)[0].hits > 5


def test_models_are_compared_with_the_hits_they_share(tree: xr.DataTree, view: View) -> None:
    rows = {row.model.name: row for row in story.comparison(view)}
    for name, row in rows.items():
        for contrast, count in zip(view.headline.contrasts, row.counts, strict=True):
            own, headline = hits(tree, name, contrast.name), hits(tree, "mixed", contrast.name)
            assert count is not None
            assert (count.hits, count.shared, count.opposite) == (len(own), len(own & headline), 0)
    assert rows["mixed"].headline and not rows["ignored"].headline


def test_a_contrast_that_a_model_lacks_has_no_count(tree: xr.DataTree) -> None:
    cut = tree.copy()
    cut["tests/ignored"] = xr.DataTree(tree["tests/ignored"].to_dataset().isel(contrast=[0]))
    row = next(r for r in story.comparison(View(cut)) if r.model.name == "ignored")
    assert row.counts[0] is not None and row.counts[1:] == [None, None]


def test_explained_gives_the_median_share_and_the_leading_feature(tree: xr.DataTree, view: View) -> None:
    fit = tree["fits/mixed"].to_dataset()
    site = fit["share"].values[:, 0]
    told = {e.group: e for e in story.explained(view, view.headline)}
    assert told["site"].median == pytest.approx(np.nanmedian(site))
    assert told["site"].top_id == fit["feature"].values[np.nanargmax(site)]
    assert set(told) == {"site", "subject"}


def test_doubts_name_the_odd_site_with_its_numbers(view: View) -> None:
    found = {d.title: d for d in doubts(view)}
    odd = found["Delft is unlike the other levels of site"]
    sheet = view.samples.loc[view.headline.rows]
    inside = sheet["site"] == "Delft"
    gap = sheet.loc[~inside, "age"].mean() - sheet.loc[inside, "age"].mean()
    assert odd.serious
    assert f"Delft has {inside.sum()} samples: all dose = control, age {gap:.0f} years lower" in odd.text
    assert "Without it:" in odd.text
    assert not any(title.startswith(("Aarhus", "Bergen", "Cork")) for title in found)


def test_doubts_name_few_levels_with_the_companion_and_singular_fits(tree: xr.DataTree, view: View) -> None:
    found = {d.title: d.text for d in doubts(view)}
    assert "sites fixed" in found["Only 4 levels of site"]
    status = tree["fits/mixed"].to_dataset()["status"].values
    assert "a correlation is +1 or -1" in found[f"{(status == 2).sum()} of {len(status)} fits are singular"]


def test_a_treatment_of_whole_sites_is_the_design_and_no_doubt(tree: xr.DataTree) -> None:
    """Where every site has one dose the sites are its units; of a batch, which is a nuisance, it is told."""
    cut = tree.copy()
    sheet = tree["data/samples"].to_dataset()
    dose = np.where(np.isin(sheet["site"].values, ["Delft", "Cork"]), "high", "control")
    sheet = sheet.assign(dose=xr.DataArray(dose, dims="sample", attrs=sheet["dose"].attrs))
    cut["data/samples"] = xr.DataTree(sheet)
    assert any("all dose = high" in d.text for d in doubts(View(cut)))
    cut["batch"].attrs["factors"] = "[]"
    assert not any("all dose" in d.text for d in doubts(View(cut)))


def test_harmonised_input_is_the_first_doubt(tree: xr.DataTree) -> None:
    changed = tree.copy()
    changed["batch"].attrs["fit_on"] = "harmonised"
    first = doubts(View(changed))[0]
    assert (
        first.title == "Fitted to batch-corrected values" and "3 unbalanced batches and ComBat" in first.text
    )
    assert "10.7 %" in first.text and "docs/why-fit-raw.md" in first.text


def changed_tests(tree: xr.DataTree, model: str, **variables: np.ndarray) -> xr.DataTree:
    """The tree with variables of tests/<model> replaced."""
    cut = tree.copy()
    tests = tree[f"tests/{model}"].to_dataset()
    tests = tests.assign({name: (tests[name].dims, value) for name, value in variables.items()})
    cut[f"tests/{model}"] = xr.DataTree(tests)
    return cut


def test_hits_of_opposite_direction_are_not_shared_but_doubted(tree: xr.DataTree) -> None:
    estimate = tree["tests/ignored"].to_dataset()["estimate"].values
    cut = View(changed_tests(tree, "ignored", estimate=-estimate))
    count = next(r for r in story.comparison(cut) if r.model.name == "ignored").counts[0]
    both = hits(tree, "ignored", "high vs control") & hits(tree, "mixed", "high vs control")
    assert count is not None and (count.shared, count.opposite) == (0, len(both)) and both
    found = {d.title: d for d in doubts(cut)}
    doubt = found["“sites ignored” finds the opposite direction in high vs control"]
    assert doubt.serious and f"{len(both)} feature" in doubt.text


def test_a_contrast_of_the_same_name_is_another_one_where_it_compares_other_levels(tree: xr.DataTree) -> None:
    tests = tree["tests/ignored"].to_dataset()
    facts = json.loads(tests.attrs["contrasts"])
    facts[0] |= {"levels": ["control", "high"], "text": "control minus high"}
    cut = changed_tests(tree, "ignored", matrix=-tests["matrix"].values)
    cut["tests/ignored"].attrs["contrasts"] = json.dumps(facts)
    row = next(r for r in story.comparison(View(cut)) if r.model.name == "ignored")
    assert row.counts[0] is None  # other weights, other levels
    assert row.counts[1] is not None  # other weights (another coding), but the same levels of one factor


def test_a_batch_that_the_formula_lacks_is_told_as_such(tree: xr.DataTree) -> None:
    cut = tree.copy()
    cut["fits/mixed"].attrs["formula"] = "~ dose + time + age + sex + (1 | subject)"
    text, _ = methods(View(cut))
    assert "site was examined but not modelled." in text and "part of the model" not in text
    found = {d.title: d for d in doubts(View(cut))}
    assert found["site is not in the model"].serious
    assert "+ site or + (1 | site)" in found["site is not in the model"].text
    whole, _ = methods(View(tree))
    assert "Batch effects (site) were part of the model." in whole and "not modelled" not in whole


def test_levels_are_counted_feature_by_feature(tree: xr.DataTree) -> None:
    assert not [d for d in doubts(View(tree)) if "observed levels" in d.title]
    cut = tree.copy()
    fit = tree["fits/mixed"].to_dataset()
    ok = np.flatnonzero(np.isin(fit["status"].values, [1, 2]))
    levels = fit["n_levels"].values.copy()
    levels[ok[:3], 1] = [2, 4, 5]
    levels[:, 0] = 2  # the sheet has four sites: that doubt is another one
    cut["fits/mixed"] = xr.DataTree(fit.assign(n_levels=(("feature", "group"), levels)))
    titles = [d.title for d in doubts(View(cut)) if "observed levels" in d.title]
    assert titles == [f"2 of {len(ok)} features have fewer than 5 observed levels of subject"]


def test_a_level_with_a_full_stop_and_small_numbers_are_told_whole(tree: xr.DataTree) -> None:
    cut = tree.copy()
    sheet = tree["data/samples"].to_dataset()
    site = np.where(sheet["site"].values == "Delft", "St. Louis", sheet["site"].values)
    scaled = xr.DataArray(sheet["age"].values / 1000, dims="sample", attrs=sheet["age"].attrs)
    sites = xr.DataArray(site, dims="sample", attrs=sheet["site"].attrs)
    cut["data/samples"] = xr.DataTree(sheet.assign(site=sites, age=scaled))
    odd = next(d for d in doubts(View(cut)) if d.title.startswith("St. Louis is unlike"))
    assert "What is due to St. Louis is hard to tell from that. Without it:" in odd.text
    assert odd.text.startswith("St. Louis has ") and "(mean 0.03" in odd.text


def test_a_calm_study_has_no_serious_doubt(tree: xr.DataTree) -> None:
    kept = {n.path: n.to_dataset(inherit=False) for n in tree.subtree}
    others = ("site-fixed", "ignored", "without-Delft")
    calm = xr.DataTree.from_dict({k: v for k, v in kept.items() if not k.endswith(others)})
    rows = [
        s
        for s, site in zip(
            tree["data"].to_dataset()["sample"].values, tree["data/samples"]["site"].values, strict=True
        )
        if site != "Delft" and not s.startswith("QC")
    ]
    calm["fits/mixed"].attrs |= {"rows": json.dumps(rows), "few_levels": "[]"}
    assert not [d for d in doubts(View(calm)) if d.serious]


def test_headline_sentence_says_what_was_compared(view: View) -> None:
    row = story.contrast_rows(view.headline)[0]
    assert story.headline_sentence(row) == "differ between high and control"


def test_levels_that_say_nothing_are_told_with_the_contrast(view: View) -> None:
    contrast = Contrast("dysbiosis", "x", "d", ("Yes", "No"), "No")
    row = story.ContrastRow(contrast, "dysbiosis", 9, 1, 1, 0)
    assert story.headline_sentence(row) == "differ by dysbiosis (Yes against No)"


def test_slugs_are_unique_whatever_the_names() -> None:
    contrasts = [Contrast(n, n, "", (), "") for n in ("A vs B", "a vs b", "A/B", "A B", "???")]
    made = story.slugs(contrasts)
    assert len({s.lower() for s in made.values()}) == 5
    assert made["???"] == "contrast"


def test_forest_puts_estimates_and_zero_on_one_scale(view: View) -> None:
    rows = forest(story.leaders(view.headline, "high vs control"))
    assert len(rows) == 8
    for row in rows:
        assert 0 <= row["x0"] < row["x"] < row["x1"] <= 100
        assert (row["x"] > row["zero"]) == (row["estimate"] > 0)


def test_methods_cite_what_was_done_and_nothing_else(view: View) -> None:
    text, references = methods(view)
    assert "log2-transformed and normalised to equal sample medians" in text
    assert "restricted maximum likelihood [1]" in text
    assert "(~ dose + time + age + sex + (1 | site) + (1 | subject))" in text
    assert "mixflow 0.1.0" in text and "seed 1" in text
    assert references[0].startswith("Patterson") and not any(
        "ComBat" in r or "Johnson" in r for r in references
    )
    assert text.count("[") == len([c for c in text if c == "]"]) and f"[{len(references)}]" in text


def test_methods_count_missing_values_where_the_model_looked(tree: xr.DataTree) -> None:
    view = View(tree)
    fitted = view.samples.index.isin(view.headline.rows)
    missing = np.isnan(tree["data"].to_dataset()["value"].values[view.kept][:, fitted]).mean()
    assert f"({missing:.1%} in the features and samples analysed)" in methods(view)[0]
    assert f"{missing:.1%}" != f"{np.isnan(view.raw).mean():.1%}"


@pytest.mark.parametrize(("alpha", "told"), [(0.025, "2.5%"), (0.005, "0.5%"), (0.1, "10%")])
def test_methods_tell_the_threshold_exactly(tree: xr.DataTree, alpha: float, told: str) -> None:
    cut = tree.copy()
    cut["tests/mixed"].attrs["alpha"] = alpha
    assert f"procedure [5] at {told}." in methods(View(cut))[0]


def test_an_unknown_feature_is_refused_by_name(tree: xr.DataTree) -> None:
    with pytest.raises(MixflowError) as caught:
        prepared(tree, ["NOSUCH"], share=False)
    problem = caught.value.problems[0]
    assert problem.value == "NOSUCH" and problem.column == "report.features" and problem.remedy


def test_a_store_without_fits_says_what_to_do(tree: xr.DataTree) -> None:
    bare = xr.DataTree.from_dict({"data": tree["data"].to_dataset()})
    with pytest.raises(MixflowError, match="no fitted model"):
        prepared(bare, [], share=False)
