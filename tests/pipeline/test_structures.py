"""Residual structures, df methods and relationships on their way from the config to fits and tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mixflow
from mixflow.errors import MixflowError
from mixflow.pipeline import local, setup
from mixflow.pipeline.paths import Paths
from mixflow.store import fits, zarr_io
from mixflow.study import config
from mixflow.study.validate import validate
from tests.pipeline import steps

PATHS = Paths("visits")
GROWTH = {"growth": {"time": 1}}
MODELS = {
    "ar1": {"formula": "~ time", "residual": "ar1(time | subject)", "contrasts": GROWTH},
    "spread": {"formula": "~ time + (1 | subject)", "dispersion": "~ site", "contrasts": GROWTH},
    "kr": {"formula": "~ time + site + (1 | subject)", "df": "kenward-roger", "contrasts": GROWTH},
    "kin": {"formula": "~ time + (1 | subject)", "relationship": {"subject": "kinship.tsv"}},
    "z": {"formula": "~ time + (1 | subject)", "df": "z", "contrasts": GROWTH},
}
SUBJECTS = [f"k{i}" for i in range(10)]


def sheet() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": [f"v{i:02d}" for i in range(50)],
            "subject": np.repeat(SUBJECTS, 5),
            "time": np.tile(np.arange(5.0), 10),
            "site": np.repeat(["x", "y"], 25),
        }
    )


def write(folder: Path, models: dict | None = None) -> Path:
    rng = np.random.default_rng(11)
    values = rng.normal(size=(4, 10))[:, np.repeat(np.arange(10), 5)]
    values = values + 0.4 * np.cumsum(rng.normal(size=(4, 10, 5)), axis=2).reshape(4, 50)
    values = values + rng.normal(size=(4, 50))
    values[:, ::7] = np.nan
    samples = sheet()
    table = pd.DataFrame(values, index=["A", "B", "C", "D"], columns=samples["sample"])
    kinship = pd.DataFrame(np.eye(10) + 0.5 * (np.arange(10)[:, None] // 2 == np.arange(10) // 2))
    kinship.set_axis(SUBJECTS, axis=0).set_axis(SUBJECTS, axis=1).to_csv(folder / "kinship.tsv", sep="\t")
    text = {
        "study": "visits",
        "data": {"files": "table.tsv", "format": "wide", "scale": "log2"},
        "samples": {"file": "samples.tsv", "columns": {"time": {"type": "number"}}},
        "models": MODELS if models is None else models,
    }
    return steps.write(folder, table, samples, text)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every step ran; the working folder of all tests here."""
    with steps.working_in(tmp_path_factory.mktemp("visits")) as folder:
        steps.run(write(folder), analyse=False)
        yield folder


@pytest.fixture(scope="module")
def tree(folder: Path) -> xr.DataTree:
    return zarr_io.load(PATHS.store)


def long(feature: str) -> pd.DataFrame:
    values = pd.read_csv("table.tsv", sep="\t", index_col=0).loc[feature]
    return sheet().assign(y=values.to_numpy()).dropna()


@pytest.mark.parametrize("name", ["ar1", "spread", "kr", "z"])
def test_a_model_of_the_study_is_the_model_fitted_alone(tree: xr.DataTree, name: str) -> None:
    spec, tests = MODELS[name], tree[f"tests/{name}"]
    options = {key: spec[key] for key in ("residual", "dispersion") if key in spec}
    df = spec.get("df", "satterthwaite")
    for feature in ("A", "C"):
        alone = mixflow.fit("y " + spec["formula"], data=long(feature), df=df, **options)
        here = tree[f"fits/{name}"].to_dataset().sel(feature=feature)
        np.testing.assert_allclose(here["loglik"], alone.loglik.iloc[0], atol=1e-6)
        told = tests.to_dataset().sel(feature=feature, contrast="growth")
        test = alone.contrast({"growth": {"time": 1}}, df=df).iloc[0]
        for column in ("estimate", "std_error", "df", "p_value"):
            np.testing.assert_allclose(float(told[column]), test[column], rtol=2e-4)


