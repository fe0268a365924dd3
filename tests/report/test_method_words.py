"""Methods in words: df, residual structures with their estimates, proteins, analyses."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mixflow.pipeline.gather import DF_METHODS
from mixflow.report import method_words
from mixflow.report.build import page
from mixflow.report.methods import methods
from mixflow.report.view import View


def text_with(tree: xr.DataTree, **datasets: xr.Dataset) -> tuple[str, list[str]]:
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    groups |= {f"/{path.replace('__', '/')}": dataset for path, dataset in datasets.items()}
    return methods(View(xr.DataTree.from_dict(groups)))


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("satterthwaite", "t tests with Satterthwaite degrees of freedom [4, 5]"),
        ("kenward-roger", "t tests with Kenward-Roger's adjusted covariance and degrees of freedom [4]"),
        ("containment", "t tests with containment degrees of freedom;"),
        ("residual", "t tests with residual degrees of freedom;"),
        ("z", "z tests (normal approximation);"),
    ],
)
def test_the_df_method_is_told(tree: xr.DataTree, method: str, told: str) -> None:
    tests = tree["tests/mixed"].to_dataset(inherit=False).assign_attrs(df_method=DF_METHODS[method])
    text, _ = text_with(tree, tests__mixed=tests)
    found = text[text.index("Wald ") + 5 :]
    assert found.startswith(told.replace("[4, 5]", "[3, 4]").replace("[4]", "[3]")), found[:120]


def test_residual_structure_and_its_estimates_are_told(tree: xr.DataTree) -> None:
    fit = tree["fits/mixed"].to_dataset(inherit=False)
    n = fit.sizes["feature"]
    values = np.column_stack([np.linspace(0, 1, n), np.full(n, np.nan)])
    fit = fit.assign(structure=(("feature", "par_structure"), values))
    fit = fit.assign_coords(par_structure=np.array(["Residual.ar1", "Residual.sd ratio sex[male]"], object))
    fit = fit.assign_attrs(residual="ar1(time | subject)", dispersion="~ sex", relationship='["id"]')
    text, _ = text_with(tree, fits__mixed=fit)
    assert "Residuals of one subject follow a first-order autoregressive process along time" in text
    assert "log-linear (~ sex)" in text and "Levels of id were related by a given matrix" in text
    assert "ar1 of the residuals 0.5 (0.25 to 0.75)." in text and "nan" not in text


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("weights", "The residual variance of a sample was inversely proportional to size."),
        ("variances", "Residual variances were known (size) and not estimated."),
    ],
)
def test_weights_and_known_variances_are_told(tree: xr.DataTree, key: str, told: str) -> None:
    fit = tree["fits/mixed"].to_dataset(inherit=False).assign_attrs({key: "size"})
    assert told in text_with(tree, fits__mixed=fit)[0]


@pytest.mark.parametrize("rows_fitted", [False, True])
def test_how_precursors_became_proteins_is_told(tree: xr.DataTree, rows_fitted: bool) -> None:
    reasons = np.array(["", "", "shared by several proteins"], dtype=object)
    precursors = xr.Dataset(
        {"kept": ("precursor", reasons == ""), "dropped_by": ("precursor", reasons)},
        {"precursor": ["a", "b", "c"]},
    )
    fit = tree["fits/mixed"].to_dataset(inherit=False).assign_attrs(rows_fitted=rows_fitted)
    text, references = text_with(tree, data__precursors=precursors, fits__mixed=fit)
    assert "2 precursors were assigned to" in text and "; 1 shared by several proteins was set aside." in text
    assert ("fitted to its own rows" in text) == rows_fitted
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree} | {"/fits/mixed": fit}
    told = "Points are each protein's level by median polish" in page(xr.DataTree.from_dict(groups))
    assert told == rows_fitted
    assert "Tukey's median polish [1]" in text and references[0].startswith("Tukey")


def test_analyses_of_the_headline_are_told(tree: xr.DataTree) -> None:
    text, references = methods(View(tree))
    assert (
        "Further analyses: marginal and conditional R2 [" in text
        and "; F tests of terms; slopes at values of a moderator." in text
    )
    assert any(r.startswith("Nakagawa") for r in references)
    assert method_words.analyses(["unheard_of"], lambda *keys: "") == ["Further analyses: unheard of."]


def test_a_model_of_another_structure_is_told_beside_the_headline(tree: xr.DataTree) -> None:
    name = View(tree).models[1].name
    fit = tree[f"fits/{name}"].to_dataset(inherit=False).assign_attrs(residual="cs(1 | subject)")
    text, _ = text_with(tree, **{f"fits__{name}": fit})
    assert (
        "was fitted beside it. Residuals" in text
        and "Residuals of one subject are equally correlated (cs(" in text
    )
    assert "beside it" not in methods(View(tree))[0]
