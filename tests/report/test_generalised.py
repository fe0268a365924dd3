"""The report of generalised models: ratios, the response's scale, dispersion, separation, methods in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from mixflow.report import carried, html, onefeature
from mixflow.report.build import prepared
from mixflow.report.methods import methods
from mixflow.report.scale import Scale
from mixflow.report.section import Section
from mixflow.report.sections import sections
from mixflow.report.view import View
from tests.report.synthetic_counts import SEPARATED, SIMPLER, counts


@pytest.fixture(scope="module")
def view() -> View:
    return prepared(counts(), [], share=False)


@pytest.fixture(scope="module")
def made(view: View) -> list[Section]:
    return sections(view)


@pytest.fixture(scope="module")
def parts(made: list[Section]) -> dict[str, Section]:
    return {section.id: section for section in made}


@pytest.fixture(scope="module")
def page(view: View, made: list[Section]) -> str:
    return html.render(view, made, carried.text(view))


def changed(view: View, model: str, **attrs: object) -> View:
    """The view with other attrs of a model's fit."""
    groups = {node.path: node.to_dataset(inherit=False) for node in view.tree.subtree}
    groups[f"/fits/{model}"] = groups[f"/fits/{model}"].assign_attrs(attrs)
    return View(xr.DataTree.from_dict(groups))


@pytest.mark.parametrize(
    ("scale", "estimate", "ratio", "axis"),
    [
        (Scale("gaussian", "identity"), "Difference", "", "difference (count)"),
        (Scale("nbinom2", "log", ("dispersion",)), "Log rate ratio", "rate ratio", "log rate ratio"),
        (Scale("binomial", "logit"), "Log odds ratio", "odds ratio", "log odds ratio"),
        (Scale("binomial", "cloglog"), "Log hazard ratio", "hazard ratio", "log hazard ratio"),
        (Scale("binomial", "probit"), "Difference (probit scale)", "", "difference (probit scale)"),
        (
            Scale("Gamma", "log", ("dispersion",)),
            "Log ratio of means",
            "ratio of means",
            "log ratio of means",
        ),
        (Scale("t", "identity", ("dispersion", "family")), "Difference", "", "difference (count)"),
        (Scale("cumulative", "logit", ("family",) * 3), "Log odds ratio", "odds ratio", "log odds ratio"),
    ],
)
def test_a_scale_is_told_by_the_family(scale: Scale, estimate: str, ratio: str, axis: str) -> None:
    assert (scale.estimate, scale.ratio, scale.axis("count")) == (estimate, ratio, axis)


def test_the_stored_family_comes_back_with_its_categories_and_its_zeros() -> None:
    assert Scale("cumulative", "logit", ("family",) * 3).family.n_own == 3
    zeros = Scale("nbinom2", "log", ("dispersion", "zi")).family
    assert zeros.title == "zero-inflated negative binomial"
    assert [p.name for p in zeros.predictors] == ["mu", "dispersion", "zi"]


def test_ratios_stand_beside_log_ratios(parts: dict[str, Section], page: str) -> None:
    table = parts["results"].tables["results_mixed_high-vs-control"]
    place = list(table.columns).index("estimate")
    assert list(table.columns[place : place + 4]) == ["estimate", "ratio", "ratio_low", "ratio_high"]
    for ratio, log in (("ratio", "estimate"), ("ratio_low", "conf_low"), ("ratio_high", "conf_high")):
        np.testing.assert_allclose(table[ratio], np.exp(table[log]))
    for told in ("Log rate ratio", ">Rate ratio</th>", "95 % interval of the ratio"):
        assert told in page
    assert "a generalised linear mixed model (negative binomial)" in page


def test_values_are_drawn_at_one_library_size(view: View) -> None:
    """The value of a sample with half the median library counts twice; means go through the inverse link."""
    model, on = view.headline, onefeature.axis(view, view.headline, "dose")
    one = onefeature.feature(view, model, on, model.feature_ids[6])
    size = view.samples.loc[on.sample_ids, "library_size"].to_numpy()
    middle = np.exp(np.median(np.log(size)))
    raw = view.raw[view.feature_row[one.id]][[view.sample_column[s] for s in on.sample_ids]]
    assert one.values is not None and one.fit is not None and on.rows is not None
    np.testing.assert_allclose(one.values, raw * middle / size, rtol=1e-9)
    beta = model.fit["beta"].values[6]
    np.testing.assert_allclose(one.fit["mean"], middle * np.exp(on.rows["mu"] @ beta), rtol=1e-9)
    assert (one.fit["low"] < one.fit["mean"]).all() and (one.fit["low"] > 0).all()
    assert one.unit == f"count at library size {middle:,.0f}" and one.spread == "log1p"
    assert on.average.endswith("random effects at zero")


