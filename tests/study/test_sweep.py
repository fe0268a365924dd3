"""Sweeps in a config: keys, values, names of combinations, and every problem with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import setup, sweeps
from mixflow.study import config, sweep
from mixflow.study.validate import validate
from tests.pipeline import tiny


def written(folder: Path, asked: Any, **changes: Any) -> Path:
    return tiny.write(folder, sweep=asked, **changes)


def refused(folder: Path, asked: Any) -> list[Problem]:
    with pytest.raises(MixflowError) as raised:
        sweep.read(written(folder, asked))
    return list(raised.value.problems)


def test_a_config_without_a_sweep_has_none(tmp_path: Path) -> None:
    assert sweep.read(tiny.write(tmp_path)) is None


def test_every_combination_is_a_study_with_its_values(tmp_path: Path) -> None:
    asked = {
        "preprocess.normalise": ["none", "median"],
        "models.mixed.formula": {"site": "~ group + age + (1 | site)", "plain": "~ group"},
        "report.alpha": [0.05, 0.1],
    }
    found = sweep.read(written(tmp_path, asked))
    assert found is not None
    assert len(found.combinations) == 8
    assert found.combinations[0].name == "normalise=none,formula=site,alpha=0.05"
    assert list(found.columns.values()) == ["normalise", "formula", "alpha"]
    study = found.study("normalise=median,formula=plain,alpha=0.1")
    assert study.preprocess.normalise == "median"
    assert study.headline.formula == "~ group"
    assert study.report.alpha == 0.1
    assert "sweep" not in study.raw
    assert study.title == "A tiny study (normalise = median, formula = plain, alpha = 0.1)"
    own = config.load(tmp_path / "config.yaml")
    assert own.preprocess.normalise == "none" and "sweep" not in own.raw


def test_levels_in_a_sweep_are_text_as_in_the_config(tmp_path: Path) -> None:
    asked = {"models.mixed.exclude": {"first": {"site": ["site 0"]}, "none": {}}}
    found = sweep.read(written(tmp_path, asked))
    assert found is not None
    assert found.study("exclude=first").headline.exclude == {"site": ("site 0",)}


def test_a_table_holds_combinations_and_empty_cells_keep_the_config_s_value(tmp_path: Path) -> None:
    rows = ["models.mixed.formula\tmodels.mixed.exclude\treport.top", "~ group\t{site: [site 1]}\t5", "\t\t7"]
    (tmp_path / "combinations.tsv").write_text("\n".join(rows) + "\n")
    found = sweep.read(written(tmp_path, "combinations.tsv"))
    assert found is not None
    first, second = (found.study(c.name) for c in found.combinations)
    assert (first.headline.formula, first.headline.exclude, first.report.top) == (
        "~ group",
        {"site": ("site 1",)},
        5,
    )
    assert second.headline.formula == tiny.CONFIG["models"]["mixed"]["formula"]
    assert (second.headline.exclude, second.report.top) == ({}, 7)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"models.mixd.df": ["z"]}, ("models.mixd", "did you mean `mixed`")),
        ({"preprocess.normalize": ["median"]}, ("preprocess.normalize", "did you mean `normalise`")),
        ({"sweep.df": ["z"]}, ("sweep", "known: study")),
        ({"models.mixed.formula": ["~ group", "~group"]}, ("same folder formula=group", "one name")),
        ({"models.mixed.df": ["z", "z"]}, ("stands twice", "remove")),
        ({"seed": list(range(101)), "report.top": list(range(1, 101))}, ("too many", "10100")),
        ("absent.tsv", ("no such table", "absent.tsv")),
    ],
)
def test_what_cannot_be_swept_is_told(tmp_path: Path, asked: Any, told: tuple[str, str]) -> None:
    (problem,) = refused(tmp_path, asked)[:1]
    assert all(word in str(problem) for word in told)
    assert problem.row is not None


def test_a_table_with_a_row_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("seed,report.top\n1,2\n3\n")
    (problem,) = refused(tmp_path, "c.csv")
    assert problem.row == 3 and "1 cells where the header has 2" in problem.message


def test_values_that_the_schema_refuses_are_told_once_with_key_value_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, {"models.mixed.df": ["satterthwaite", "zz"], "seed": [1, 2]})
    (problem,) = validate(path)
    assert problem.column == "models.mixed.df" and problem.value == "zz"
    assert path.read_text().splitlines()[(problem.row or 0) - 1].strip() == "- zz"
    assert "in 2 of 4 combinations" in problem.message and "did you mean `z`" in (problem.remedy or "")


def test_a_sweep_without_contrasts_has_nothing_to_compare(tmp_path: Path) -> None:
    plain = {"formula": "~ group", "contrasts": {"any": {"group": "omnibus"}}}
    (problem,) = validate(written(tmp_path, {"seed": [1, 2]}, models={"plain": plain}))
    assert "no model has one" in problem.message and problem.row is not None
    plain = {**plain, "contrasts": {"pairs": {"group": "all pairs"}}}
    assert validate(written(tmp_path, {"seed": [1, 2]}, models={"plain": plain})) == []


def test_blank_lines_of_a_table_are_passed_over_and_counted(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("seed,report.top\n1,2\n\n3\n")
    (problem,) = refused(tmp_path, "c.csv")
    assert problem.row == 4


def test_values_that_the_data_refuse_are_told_where_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path, {"preprocess.transform": ["none", "log2"], "models.mixed.formula": ["~ grup"]})
    found = {problem.column: problem for problem in validate(path, data=True)}
    assert found["models.mixed.formula"].value == "grup"
    assert "in transform=log2" in found["preprocess.transform"].message
    lines = path.read_text().splitlines()
    assert lines[(found["preprocess.transform"].row or 0) - 1].strip() == "- log2"


def test_steps_are_shared_by_what_they_follow_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "preprocess.normalise": ["none", "median"],
        "models.mixed.df": ["satterthwaite", "z"],
        "models.mixed.contrasts": {"a": {"x": {"group": ["case", "control"]}}, "b": {"y": {"age": 1}}},
    }
    written(tmp_path, asked)
    monkeypatch.chdir(tmp_path)
    found = sweeps.load(workflow())
    assert found is not None
    counts: dict[str, int] = {}
    for node in found.nodes.values():
        counts[node.step] = counts.get(node.step, 0) + 1
    assert counts == {"ingest": 1, "preprocess": 2, "batch": 2, "fit mixed": 2, "fit plain": 2}
    assert sum(len(names) for names in found.batches) == len(found.names) == 8


def workflow() -> setup.Workflow:
    return setup.Workflow(config.load("config.yaml"))


def test_another_unrelated_setting_makes_no_other_shared_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for top in (5, 9):
        written(tmp_path, {"models.mixed.df": ["satterthwaite", "z"]}, report={"top": top})
        sweeps_found = sweeps.load(workflow())
        assert sweeps_found is not None
        found.append(set(sweeps_found.nodes))
    assert found[0] == found[1]


def test_several_studies_of_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies.tsv").write_text("study\ttitle\treport.top\nfirst\tThe first\t3\nsecond\t\t4\n")
    tiny.write(tmp_path, studies="studies.tsv")
    monkeypatch.chdir(tmp_path)
    found = sweeps.load(workflow())
    assert found is not None
    assert found.target() == ["results/first/report.html", "results/second/report.html"]
    first = found.sweep.study("first")
    assert (first.name, first.title, first.report.top) == ("first", "The first", 3)
    assert len([node for node in found.nodes.values() if node.step == "ingest"]) == 1
    (tmp_path / "studies.tsv").write_text("study\treport.top\ntiny\t3\n")
    with pytest.raises(MixflowError, match="called as the config"):
        sweeps.load(workflow())
    (tmp_path / "studies.tsv").write_text("name\treport.top\ntiny\t3\n")
    with pytest.raises(MixflowError, match="no column `study`"):
        sweeps.load(workflow())
