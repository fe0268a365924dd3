"""The steps on a tiny study, in one process: from files to the one store, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from mixflow.errors import MixflowError
from mixflow.pipeline import by_command, facts, fit, gather, ingest, local, preprocess, report, sheets
from mixflow.pipeline.paths import Paths
from mixflow.status import Status
from mixflow.store import frames, provenance, verify, zarr_io
from mixflow.study import config
from tests.pipeline import steps, tiny

PATHS = Paths("tiny")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step of the tiny study ran, with two shards (the second is empty)."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said: list[str] = []
        steps.run(tiny.write(folder, shards=2), analyse=False, say=said.append)
    (folder / "said.txt").write_text("\n".join(said))
    return folder


def test_the_store_holds_every_group_and_is_whole(done: Path, tree: xr.DataTree) -> None:
    assert verify.verify(done / PATHS.store) == []
    assert {"/data", "/batch", "/fits/mixed", "/fits/plain", "/tests/mixed", "/tests/plain"} <= set(
        tree.groups
    )
    assert tree["provenance"].attrs["study"] == "tiny"
    assert yaml.safe_load(tree["provenance"].attrs["config"])["study"] == "tiny"


def test_single_commands_leave_word_of_the_rules_they_ran(done: Path) -> None:
    rules = ["check", "ingest", "preprocess", "batch", "fit", "gather", "assemble"]
    assert by_command.noted(Paths("tiny", done)) == rules


def test_models_come_in_the_order_of_the_config(folder: Path) -> None:
    models = {name: tiny.CONFIG["models"][name] for name in ("plain", "mixed")}
    study = config.load(tiny.write(folder, shards=2, models=models))
    local.test(study, [], lambda _: None)
    tree = zarr_io.open(PATHS.store)
    assert list(tree["fits"].children) == list(tree["tests"].children) == ["plain", "mixed"]
    assert tree["fits/plain"].attrs["role"] == "headline"


def test_values_and_sheet_are_those_of_the_files(done: Path, tree: xr.DataTree) -> None:
    table = pd.read_csv(done / "table.tsv", sep="\t", index_col=0)
    np.testing.assert_array_equal(tree["data/raw"].values, table.to_numpy())
    sheet = frames.frame(tree)
    assert list(sheet["group"].cat.categories) == ["control", "case"]
    assert sheet["group"].iloc[1] == "case" and sheet["role"].eq("sample").all()
    again = sheets.from_tree(tree)
    assert again.columns["group"].raw == {"a": "control", "b": "case"}
    assert again.columns["age"].unit == "years"


def test_the_effect_is_found_and_tested(tree: xr.DataTree) -> None:
    tests = tree["tests/mixed"]
    assert int(np.argmin(tests["q_value"].values)) == 0
    assert abs(float(tests["estimate"][0, 0]) - 4) < 1.5
    assert set(np.unique(tree["fits/mixed/status"].values)) <= {Status.OK, Status.SINGULAR}
    (told,) = json.loads(tests.attrs["contrasts"])
    assert (told["levels"], told["reference"]) == (["case", "control"], "control")
    assert tests.attrs["df_method"] == "Satterthwaite"
    assert json.loads(tree["tests/plain"].attrs["omnibus"])[0]["name"] == "any"
    f, t = tree["tests/plain/f_statistic"].values[:, 0], tree["tests/plain/statistic"].values[:, 0]
    np.testing.assert_allclose(f, t**2, rtol=1e-9)


def test_a_model_carries_its_facts(tree: xr.DataTree) -> None:
    attrs = tree["fits/mixed"].attrs
    assert (attrs["role"], attrs["n_samples"], attrs["compare_to"]) == ("headline", 24, "")
    assert tree["fits/plain"].attrs["role"] == "sensitivity"
    assert "random intercept" in attrs["words"]
    assert json.loads(attrs["references"]) == {"group": "control"}
    assert json.loads(attrs["rows"])[0] == "s00"
    assert json.loads(attrs["few_levels"]) == []


def test_a_companion_stands_beside_few_levels(folder: Path) -> None:
    sheet = pd.read_csv("samples.tsv", sep="\t")
    sheet["site"] = sheet["site"].str[-1].astype(int).mod(3).map("hall {}".format)
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    text = Path("config.yaml").read_text().replace("few_levels: 'off'", "few_levels: beside")
    Path("config.yaml").write_text(text)
    study = config.load("config.yaml")
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    told = {}
    for model in local.load_plan(study).names:
        told[model] = facts.attributes(study, fit.load_task(study, model, PATHS.data, None))
    assert [attrs["role"] for attrs in told.values()] == ["headline", "companion", "sensitivity"]
    assert json.loads(told["mixed"]["few_levels"]) == [{"group": "site", "levels": 3}]
    assert told["mixed.site-fixed"]["compare_to"] == "mixed"
    assert "3 levels" in told["mixed.site-fixed"]["note"]


def test_samples_left_out_are_named_with_their_reason(folder: Path) -> None:
    models = {"mixed": {**tiny.CONFIG["models"]["mixed"], "exclude": {"site": "site 5"}}}
    sheet = pd.read_csv("samples.tsv", sep="\t")
    tiny.write(folder, models=models)
    sheet.loc[0, "age"] = np.nan
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    study = config.load("config.yaml")
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    told = facts.attributes(study, fit.load_task(study, "mixed", PATHS.data, None))
    assert json.loads(told["dropped_rows"]) == {
        "left out by include or exclude": ["s20", "s21", "s22", "s23"],
        "missing value in a column of the formula": ["s00"],
    }
    assert told["n_samples"] == 19


def test_the_report_is_made_of_a_verified_store_and_shared_beside(folder: Path, monkeypatch) -> None:
    asked = []

    def build(
        tree: xr.DataTree, out: Path, *, features: list[str], made: dict, share: bool = False
    ) -> list[Path]:
        assert made["step"] == "report" and len(made["config_hash"]) == 64
        asked.append((out, features, share, sorted(tree["fits"].children)))
        return [out / "report.html"]

    monkeypatch.setattr(report, "build", build)
    assert report.run(PATHS.store, Path("out"), ["P0001"], share=True) == "out/report.html"
    models = ["mixed", "plain"]
    made = asked[0][0]  # beside its place, until all of it is there
    assert made.parent == Path("out") and not made.exists()
    assert asked == [(made, ["P0001"], False, models), (made / "share", ["P0001"], True, models)]
    (PATHS.store / "data" / "raw" / "c" / "0" / "0").unlink()
    with pytest.raises(MixflowError, match="missing"):
        report.run(PATHS.store, Path("out"))
    assert len(asked) == 2


def test_every_step_left_its_record_in_order(tree: xr.DataTree) -> None:
    steps = provenance.steps(tree)
    names = [step["step"] for step in steps]
    assert names[:2] == ["ingest", "preprocess"] and names[-1] == "assemble"
    assert {"batch", "fit mixed 1-of-2", "fit mixed 2-of-2", "gather mixed"} <= set(names)
    assert len(names) == len(set(names))
    assert len({step["config_hash"] for step in steps}) == 1
    assert any(path.endswith("table.tsv") for path in steps[0]["inputs"])


def test_harmonised_values_have_less_of_the_sites(tree: xr.DataTree) -> None:
    share, after = tree["batch/share"], tree["batch/share_after"]
    site = {"factor": "site"}
    assert float(after.sel(site).median()) < float(share.sel(site).median())
    assert tree["batch"].attrs["method"] == "mixed"


def test_an_empty_shard_is_legal(done: Path) -> None:
    empty = zarr_io.load(done / PATHS.shard("mixed", 2, 2))["fits/mixed"]
    sizes = [zarr_io.load(done / PATHS.shard("mixed", i, 2))["fits/mixed"].sizes["feature"] for i in (1, 2)]
    assert sorted(sizes) == [0, 8]
    assert empty["beta"].dtype == "float64"


def test_a_missing_shard_is_named(folder: Path) -> None:
    study = config.load("config.yaml")
    shards = [PATHS.shard("plain", i, 2) for i in (1, 2)]
    full = next(p for p in shards if zarr_io.load(p)["fits/plain"].sizes["feature"])
    rest = [path for path in shards if path != full]
    with pytest.raises(MixflowError, match=r"8 feature\(s\) are missing"):
        gather.run(study, "plain", rest, PATHS.data, folder / "out.zarr")
    with pytest.raises(MixflowError, match=r"unknown|doubled"):
        gather.run(study, "plain", [full, full], PATHS.data, folder / "out.zarr")
    with pytest.raises(MixflowError, match="no fits of plain"):
        gather.run(study, "plain", [PATHS.shard("mixed", 1, 2)], PATHS.data, folder / "out.zarr")
    assert not (folder / "out.zarr").exists()


def test_new_contrasts_need_no_refit(folder: Path) -> None:
    models = {**tiny.CONFIG["models"]}
    models["mixed"] = {**models["mixed"], "contrasts": {"ten years": {"age": 10}}}
    study = config.load(tiny.write(folder, shards=2, models=models))
    before = PATHS.shard("mixed", 1, 2).stat().st_mtime_ns
    local.test(study, ["mixed"], lambda _: None)
    tests = zarr_io.load(PATHS.store)["tests/mixed"]
    beta = zarr_io.load(PATHS.store)["fits/mixed/beta"].sel(coef="age")
    np.testing.assert_allclose(tests["estimate"].values[:, 0], 10 * beta.values)
    assert PATHS.shard("mixed", 1, 2).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"formula": "~ age + group + (1 | site)"}, "formula was '~ group + age"),
        ({"reml": False}, "reml was True, now False"),
        ({"exclude": {"site": "site 5"}}, "exclude was {}, now {'site': ['site 5']}; other samples"),
    ],
)
def test_fits_of_an_earlier_config_are_not_tested(folder: Path, model: dict, told: str) -> None:
    models = {**tiny.CONFIG["models"], "mixed": {**tiny.CONFIG["models"]["mixed"], **model}}
    study = config.load(tiny.write(folder, shards=2, models=models))
    before = PATHS.store.stat().st_mtime_ns
    with pytest.raises(MixflowError) as caught:
        local.test(study, ["mixed"], lambda _: None)
    problems = caught.value.problems
    assert [problem.file for problem in problems] == [str(PATHS.shard("mixed", i, 2)) for i in (1, 2)]
    assert told in problems[0].message and "mixflow fit --model mixed" in (problems[0].remedy or "")
    assert PATHS.store.stat().st_mtime_ns == before
    local.fit(study, ["mixed"], lambda _: None)
    local.test(study, ["mixed"], lambda _: None)


def test_fits_of_other_values_or_of_an_unknown_origin_are_not_tested(folder: Path) -> None:
    study = config.load("config.yaml")
    sheet = pd.read_csv("samples.tsv", sep="\t")
    sheet["age"] += 1
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    table = pd.read_csv("table.tsv", sep="\t", index_col=0) + 1
    table.to_csv("table.tsv", sep="\t")
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    with pytest.raises(MixflowError, match="other columns of the sample sheet; other values"):
        local.test(study, ["mixed"], lambda _: None)
    shards = [PATHS.shard("plain", i, 2) for i in (1, 2)]
    for path in shards:
        tree = zarr_io.load(path)
        del tree["fits/plain"].attrs["fitted_with"]
        zarr_io.write(tree, path)
    with pytest.raises(MixflowError, match="an earlier mixflow wrote it"):
        local.test(study, ["plain"], lambda _: None)


def test_results_are_the_same_bytes_whatever_the_shards(folder: Path, done: Path) -> None:
    study = config.load(tiny.write(folder, shards=1))
    local.fit(study, [], lambda _: None)
    local.test(study, [], lambda _: None)
    assert chunk_bytes(folder / PATHS.store) == chunk_bytes(done / PATHS.store)


def chunk_bytes(store: Path) -> dict[str, bytes]:
    """Content of every array of a store (provenance holds none)."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("c/*") if path.is_file()
    } | {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("c/*/*")
        if path.is_file()
    }


