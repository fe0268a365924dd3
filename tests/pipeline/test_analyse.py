"""Analyses on their way from the config to the one store: order, words, types, what runs again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.derived import ANALYSES
from mixflow.errors import MixflowError
from mixflow.pipeline import analyse, local, setup
from mixflow.pipeline.paths import Paths
from mixflow.report import tables
from mixflow.report.analyses import sections
from mixflow.report.section import Section
from mixflow.report.view import View
from mixflow.store import analyses, verify, zarr_io
from mixflow.study import config
from mixflow.study.validate import validate
from tests.pipeline import steps, tiny, toy

PATHS = Paths("tiny")
ASKED = {
    "wide": {"analysis": "spread", "group": "site", "scale": 2},
    "counted": None,
    "spread": {"group": "site"},
}


def models(**analyses) -> dict:
    mixed = {**tiny.CONFIG["models"]["mixed"], "analyses": analyses}
    return {"mixed": mixed, "plain": tiny.CONFIG["models"]["plain"]}


@pytest.fixture(scope="module", autouse=True)
def toys() -> Iterator[None]:
    with toy.registered():
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysed")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = steps.run(tiny.write(folder, models=models(**ASKED)), analyse=False, say=said.append)
        assert "Without the analyses of mixed; for these: mixflow analyse" in said
        local.analyse(study, [], said.append)
    assert "mixed: wide, counted, spread" in said
    return folder


def test_the_store_holds_each_table_in_the_order_of_the_config(done: Path, tree: xr.DataTree) -> None:
    assert verify.verify(done / PATHS.store) == []
    found = analyses.tables(tree)
    assert {model: list(names) for model, names in found.items()} == {"mixed": list(ASKED)}
    assert list(tree.children) == list(
        dict.fromkeys(node.path.split("/")[1] for node in tree.subtree if node.path != "/")
    )


def test_a_table_comes_back_as_the_analysis_gave_it(tree: xr.DataTree) -> None:
    wide, spread = (
        analyses.from_dataset(analyses.tables(tree)["mixed"][name]) for name in ("wide", "spread")
    )
    assert list(spread) == ["feature", "group", "row", "std_dev", "zero", "seed"]
    assert [column.dtype.kind for _, column in spread.items()] == ["O", "O", "i", "f", "b", "i"]
    assert list(spread["feature"]) == list(tree["fits/mixed"]["feature"].values)
    np.testing.assert_array_equal(spread["std_dev"], 2 * wide["std_dev"])
    site = tree["fits/mixed/variance"].values[
        :, list(tree["fits/mixed"]["component_group"].values).index("site")
    ]
    np.testing.assert_array_equal(spread["std_dev"], np.sqrt(site))


def test_the_words_of_an_analysis_travel_with_its_table(tree: xr.DataTree) -> None:
    attrs = analyses.tables(tree)["mixed"]["wide"].attrs
    assert {name: attrs[name] for name in ("analysis", "title", "purpose", "help")} == {
        "analysis": "spread",
        "title": "Spread of groups",
        "purpose": "How far the groups lie apart.",
        "help": "Standard deviation of the random intercepts.",
    }
    assert json.loads(attrs["options"]) == {"group": "site", "scale": 2, "seed": 1}
    assert json.loads(attrs["columns"])["std_dev"] == "standard deviation (value)"


def test_each_table_is_exported_and_levels_are_not_shared(tree: xr.DataTree, tmp_path: Path) -> None:
    made = sections(View(tree))
    assert made[0].told["title"].startswith("Spread of groups (")
    paths = [path.name for path in tables.write_tsv(made, tmp_path)]
    assert paths == [f"mixed.{name}.tsv" for name in ASKED]
    table = pd.read_csv(tmp_path / "mixed.spread.tsv", sep="\t")
    assert list(table)[:3] == ["feature", "name", "group"] and len(table) == 8
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    named = groups["/analyses/mixed/wide"]["group"].copy(data=np.array(["site 3"] * 8, dtype=object))
    groups["/analyses/mixed/wide"] = groups["/analyses/mixed/wide"].assign(group=named)
    shared = sections(View(xr.DataTree.from_dict(groups), share=True))
    assert [name for each in shared for name in each.tables] == ["mixed.counted", "mixed.spread"]


def test_a_table_longer_than_a_sheet_is_cut_with_a_word(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 4)
    section = Section(
        "analyses", tables={"m.long": pd.DataFrame({"n": range(9)}), "m.short": pd.DataFrame({"n": [1]})}
    )
    book = pd.read_excel(tables.write_workbook([section], tmp_path / "out.xlsx"), sheet_name=None)
    assert list(book["m.long"]["n"]) == [0, 1, 2]
    assert list(book["contents"]["rows"]) == [9, 1]
    assert "tables/m.long.tsv" in book["contents"]["note"][0] and pd.isna(book["contents"]["note"][1])


def test_analyses_of_fits_that_are_tested_anew_are_left_out_until_made_again(folder: Path) -> None:
    study = config.load("config.yaml")
    local.test(study, ["mixed"], lambda _: None)
    assert analyses.tables(zarr_io.open(PATHS.store)) == {}
    local.analyse(study, ["mixed"], lambda _: None)
    assert list(analyses.tables(zarr_io.open(PATHS.store))["mixed"]) == list(ASKED)


def test_no_analyses_to_run_is_said_with_a_remedy(folder: Path) -> None:
    with pytest.raises(MixflowError, match=r"analyses: \{r2: \}"):
        local.analyse(config.load("config.yaml"), ["plain"], lambda _: None)


def test_another_analysis_runs_neither_fits_nor_tests_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    flows = [
        setup.Workflow(config.load(tiny.write(tmp_path, models=models(**asked))))
        for asked in ({"counted": None}, {"spread": {"group": "site"}})
    ]
    for name in ("fit_settings", "gather_settings"):
        assert len({getattr(flow, name)("mixed") for flow in flows}) == 1
    assert len({flow.analyse_settings("mixed") for flow in flows}) == 2
    assert flows[0].analyses() == ["results/tiny/work/analyses/mixed.zarr"]


def test_what_an_analysis_refuses_is_told_at_its_place(folder: Path) -> None:
    study = config.load(tiny.write(folder, models=models(spread={"group": "age"})))
    with pytest.raises(MixflowError) as caught:
        analyse.run(study, "mixed", PATHS.model("mixed"), PATHS.data, Path("out.zarr"))
    (problem,) = caught.value.problems
    assert (problem.column, problem.value) == ("models.mixed.analyses.spread.group", "age")
    assert not Path("out.zarr").exists()


@pytest.mark.parametrize(
    ("asked", "column", "told"),
    [
        ({"spred": {"group": "site"}}, "models.mixed.analyses.spred", "did you mean `spread`"),
        (["spred"], "models.mixed.analyses[0]", "did you mean `spread`"),
        ({"a": {"analysis": "spred"}}, "models.mixed.analyses.a.analysis", "did you mean `spread`"),
        (
            {"spread": {"group": "site", "groop": "site"}},
            "models.mixed.analyses.spread.groop",
            "did you mean `group`",
        ),
        ({"spread": None}, "models.mixed.analyses.spread.group", "add `group:`"),
        ({"spread": {"group": "site", "scale": 0}}, "models.mixed.analyses.spread.scale", "Unit."),
        ({"spread": {"group": "sight"}}, "models.mixed.analyses.spread.group", "did you mean `site`"),
        ({"spread": {"group": "age"}}, "models.mixed.analyses.spread.group", ""),
        ({"spread": "site"}, "models.mixed.analyses.spread", ""),
    ],
)
def test_a_wrong_analysis_is_told_before_data_are_read(tmp_path: Path, asked, column: str, told: str) -> None:
    mixed = {**tiny.CONFIG["models"]["mixed"], "analyses": asked}
    path = tiny.write(tmp_path, models={"mixed": mixed})
    problems = [p for p in validate(path) if (p.column or "").startswith(column.rpartition(".")[0])]
    assert problems[0].column == column
    assert told in (problems[0].remedy or "")
    line = path.read_text().splitlines()[(problems[0].row or 0) - 1]
    assert line.strip("- ").split(":")[0] in (*column.split("."), "spred")


def test_levels_that_look_like_numbers_are_text_to_an_option_that_takes_text(tmp_path: Path) -> None:
    study = config.load(tiny.write(tmp_path, models=models(spread={"group": 7})))
    from mixflow.study.analyses import asked

    assert asked(study, study.models[0])[0].options["group"] == "7"


def test_tables_keep_numbers_text_gaps_and_long_columns() -> None:
    table = pd.DataFrame(
        {
            "feature": ["a", "b"],
            "level": ["x", None],
            "n": pd.array([1, None], dtype="Int64"),
            "p": [0.1, np.nan],
        }
    )
    again = analyses.from_dataset(analyses.to_dataset(table, {"p": "p-value"}))
    assert list(again["level"]) == ["x", ""]
    np.testing.assert_array_equal(again["n"], [1, np.nan])
    np.testing.assert_array_equal(again["p"], [0.1, np.nan])
    assert zarr_io.chunks(("row",), (10_000_000,), 8)[0] < 10_000_000


def test_every_analysis_without_needed_options_takes_a_model_without_features(tmp_path: Path, caplog) -> None:
    names = [name for name, each in ANALYSES.items() if not each.required]
    tiny.write(tmp_path, models={"mixed": {**tiny.CONFIG["models"]["mixed"], "analyses": names}})
    problems = validate(tmp_path / "config.yaml")
    assert [p for p in problems if "analyses" not in str(p.column)] == []
    assert "could not be tried" not in caplog.text