def test_the_store_says_which_structure_and_df_a_model_has(tree: xr.DataTree) -> None:
    assert tree["fits/ar1"].attrs["residual"] == "ar1(time | subject)"
    assert tree["fits/spread"].attrs["dispersion"] == "~ site"
    assert json.loads(tree["fits/kin"].attrs["relationship"]) == ["subject"]
    named = {name: tree[f"tests/{name}"].attrs["df_method"] for name in ("ar1", "kr", "z")}
    assert named == {"ar1": "Satterthwaite", "kr": "Kenward-Roger", "z": "z"}


def test_a_relationship_changes_the_fit_and_structure_survives_the_store(tree: xr.DataTree) -> None:
    kin, plain = tree["fits/kin/loglik"].values, tree["fits/z/loglik"].values
    assert np.abs(kin - plain).max() > 1e-3
    fit = fits.from_dataset(tree["fits/ar1"].to_dataset())
    assert fit.structure.shape[0] == 4 and len(fit.structure_names) == fit.structure.shape[1] > 0
    assert fits.from_dataset(tree["fits/kr"].to_dataset()).kr is not None


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        ("ar1", "residual", "cs(time | subject)"),
        ("spread", "dispersion", "~ time"),
        ("z", "df", "kenward-roger"),
    ],
)
def test_another_structure_refits_this_model_alone(tmp_path: Path, model: str, key: str, value: str) -> None:
    before = setup.Workflow(config.load("config.yaml"))
    changed = {**MODELS, model: {**MODELS[model], key: value}}
    after = setup.Workflow(config.load(write(tmp_path, changed)))
    differ = {name for name in MODELS if before.fit_settings(name) != after.fit_settings(name)}
    assert differ == {model}


def test_df_that_need_nothing_of_the_fit_are_tested_anew_without_a_refit(tmp_path: Path) -> None:
    before = setup.Workflow(config.load("config.yaml"))
    after = setup.Workflow(config.load(write(tmp_path, {**MODELS, "z": {**MODELS["z"], "df": "residual"}})))
    assert before.fit_settings("z") == after.fit_settings("z")
    assert before.gather_settings("z") != after.gather_settings("z")


def test_fits_with_another_relationship_are_not_tested(folder: Path) -> None:
    text = (folder / "kinship.tsv").read_text()
    (folder / "kinship.tsv").write_text(text.replace("1.5", "1.6"))
    from mixflow.study import relationship

    relationship.read.cache_clear()
    with pytest.raises(MixflowError, match="relationship was"):
        local.test(config.load("config.yaml"), ["kin"], lambda _: None)
    (folder / "kinship.tsv").write_text(text)
    relationship.read.cache_clear()


@pytest.mark.parametrize(
    ("change", "column", "told"),
    [
        ({"residual": "ar2(time | subject)"}, "models.m.residual", ""),
        ({"residual": "ar1(tiem | subject)"}, "models.m.residual", "time"),
        ({"dispersion": "~ sight"}, "models.m.dispersion", "site"),
        ({"residual": "ar1(time | site)"}, "models.m.residual", "same position"),
        ({"relationship": {"subjct": "kinship.tsv"}}, "models.m.relationship.subjct", "subject"),
        ({"df": "kenward"}, "models.m.df", "kenward-roger"),
        ({"df": "kenward-roger", "reml": False}, "models.m.df", "reml: false"),
    ],
)
def test_a_wrong_structure_is_told_at_its_key(tmp_path: Path, change: dict, column: str, told: str) -> None:
    model = {"formula": "~ time + (1 | subject)", **change}
    problems = validate(write(tmp_path, {"m": model}))
    assert [p for p in problems if str(p.column).startswith(column)], problems
    assert told in " ".join(f"{p.message} {p.value} {p.remedy}" for p in problems)


@pytest.mark.parametrize(
    ("old", "new", "row", "told"),
    [
        ("k1\t", "k77\t", 1, "different names"),
        ("1.5", "x", 2, "not a number"),
        ("1.5\t0.5", "1.5\t0.7", 2, "not symmetric"),
    ],
)
def test_a_relationship_that_is_no_square_table_is_told_with_its_cell(
    tmp_path: Path, old: str, new: str, row: int, told: str
) -> None:
    path = write(tmp_path, {"kin": MODELS["kin"]})
    file = tmp_path / "kinship.tsv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    (problem,) = validate(path)
    assert told in problem.message and problem.file == str(file)