def test_steps_out_of_order_say_what_to_run_first(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = config.load(tiny.write(tmp_path))
    for command, step in (("ingest", local.batch), ("batch", lambda s, t: local.fit(s, [], t))):
        with pytest.raises(MixflowError) as caught:
            step(study, lambda _: None)
        assert f"mixflow {command}" in (caught.value.problems[0].remedy or "")
    with pytest.raises(MixflowError, match="no such model"):
        local._chosen(local.load_plan(study), ["other"])


def test_bad_files_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = config.load(tiny.write(tmp_path))
    table = (tmp_path / "table.tsv").read_text().replace("P0003", "P0002")
    (tmp_path / "table.tsv").write_text(table)
    with pytest.raises(MixflowError) as caught:
        local.ingest(study, lambda _: None)
    problem = caught.value.problems[0]
    assert (Path(problem.file or "").name, problem.value) == ("table.tsv", "P0002")
    assert not PATHS.raw.exists()


def test_a_sheet_with_a_role_column_of_its_own_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tiny.write(tmp_path)
    sheet = pd.read_csv("samples.tsv", sep="\t").assign(role=["carer", "patient"] * 12)
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    with pytest.raises(MixflowError) as caught:
        ingest.run(config.load(path), PATHS.raw)
    assert (caught.value.problems[0].column, caught.value.problems[0].row) == ("role", 1)


def test_filters_leave_dropped_features_in_the_store(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = config.load(tiny.write(tmp_path, preprocess={"filters": {"min_observed": 1.0}}))
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    data = zarr_io.load(PATHS.data)["data"]
    lost = data["feature"].values[~data["kept"].values]
    assert list(lost) == ["P0001", "P0004", "P0007"]
    assert json.loads(data.attrs["dropped"])["min_observed"] == list(lost)
    assert np.isnan(data["value"].values[~data["kept"].values]).all()
    task = fit.load_task(study, "plain", PATHS.data, None)
    assert list(task.feature_ids) == ["P0000", "P0002", "P0003", "P0005", "P0006"]


def test_annotation_file_names_features_and_refuses_doubles(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genes.tsv").write_text("id\tname\tchromosome\nP0000\tAPOE\t19\nP0001\t\t3\n")
    data = {**tiny.CONFIG["data"], "features": "genes.tsv"}
    study = config.load(tiny.write(tmp_path, data=data))
    ingest.run(study, PATHS.raw)
    table = frames.features(zarr_io.load(PATHS.raw))
    assert list(table["name"][:3]) == ["APOE", "P0001", "P0002"]
    assert list(table["chromosome"][:3]) == ["19", "3", ""]
    (tmp_path / "genes.tsv").write_text("id\tname\nP0000\tAPOE\nP0000\tAPP\n")
    with pytest.raises(MixflowError) as caught:
        ingest.run(study, PATHS.raw)
    assert (caught.value.problems[0].row, caught.value.problems[0].value) == (3, "P0000")


def test_a_shard_reads_its_own_features_alone(folder: Path) -> None:
    study = config.load("config.yaml")
    whole = fit.load_task(study, "mixed", PATHS.data, None)
    none = fit.load_task(study, "mixed", PATHS.data, None, (1, 2))
    alone = fit.load_task(study, "mixed", PATHS.data, None, (1, 1))
    assert (len(whole.values), len(none.values), len(none.feature_ids)) == (8, 0, 8)
    np.testing.assert_array_equal(alone.values, whole.values)
    assert whole.origin == none.origin == alone.origin
    chunk = PATHS.data / "data" / "value" / "c" / "0" / "0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(MixflowError, match="a chunk of the store cannot be read"):
        fit.load_task(study, "mixed", PATHS.data, None, (1, 1))