def test_presence_is_drawn_as_yes_or_no_with_shares(view: View) -> None:
    model = next(m for m in view.models if m.name == "site-fixed")
    on = onefeature.axis(view, model, "dose")
    one = onefeature.feature(view, model, on, model.feature_ids[3])
    raw = view.raw[view.feature_row[one.id]][[view.sample_column[s] for s in on.sample_ids]]
    assert one.values is not None and one.fit is not None
    np.testing.assert_array_equal(one.values, raw > 0)
    for k in range(len(on.levels)):
        assert one.group_means[k] == pytest.approx((raw[on.x == k] > 0).mean())
    assert ((one.fit > 0) & (one.fit < 1)).all(axis=None) and one.spread == "yes/no"


def test_separated_coefficients_are_named(view: View, parts: dict[str, Section], page: str) -> None:
    section = parts["status"]
    name = view.names[view.headline.feature_ids[SEPARATED]]
    (row,) = section.facts["separated"]
    assert (row["coef"], row["n"], row["names"]) == ("dose[high]", 1, [name])
    table = section.tables["status_mixed"]
    assert table["without_finite_estimate"][SEPARATED] == "dose[high]"
    assert (table["without_finite_estimate"] != "").sum() == 1
    assert "Coefficients without a finite estimate" in page and "features are separated" in page


def test_dispersion_of_simpler_families_is_no_number(
    view: View, parts: dict[str, Section], page: str
) -> None:
    section = parts["beside"]
    table = section.tables["dispersion_and_zeros"]
    assert (
        np.isnan(table["value"][SIMPLER]) and np.isfinite(np.delete(table["value"].to_numpy(), SIMPLER)).all()
    )
    assert np.isinf(table["estimate"][SIMPLER]) and table["note"][SIMPLER] == "no finite estimate: Poisson"
    others = table.drop(index=SIMPLER)
    np.testing.assert_allclose(others["value"], np.exp(others["estimate"]))
    assert (others["note"] == "").all()
    (told,) = section.facts["simpler"]
    assert told["n"] == 1 and told["spread"] == "variance μ + μ² / φ"
    (row,) = section.facts["rows"]
    assert (row["n"], row["of"]) == (len(table) - 1, len(table))
    assert "show nothing beyond the simpler family" in page and "parameters" in section.pictures


def test_random_effects_are_told_on_the_scale_of_the_link(parts: dict[str, Section], page: str) -> None:
    assert "deviations" in parts["variance"].pictures and "standard deviation on the log scale" in page
    assert "has no random effects" not in page


@pytest.mark.parametrize(
    "told",
    [
        "generalised linear mixed model (~ dose",
        "negative binomial distribution, log link) was fitted to",
        "by maximum likelihood, with Laplace's approximation of the integral over the random effects [",
        "dispersion φ was estimated for each feature (variance μ + μ² / φ)",
        "Estimates are log rate ratios; exponentiated they are rate ratios.",
        "For 1 of 40 features the values showed nothing beyond a simpler family",
        "Wald z tests (normal approximation)",
        "Its distribution is binomial with the logit link.",
        "The response was whether a feature was there in a sample.",
    ],
)
def test_methods_in_words(view: View, told: str) -> None:
    assert told.replace("of 40", f"of {len(view.headline.feature_ids)}") in methods(view)[0]


def test_quadrature_weights_and_trials_in_words(view: View) -> None:
    text, references = methods(changed(view, "mixed", nodes=9, weights="size", trials="tried"))
    assert "adaptive Gauss-Hermite quadrature over the random effects at 9 points" in text
    assert "The log-likelihood of a sample was multiplied by size." in text
    assert "successes among tried trials" in text and any("Pinheiro" in r for r in references)


def test_points_by_feature_and_priors_in_words(view: View) -> None:
    points = np.ones(len(view.headline.feature_ids), dtype=np.int32)
    points[[2, 5]] = 9, 25
    seen = changed(view, "mixed", prior='{"sd": 2.5}')
    tree = {node.path: node.to_dataset(inherit=False) for node in seen.tree.subtree}
    tree["/fits/mixed"] = tree["/fits/mixed"].assign(nodes_of_feature=("feature", points))
    text = methods(View(xr.DataTree.from_dict(tree)))[0]
    assert f"for 2 of {len(points)} features, where that was not close enough" in text
    assert "quadrature over the random effects at 9 to 25 points" in text
    assert "a normal prior of standard deviation 2.5" in text


def test_few_levels_make_z_tests_doubtful(parts: dict[str, Section]) -> None:
    titles = [doubt.title for doubt in parts["summary"].facts["doubts"]]
    assert any(title.startswith("z tests with 12 levels") for title in titles)


def test_a_copy_to_share_has_no_values(view: View) -> None:
    shared = prepared(view.tree, [], share=True)
    on = onefeature.axis(shared, shared.headline, "dose")
    one = onefeature.feature(shared, shared.headline, on, shared.headline.feature_ids[6])
    assert one.values is None and one.fit is not None and np.isfinite(one.most) and one.least > 0
    assert replace(on, levels=on.levels[:1]).response.spread == "log1p"
