"""From precursors to proteins through the steps: protein table, rows of each protein, shards, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mixflow
from mixflow.pipeline import fit, rows
from mixflow.pipeline.paths import Paths
from mixflow.status import Status
from mixflow.store import fits, frames, verify, zarr_io
from mixflow.study import config
from mixflow.study.structure import design_of
from mixflow.study.validate import validate
from tests.pipeline import proteins, steps, toy

PATHS = Paths("small")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every step ran; the working folder of all tests here."""
    folder = tmp_path_factory.mktemp("proteins")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        steps.run(proteins.write(folder), analyse=False)
        yield folder


@pytest.fixture(scope="module")
def tree(folder: Path) -> xr.DataTree:
    assert verify.verify(PATHS.store) == []
    return zarr_io.load(PATHS.store)


@pytest.fixture(scope="module")
def long() -> pd.DataFrame:
    """The values fitted, worked out with pandas alone."""
    table = pd.read_csv("long.tsv", sep="\t").dropna(subset=["Intensity"])
    table["value"] = np.log2(table["Intensity"])
    centre = table.groupby("Run")["value"].transform("median")
    table["value"] -= centre - table.groupby("Run")["value"].median().mean()
    table = table[~table["ProteinName"].str.contains(";")]
    counts = table.groupby("ProteinName").agg(n=("PeptideSequence", "nunique"), runs=("Run", "nunique"))
    return table[table["ProteinName"].isin(counts.index[(counts["n"] >= 2) & (counts["runs"] >= 4)])]


def test_the_features_of_the_store_are_proteins_and_its_rows_lie_beside(tree: xr.DataTree, long) -> None:
    kept = tree["data/feature"].values[tree["data/kept"].values]
    assert set(kept) == set(long["ProteinName"])
    group = tree["data/precursors"].to_dataset()
    assert group.sizes["precursor"] == 30 and tree["data"].attrs["scale"] == "log2"
    assert group.attrs["scale"] == "intensity"
    values = group["value"].to_series().dropna()
    assert len(values) == len(long)
    ids = long["PeptideSequence"] + "_2"
    np.testing.assert_allclose(values[list(zip(ids, long["Run"], strict=True))], long["value"], rtol=1e-12)
    assert dict(group["protein"].to_series()[ids.unique()]) == dict(
        zip(ids, long["ProteinName"], strict=True)
    )
    counted = frames.features(tree)["n_precursors"][kept]
    assert dict(counted) == dict(long.groupby("ProteinName")["PeptideSequence"].nunique())


def test_what_is_set_aside_is_named_with_its_reason(tree: xr.DataTree) -> None:
    dropped = json.loads(tree["data"].attrs["dropped"])
    assert dropped["shared by several proteins"] == ["PEP4K1_2"]
    assert set(dropped["min_precursors"]) == {"P01", "P05", "P09"}
    by = tree["data/precursors/dropped_by"].to_series()
    assert by["PEP4K1_2"] == "shared by several proteins" and by["PEP1K0_2"] == "min_precursors"


def test_a_model_that_names_peptide_reads_the_rows_of_each_protein(tree: xr.DataTree, long) -> None:
    runs = pd.read_csv("runs.tsv", sep="\t", index_col=0)
    found = tree["fits/rows"].to_dataset()
    assert found.attrs["rows_fitted"] and not tree["fits/table"].attrs["rows_fitted"]
    assert found.attrs["n_samples"] == 12
    fitted = found["feature"].values[np.isin(found["status"], [Status.OK, Status.SINGULAR])]
    assert len(fitted) >= 6
    for protein in fitted:
        own = long[long["ProteinName"] == protein].join(runs, on="Run")
        alone = mixflow.fit("value ~ condition + lab + (1 | Run) + (1 | PeptideSequence)", data=own)
        here = found.sel(feature=protein)
        np.testing.assert_allclose(here["loglik"], alone.loglik.iloc[0], atol=1e-6)
        se = np.sqrt(np.diag(alone.model.beta_cov[0]))[1]
        assert abs(float(here["beta"].sel(coef="condition[B]")) - alone.model.beta[0, 1]) < 1e-4 * se
        assert int(here["n_obs"]) == len(own)


def test_a_model_that_does_not_reads_the_protein_table(tree: xr.DataTree) -> None:
    level = tree["data/value"].sel(feature="P00").to_series()
    runs = pd.read_csv("runs.tsv", sep="\t", index_col=0)
    alone = mixflow.fit("value ~ condition + lab", data=runs.assign(value=level))
    beta = tree["fits/table/beta"].sel(feature="P00", coef="condition[B]")
    np.testing.assert_allclose(beta, alone.model.beta[0, 1], rtol=1e-9)


