"""The analysis `joint` through all steps: it reads another model's tests, and only it waits for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mixflow.pipeline import analyse, setup
from mixflow.pipeline.paths import Paths
from mixflow.store import analyses, zarr_io
from mixflow.study import config
from mixflow.study.validate import validate
from tests.pipeline import steps, tiny

PATHS = Paths("tiny")
NAME = "case vs control"


def models(**options: object) -> dict:
    mixed = {**tiny.CONFIG["models"]["mixed"], "analyses": {"joint": options, "median_contrasts": {}}}
    return {"mixed": mixed, "plain": tiny.CONFIG["models"]["plain"]}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with steps.working_in(tmp_path_factory.mktemp("joint")) as folder:
        steps.run(tiny.write(folder, models=models(**{"with": "plain"})))
        yield folder


def test_both_tests_stand_side_by_side(done: Path) -> None:
    tree = zarr_io.load(PATHS.store)
    table = analyses.from_dataset(zarr_io.group(tree, "analyses/mixed/joint"))
    tests = {name: zarr_io.group(tree, f"tests/{name}").sel(contrast=NAME) for name in ("mixed", "plain")}
    np.testing.assert_array_equal(table["p_own"], tests["mixed"]["p_value"])
    np.testing.assert_array_equal(table["p_other"], tests["plain"]["p_value"])
    np.testing.assert_array_equal(table["estimate_other"], tests["plain"]["estimate"])
    smaller = np.minimum(table["p_own"], table["p_other"])
    np.testing.assert_allclose(table["p_value"], 1 - (1 - smaller) ** 2, atol=1e-12)
    assert set(table["contrast"]) == {NAME}
    assert set(table["leading"]) <= {"this model", "plain"}


def test_medians_are_in_the_store(done: Path) -> None:
    table = analyses.from_dataset(zarr_io.group(zarr_io.load(PATHS.store), "analyses/mixed/median_contrasts"))
    assert len(table) == 8 and np.isfinite(table["p_value"]).all()


def test_only_the_analyses_wait_for_the_other_model(done: Path) -> None:
    flow = setup.Workflow(config.load(done / "config.yaml"))
    assert flow.others("mixed") == [str(PATHS.model("plain"))]
    assert flow.others("plain") == []


def test_new_tests_of_the_other_model_make_the_table_old(done: Path, tmp_path: Path) -> None:
    made, own, other = PATHS.analyses("mixed"), PATHS.model("mixed"), PATHS.model("plain")
    assert analyse.is_current(made, own, other)
    copy = tmp_path / "other.zarr"
    shutil.copytree(other, copy)
    zarr_io.write(zarr_io.load(own), copy)
    assert not analyse.is_current(made, own, copy)


@pytest.mark.parametrize("name", ["nothing", "mixed"])
def test_a_model_that_is_not_another_is_told_at_its_line(tmp_path: Path, name: str) -> None:
    path = tiny.write(tmp_path, models=models(**{"with": name}))
    problems = _problems(path)
    assert any("no such other model" in p and "with" in p for p in problems), problems


def test_models_without_a_common_contrast_are_told(tmp_path: Path) -> None:
    asked = models(**{"with": "plain"})
    asked["plain"] = {**asked["plain"], "contrasts": {"other way": {"group": ["control", "case"]}}}
    problems = _problems(tiny.write(tmp_path, models=asked))
    assert any("share no contrast" in p for p in problems), problems


def _problems(path: Path) -> list[str]:
    return [str(problem) for problem in validate(path)]
