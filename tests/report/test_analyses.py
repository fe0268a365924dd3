"""Sections of analyses: pictures of one feature and of many, which rows lead, how much the page carries."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from mixflow.derived import ANALYSES
from mixflow.report import analyses, columns, leading
from mixflow.report.pictures import svg
from mixflow.report.pictures.analyses import DRAWN, pictures
from mixflow.report.pictures.base import Picture
from mixflow.report.section import Section
from mixflow.report.shown import Shown
from mixflow.report.view import View
from tests.report import synthetic_analyses as made_up


def shown(view: View, name: str, n: int) -> Shown:
    ids = [*view.headline.feature_ids, *(f"more {i}" for i in range(n))][:n]
    group = made_up.dataset(name, made_up.made_up(name, ids), {})
    table = analyses.with_names(analyses.analyses.from_dataset(group), view.names)
    return Shown(view.headline, name, table, dict(group.attrs), "log2")


def drawn(picture: Picture) -> Figure:
    figure = picture.figure(89)
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("name", ANALYSES)
def test_one_feature_and_many_are_drawn(view: View, name: str) -> None:
    assert name in DRAWN, "every analysis has its picture"
    for n in (1, 40):
        for picture in pictures(shown(view, name, n)):
            figure = drawn(picture)
            assert len([ax for ax in figure.axes if ax.has_data()]) == len(picture.panels)
            assert picture.caption and not re.search(r"\bnan\b|\binf\b", picture.caption), picture.caption
            assert not picture.data.empty
            for panel in picture.panels:
                assert len(panel.alt) > 20 and "nan" not in panel.alt.split(), panel.alt


@pytest.mark.parametrize("name", ANALYSES)
def test_nothing_fitted_is_a_table_without_a_picture(view: View, name: str) -> None:
    empty = shown(view, name, 3)
    numbers = empty.table.select_dtypes("float").columns
    bare = dataclasses.replace(empty, table=empty.table.assign(**dict.fromkeys(numbers, np.nan)))
    assert pictures(bare) == []
    assert pictures(dataclasses.replace(empty, table=empty.table.head(0))) == []
    assert columns.shapes(bare.table, bare.meanings, 0.95)[0].label == "Feature"


def test_many_features_leave_the_page_small(view: View) -> None:
    large = shown(view, "moderated", 20_000)
    page = leading.first_rows(large, leading.rows_allowed(1, 22))
    assert len(page) == leading.MOST_ROWS
    assert page["p_value"].max() <= np.sort(large.table["p_value"].dropna())[leading.MOST_ROWS]
    assert leading.rows_allowed(30, 20) * 30 * 20 <= leading.MOST_CELLS
    text = "".join(text for picture in pictures(large) for text in picture.inline())
    assert len(text) < 400_000


def test_every_part_gives_its_first_rows(view: View) -> None:
    terms = shown(view, "terms", 500)
    table = terms.table
    table.loc[table["term"] == "time", "p_value"] = 0.5 + table["p_value"] / 2
    page = leading.first_rows(terms, 100)
    assert page["term"].value_counts().to_dict() == {"dose": 50, "time": 50}
    assert page["p_value"].is_monotonic_increasing


def test_columns_alike_in_all_rows_are_told_once(parts: dict[str, Section]) -> None:
    facts = parts["analysis-mixed-terms"].facts
    assert [s.label for s in facts["shapes"]][:3] == ["Feature", "Id", "term"]
    table = pd.DataFrame({"feature": ["a", "b"], "name": ["a", "b"], "null": "~ 1", "p_value": [0.1, np.nan]})
    assert [s.key for s in columns.shapes(table, {}, 0.9)] == ["name", "p_value"]
    assert columns.constants(table) == [("null", "~ 1", "text")]
    assert columns.packed(table, columns.shapes(table, {}, 0.9))["p_value"] == [0.1, None]


def test_two_of_one_kind_are_told_apart(tree: xr.DataTree) -> None:
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    groups["/analyses/mixed/again"] = groups["/analyses/mixed/terms"].copy()
    titles = [s.told["title"] for s in analyses.sections(View(xr.DataTree.from_dict(groups)))]
    assert len(set(titles)) == 4 and any(title.endswith(", again)") for title in titles)


def test_shares_stand_side_by_side_and_options_in_words(view: View) -> None:
    partition = shown(view, "partition", 6)
    read = analyses.as_read(partition)
    assert list(read.table)[2:-1] == ["dose", "subject", "Residual"] and len(read.table) == 6
    first = partition.table[partition.table["feature"] == read.table["feature"].iloc[0]]
    assert list(read.table.iloc[0, 2:5]) == list(first["share"])
    told = analyses._told({"batch": ["site", "plate"], "biological": ["AD"]})
    assert told == "batch: site, plate; biological: AD"


def test_numbers_at_an_axis_keep_their_digits() -> None:
    drawing = '<?xml?><svg width="1pt"><path d="M 1.23456 2.0004"/><text x="1.23456">0.015</text></svg>'
    page = svg.for_page(drawing, "small numbers", "p")
    assert ">0.015<" in page and "M 1.23 2" in page