def test_tests_and_modes_are_those_of_samples(tree: xr.DataTree) -> None:
    tests = tree["tests/rows"].to_dataset()
    assert tests["feature"].values[int(np.nanargmax(tests["estimate"].values))] == "P00"
    assert float(tests["p_value"].sel(feature="P00", contrast="B-A")) < 1e-3
    fit = fits.from_dataset(tree["fits/rows"].to_dataset())
    assert fit.groups == ("run", "peptide") and set(fit.modes) == {"run"}
    assert [level for level, _ in fit.effect_names["run"]] == proteins.RUNS


def test_a_protein_has_the_same_bytes_in_every_shard() -> None:
    study = config.load("config.yaml")
    task = fit.load_task(study, "rows", PATHS.data, None)
    design = design_of(study, task.plan, task.frame)

    def fitted(part: slice):
        return rows.fit(task, design, part, {}, lambda done, total: None)

    n = len(task.feature_ids)
    whole, parts = fitted(slice(0, n)), [fitted(slice(0, 3)), fitted(slice(3, n)), fitted(slice(n, n))]
    for name in ("solution", "beta_cov", "theta", "loglik", "status"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(whole, name).tobytes(), name
    sets = [fits.to_dataset(part) for part in parts]
    assert fits.join(sets)["mode run"].values.tobytes() == fits.to_dataset(whole)["mode run"].values.tobytes()


def test_values_needed_in_a_contrast_are_counted_in_rows() -> None:
    study = config.load("config.yaml")
    task = fit.load_task(study, "rows", PATHS.data, None)
    seen = rows.observed(task, design_of(study, task.plan, task.frame))
    b = (task.frame["condition"] == "B").to_numpy()
    counts = [int((b & (task.feature_of_row == i)).sum()) for i in range(len(task.feature_ids))]
    assert list(seen[:, b].sum(axis=1)) == counts and min(counts) > 0


@pytest.mark.parametrize(
    ("change", "column", "told"),
    [
        ({"residual": "ar1(order | run)"}, "models.rows.residual", "no further structure"),
        ({"analyses": {"counted": None}}, "models.rows.analyses.counted", "the model reads precursors"),
        ({"df": "containment"}, "models.rows.df", "rows of their own"),
        ({"family": "Gamma"}, "models.rows.family", "is Gaussian"),
        ({"formula": "~ condition + (1 | peptid)"}, "models.rows.formula", "peptid"),
    ],
)
def test_what_a_model_of_rows_cannot_have_is_refused(tmp_path: Path, change, column: str, told: str) -> None:
    models = {"rows": {**proteins.CONFIG["models"]["rows"], **change}}
    with toy.registered():
        (problem,) = validate(proteins.write(tmp_path, models=models))
    assert problem.column == column and told in f"{problem.message} {problem.value}"


@pytest.mark.parametrize(
    ("preprocess", "column"),
    [
        ({"transform": "none"}, "preprocess.summarise"),
        ({"summarise": None}, "preprocess.filters.min_precursors"),
        ({"summarise": {"method": "mean"}}, "preprocess.summarise.method"),
        ({"reference": {"within": "plate"}}, "preprocess.reference.within"),
    ],
)
def test_a_roll_up_that_does_not_fit_is_told_at_its_place(tmp_path: Path, preprocess, column: str) -> None:
    steps = {**proteins.CONFIG["preprocess"], **preprocess}
    models = {"table": proteins.CONFIG["models"]["table"]}
    problems = validate(proteins.write(tmp_path, preprocess=steps, models=models), data=True)
    assert column in [problem.column for problem in problems]


def test_report_features_are_proteins(tmp_path: Path) -> None:
    path = proteins.write(tmp_path, report={"features": ["P00"]})
    assert validate(path, data=True) == []
    (problem,) = validate(proteins.write(tmp_path, report={"features": ["PEP0K0_2"]}), data=True)
    assert problem.column == "report.features"


def test_init_summarises_precursors_to_proteins(tmp_path: Path) -> None:
    from mixflow.study.init import init

    path = proteins.write(tmp_path)
    path.unlink()
    (written,) = init(tmp_path / "long.tsv", tmp_path / "runs.tsv", tmp_path)
    assert (
        "summarise: {to: protein, method: median-polish, shared: drop}  # please check" in written.read_text()
    )
    assert validate(written, data=True) == []
