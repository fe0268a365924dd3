"""Prior weights and known residual variances on their way from the config to fits, tests, analyses and report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import mixflow
from mixflow.errors import MixflowError
from mixflow.pipeline import fit, local, setup
from mixflow.pipeline.paths import Paths
from mixflow.store import zarr_io
from mixflow.study import config
from mixflow.study.validate import validate
from tests.pipeline import proteins, steps

REFERENCE = Path(__file__).parents[1] / "reference"
PATHS = Paths("trials")
LATITUDE = {"latitude": {"ablat": 10}}
MODELS = {
    "random": {
        "formula": "~ 1 + (1 | trial)",
        "variances": "vi",
        "df": "z",
        "contrasts": {"mean": {"(Intercept)": 1}},
        "analyses": {"r2": None, "partition": None},
    },
    "common": {"formula": "~ ablat", "variances": "vi", "contrasts": LATITUDE},
    "weighted": {"formula": "~ ablat", "weights": "size", "contrasts": LATITUDE},
    "plain": {"formula": "~ ablat", "contrasts": LATITUDE},
}


def trials() -> pd.DataFrame:
    """The BCG trials of metafor's dat.bcg, with ids; ``size`` is a weight that is no inverse variance."""
    data = pd.read_csv(REFERENCE / "data" / "bcg_engine.csv")
    return data.assign(sample=[f"t{i}" for i in data["trial"]], size=10.5 + data["trial"] ** 2)


