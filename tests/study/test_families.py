"""Generalised models in a config: each thing that can be wrong, at its key, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mixflow.errors import Problem
from mixflow.family import FAMILIES
from mixflow.study.schema import schema
from mixflow.study.validate import validate
from tests.pipeline import counts

MODEL: dict[str, Any] = {"formula": "~ group + (1 | subject)", "family": "nbinom2"}


def told(
    folder: Path, model: dict[str, Any], change: Callable[[pd.DataFrame], object] | None = None, **keys: Any
):
    """Problems of a study with this one model; ``change`` spoils its table in place."""
    path = counts.write(folder, models={"m": {**MODEL, **model}}, **keys)
    if change:
        table = pd.read_csv(folder / "table.tsv", sep="\t", index_col=0)
        change(table)
        table.to_csv(folder / "table.tsv", sep="\t", index_label="taxon")
    return validate(path, data=True)


def one(found: list[Problem]) -> Problem:
    assert len(found) == 1, found
    return found[0]


def test_the_schema_names_the_families_there_are() -> None:
    assert set(schema()["$defs"]["model"]["properties"]["family"]["enum"]) == set(FAMILIES)


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "family": ({"family": "negbinom2"}, "family", "not one of", "did you mean `nbinom2`"),
    "capitals": ({"family": "gamma"}, "family", "not one of", "did you mean `Gamma`"),
    "link": ({"link": "probit"}, "link", "link", "log"),
    "zi": ({"family": "Gamma", "zi": "~ 1", "link": "cauchit"}, "link", "link", "log"),
    "zi of a family that has none": ({"family": "tweedie", "zi": "~ 1"}, "zi", "takes no `zi`", "nbinom2"),
    "zi formula": ({"zi": "~ grup"}, "zi", "does not exist", "group"),
    "zi response": ({"zi": "y ~ group"}, "zi", "", ""),
    "dispersion formula": ({"dispersion": "~ grup"}, "dispersion", "does not exist", "group"),
    "dispersion of poisson": ({"family": "poisson", "dispersion": "~ group"}, "dispersion", "no such", "mu"),
    "residual": ({"residual": "ar1(age | subject)"}, "residual", "takes no `residual`", "leave it out"),
    "reml by quadrature": ({"reml": True, "nagq": 5}, "reml", "Laplace", "nagq=1"),
    "prior": ({"family": "poisson", "prior": {"kind": "jeffreys"}}, "prior", "without random", "sd"),
    "limit": ({"limit": "age"}, "limit", "has no limits", "censored"),
    "censored": ({"family": "censored"}, "family", "need a detection limit", "limit:"),
    "df": ({"df": "satterthwaite"}, "df", "z tests", "remove"),
    "nagq": ({"nagq": 0}, "nagq", "at least 1", "quadrature"),
    "thresholds": ({"thresholds": "symmetric"}, "thresholds", "no thresholds", "cumulative"),
    "trials": ({"trials": "tried"}, "trials", "no trials", "binomial"),
    "presence": ({"response": "presence"}, "response", "yes or no", "family: binomial"),
    "unknown trials": ({"family": "binomial", "trials": "tride"}, "trials", "no such column", "tried"),
    "gaussian link": ({"family": "gaussian", "link": "log"}, "link", "has none", "family"),
    "analysis": ({"analyses": ["moderated"]}, "analyses[0]", "takes no model with family nbinom2", "terms"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_key(tmp_path: Path, case: str) -> None:
    model, key, message, remedy = WRONG[case]
    problem = one(told(tmp_path, model))
    assert problem.column == f"models.m.{key}" and message in problem.message
    assert remedy in (problem.remedy or "")
    lines = (tmp_path / "config.yaml").read_text().splitlines()
    assert key in lines[(problem.row or 0) - 1] or key == "analyses[0]"


def test_counts_are_fitted_as_they_are(tmp_path: Path) -> None:
    problem = one(told(tmp_path, {}, preprocess={"transform": "log1p"}))
    assert problem.column == "models.m.family" and "preprocess.transform" in problem.message
    assert "library_size" in (problem.remedy or "")


def test_a_presence_model_may_stand_beside_a_transform(tmp_path: Path) -> None:
    model = {"family": "binomial", "response": "presence"}
    assert told(tmp_path, model, preprocess={"transform": "log1p"}) == []


def test_values_outside_the_support_are_told_with_feature_and_sample(tmp_path: Path) -> None:
    def spoil(table: pd.DataFrame) -> None:
        table.loc["plain", "s03"] = 1.5

    problem = one(told(tmp_path, {}, spoil))
    assert problem.column == "models.m.family" and problem.value == 1.5
    assert "feature plain, sample s03" in problem.message


def test_features_that_filters_drop_may_have_any_values(tmp_path: Path) -> None:
    def spoil(table: pd.DataFrame) -> None:
        table.loc["zero", "s03"] = 1.5

    assert told(tmp_path, {}, spoil, preprocess={"filters": {"min_prevalence": 0.2}}) == []


def test_trials_that_are_fewer_than_successes(tmp_path: Path) -> None:
    found = told(tmp_path, {"family": "binomial", "trials": "tried"})
    assert any("feature large" in problem.message for problem in found)
    assert {problem.column for problem in found} == {"models.m.trials"}


def test_library_size_is_of_counts(tmp_path: Path) -> None:
    model = {"formula": "~ group + offset(log(library_size)) + (1 | subject)"}
    assert told(tmp_path / "a", model) == []
    data = {**counts.CONFIG["data"], "scale": "free"}
    problem = one(told(tmp_path / "b", model, data=data))
    assert problem.column == "models.m.formula" and "total of counts" in problem.message


def test_library_size_is_not_the_sheets(tmp_path: Path) -> None:
    path = counts.write(tmp_path, models={"m": {**MODEL, "formula": "~ group + offset(log(library_size))"}})
    sheet = pd.read_csv(tmp_path / "samples.tsv", sep="\t").assign(library_size=1000.5)
    sheet.to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    problem = one(validate(path))
    assert problem.column == "models.m.formula" and "rename" in (problem.remedy or "")


def test_a_sample_without_counts_has_no_offset(tmp_path: Path) -> None:
    def spoil(table: pd.DataFrame) -> None:
        table["s05"] = 0

    model = {"formula": "~ group + offset(log(library_size)) + (1 | subject)"}
    problem = one(told(tmp_path, model, spoil))
    assert "sample 's05'" in problem.message and problem.row == 7 and problem.column == "library_size"


def test_unquoted_config_is_read(tmp_path: Path) -> None:
    """A config as a user writes it."""
    path = counts.write(tmp_path)
    text = yaml.safe_dump({**counts.CONFIG, "models": {}}).replace("models: {}\n", "")
    path.write_text(
        text + "models:\n  m:\n    formula: ~ group\n    family: nbinom1\n    zi: ~ 1\n    nagq: 1\n"
    )
    assert validate(path, data=True) == []