def write(folder: Path, models: dict | None = None, spoilt: dict[int, object] | None = None) -> Path:
    data = trials()
    other = np.where(data["trial"] == 4, np.nan, data["yi"].to_numpy()[::-1])
    table = pd.DataFrame([data["yi"].to_numpy(), other], index=["bcg", "other"], columns=data["sample"])
    sheet = data[["sample", "trial", "ablat", "alloc", "vi", "size"]].astype({"vi": object, "trial": str})
    sheet["trial"] = "T" + sheet["trial"]
    for row, value in (spoilt or {}).items():
        sheet.loc[row, "vi"] = value
    text = {
        "study": "trials",
        "data": {"files": "table.tsv", "format": "wide", "scale": "free"},
        "samples": {"file": "samples.tsv", "columns": {"ablat": {"type": "number"}}},
        "models": MODELS if models is None else models,
    }
    return steps.write(folder, table, sheet, text)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every step ran; the working folder of all tests here."""
    with steps.working_in(tmp_path_factory.mktemp("trials")) as folder:
        steps.run(write(folder))
        yield folder


@pytest.fixture(scope="module")
def tree(folder: Path) -> xr.DataTree:
    return zarr_io.load(PATHS.store)


def test_the_random_effects_meta_analysis_is_that_of_metafor(tree: xr.DataTree) -> None:
    """tau2, estimate, standard error and z of rma(yi, vi): tests/reference/engine/known_bcg.json."""
    r = json.loads((REFERENCE / "engine" / "known_bcg.json").read_text())
    found = tree["fits/random"].to_dataset().sel(feature="bcg")
    assert float(found["variance"].values[0]) == pytest.approx(r["tau2"][0], rel=1e-4)
    told = tree["tests/random"].to_dataset().sel(feature="bcg", contrast="mean")
    (mean,) = r["coefficients"]
    for column, key in {"estimate": "estimate", "std_error": "se", "statistic": "z", "p_value": "p"}.items():
        assert float(told[column]) == pytest.approx(mean[key], rel=1e-3)


@pytest.mark.parametrize("name", ["random", "common", "weighted"])
def test_a_model_of_the_study_is_the_model_fitted_alone(tree: xr.DataTree, name: str) -> None:
    spec = MODELS[name]
    options = {key: spec[key] for key in ("weights", "variances") if key in spec}
    alone = mixflow.fit("yi " + spec["formula"], data=trials(), **options)
    here = tree[f"fits/{name}"].to_dataset().sel(feature="bcg")
    np.testing.assert_allclose(here["loglik"], alone.loglik.iloc[0], atol=1e-8)
    np.testing.assert_allclose(here["beta"], alone.model.beta[0], rtol=1e-6)
    assert bool(tree[f"fits/{name}"].attrs["sigma_known"]) == ("variances" in spec)


def test_without_random_effects_known_variances_give_weighted_least_squares_and_z(tree: xr.DataTree) -> None:
    """beta = (X'V^-1 X)^-1 X'V^-1 y with nothing estimated, so that tests are normal."""
    data = trials()
    X = np.column_stack([np.ones(len(data)), data["ablat"]])
    cov = np.linalg.inv(X.T @ (X / data["vi"].to_numpy()[:, None]))
    beta = cov @ X.T @ (data["yi"] / data["vi"]).to_numpy()
    told = tree["tests/common"].to_dataset().sel(feature="bcg", contrast="latitude")
    assert float(told["estimate"]) == pytest.approx(10 * beta[1], rel=1e-8)
    assert float(told["std_error"]) == pytest.approx(10 * np.sqrt(cov[1, 1]), rel=1e-8)
    assert np.isinf(float(told["df"])) and float(told["status"]) == 1
    assert tree["tests/common"].attrs["df_method"] == "z"
    assert tree["tests/weighted"].attrs["df_method"] == "residual"


def test_the_residual_variance_of_a_share_is_the_mean_known_one(tree: xr.DataTree) -> None:
    own, mean = tree["fits/random"].to_dataset(), trials()["vi"].mean()
    assert float(own["variance"].sel(feature="bcg")[1]) == pytest.approx(mean)
    without = trials()["vi"].drop(3).mean()  # the feature `other` was not measured in trial 4
    assert float(own["variance"].sel(feature="other")[1]) == pytest.approx(without)
    tau2 = float(own["variance"].sel(feature="bcg")[0])
    assert float(own["share"].sel(feature="bcg")[0]) == pytest.approx(tau2 / (tau2 + mean))
    r2 = tree["analyses/random/r2"].to_dataset()
    np.testing.assert_allclose(r2["var_residual"].values, [mean, without])


def test_the_store_says_what_the_samples_weigh(tree: xr.DataTree) -> None:
    assert tree["fits/random"].attrs["variances"] == "vi" and tree["fits/random"].attrs["weights"] == ""
    assert tree["fits/weighted"].attrs["weights"] == "size"
    assert tree["fits/random"].attrs["words"].endswith("residual variances known from vi")
    assert tree["fits/weighted"].attrs["words"] == "ablat as fixed effect; samples weighted by size"


def test_other_weights_refit_this_model_alone(tmp_path: Path) -> None:
    before = setup.Workflow(config.load("config.yaml"))
    changed = {**MODELS, "weighted": {**MODELS["weighted"], "weights": "vi"}}
    after = setup.Workflow(config.load(write(tmp_path, changed)))
    assert {name for name in MODELS if before.fit_settings(name) != after.fit_settings(name)} == {"weighted"}


def test_fits_with_other_weights_are_not_tested(folder: Path) -> None:
    path = folder / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("weights: size", "weights: vi"))
    with pytest.raises(MixflowError, match="weights was 'size', now 'vi'"):
        local.test(config.load("config.yaml"), ["weighted"], lambda _: None)
    path.write_text(text)


@pytest.mark.parametrize(("value", "shown"), [("", ""), ("0", "0"), ("-0.5", "-0.5")])
@pytest.mark.parametrize("key", ["weights", "variances"])
def test_a_value_that_is_not_positive_is_told_with_its_cell(
    tmp_path: Path, key: str, value: str, shown: str
) -> None:
    path = write(tmp_path, {"m": {"formula": "~ ablat", key: "vi"}}, {4: value})
    (problem,) = validate(path)
    assert (problem.file, problem.row, problem.column) == (str(tmp_path / "samples.tsv"), 6, "vi")
    assert problem.value == shown and "t5" in problem.message and "models.m.exclude" in str(problem.remedy)


def test_a_sample_that_is_not_fitted_needs_no_weight(tmp_path: Path) -> None:
    model = {"formula": "~ ablat", "variances": "vi", "exclude": {"trial": ["T5"]}}
    assert validate(write(tmp_path, {"m": model}, {4: ""})) == []


@pytest.mark.parametrize(
    ("change", "column", "told"),
    [
        ({"weights": "sise"}, "models.m.weights", "did you mean `size`"),
        ({"variances": "alloc"}, "models.m.variances", "must be numbers"),
        ({"weights": "size", "variances": "vi"}, "models.m.variances", "exclude each other"),
        ({"variances": "vi", "analyses": ["moderated"]}, "models.m.analyses.moderated", "nothing to borrow"),
    ],
)
def test_a_wrong_column_is_told_at_its_key(tmp_path: Path, change: dict, column: str, told: str) -> None:
    (problem,) = validate(write(tmp_path, {"m": {"formula": "~ ablat", **change}}))
    assert problem.column == column
    assert told in f"{problem.message} {problem.remedy}"


def test_rows_of_a_protein_weigh_as_their_sample(tmp_path: Path) -> None:
    """The store's fit is that of the same rows as a long table, each with the weight of its run."""
    path = proteins.write(tmp_path)
    runs = pd.read_csv(tmp_path / "runs.tsv", sep="\t")
    runs["size"] = np.linspace(0.5, 2.5, len(runs))
    runs.to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    text = yaml.safe_load(path.read_text())
    formula = text["models"]["rows"]["formula"]
    text["models"] = {"rows": {**text["models"]["rows"], "weights": "size"}}
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        study = config.load(path)
        for step in (local.ingest, local.batch):
            step(study, lambda _: None)
        task = fit.load_task(study, "rows", Paths("small").data, None)
        found = fit.fit_part(study, task)
    assert task.feature_of_row is not None
    long = task.frame.assign(y=task.values, protein=task.feature_ids[task.feature_of_row])
    alone = mixflow.fit(f"y {formula}", long, feature="protein", weights="size").model
    plain = mixflow.fit(f"y {formula}", long, feature="protein").model
    order = pd.Index(alone.feature_ids).get_indexer(found.feature_ids)
    np.testing.assert_allclose(found.loglik, alone.loglik[order], rtol=1e-9)
    assert np.abs(alone.loglik - plain.loglik).max() > 0.1
