"""A study of counts by the pipeline: statuses, tests, analyses, and the same bytes whatever the shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import mixflow
from mixflow.errors import MixflowError
from mixflow.pipeline import analyse, fit, gather, local, setup
from mixflow.pipeline.paths import Paths
from mixflow.status import Status
from mixflow.store import analyses, fits, zarr_io
from mixflow.study import config, plan
from mixflow.study.plan import load_plan
from mixflow.study.study import Study
from tests.pipeline import counts, steps

OK, NONE = (Status.OK, Status.SINGULAR), (Status.NO_VARIATION,)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("counted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield steps.run(counts.write(folder))


@pytest.fixture(scope="module")
def tree(study: Study) -> xr.DataTree:
    return zarr_io.load(Paths(study.name).store)


def statuses(tree: xr.DataTree, model: str) -> dict[str, Status]:
    found = tree[f"fits/{model}"]
    return {
        str(f): Status(int(s)) for f, s in zip(found["feature"].values, found["status"].values, strict=True)
    }


def test_every_feature_ends_as_it_must(tree: xr.DataTree) -> None:
    found = statuses(tree, "abundance")
    assert all(found[name] in OK for name in ("up", "plain", "gaps", "poisson")), found
    assert found["separated"] == Status.SEPARATION
    assert found["zero"] == found["constant"] == Status.NO_VARIATION
    assert tree["fits/abundance"]["n_obs"].values[2] == 41  # gaps: 7 of 48 are missing


def test_presence_is_of_the_raw_counts(tree: xr.DataTree) -> None:
    found = statuses(tree, "presence")
    assert all(found[name] in OK for name in ("up", "plain", "gaps")), found
    assert found["large"] == found["zero"] == found["constant"] == Status.NO_VARIATION
    group = tree["fits/presence"]
    assert group.attrs["family"] == "binomial" and group.attrs["unit"] == "presence"
    assert group["more"].shape == (len(counts.FEATURES), 0)


def test_tests_are_z_tests_with_a_status_each(tree: xr.DataTree) -> None:
    tests = tree["tests/abundance"]
    at = {name: i for i, name in enumerate(counts.FEATURES)}
    assert tests.attrs["df_method"] == "z"
    assert np.isinf(tests["df"].values[at["up"]]).all() and tests["q_value"].values[at["up"], 0] < 0.05
    assert tests["status"].values[at["separated"], 0] == Status.NOT_ESTIMABLE
    assert np.isnan(tests["p_value"].values[at["separated"]]).all()
    assert np.allclose(tests["f_statistic"].values[at["up"]], tests["statistic"].values[at["up"]] ** 2)


def test_the_library_is_all_that_was_counted(tree: xr.DataTree) -> None:
    table, _ = counts.data()
    found = tree["data/samples"]["library_size"]
    assert np.array_equal(found.values, table.sum(axis=0).to_numpy())
    assert found.attrs["kind"] == "number"


def test_the_fit_is_that_of_the_engine(tree: xr.DataTree) -> None:
    """The same outcomes fitted from Python: nothing is lost on the way through config and store."""
    opened = mixflow.open(Paths("counted").store)
    found = mixflow.fit("~ group + offset(log(library_size)) + (1 | subject)", opened, family="nbinom2").model
    stored = fits.from_dataset(tree["fits/abundance"].to_dataset(inherit=False))
    for name in ("solution", "loglik", "more", "joint_cov", "status"):
        assert np.array_equal(getattr(found, name), getattr(stored, name), equal_nan=True), name


def test_analyses_see_the_family(study: Study, tree: xr.DataTree) -> None:
    terms = analyses.from_dataset(tree["analyses/abundance/terms"].to_dataset(inherit=False))
    assert set(terms["feature"]) == set(counts.FEATURES)
    paths, planned = Paths(study.name), load_plan(study).model("abundance")
    subject = analyse.load_subject(study, planned, zarr_io.load(paths.model("abundance")), paths.data, None)
    assert subject.generalised is not None and subject.generalised.family.name == "nbinom2"
    again = subject.generalised.take(np.array([0])).refit(subject.generalised.designs)
    assert np.allclose(again.fit.solution, subject.fit.solution[:1])


def test_analyses_answer_on_the_scale_of_the_response(tree: xr.DataTree) -> None:
    found = {
        name: analyses.from_dataset(node.to_dataset(inherit=False)).set_index("feature")
        for name, node in tree["analyses/abundance"].children.items()
    }
    means = found["means"].loc["up"]
    assert set(means["scale"]) == {"mean"} and np.allclose(means["response"], np.exp(means["estimate"]))
    assert found["means"].loc["zero", "response"].isna().all()
    checks = found["residual_checks"]
    assert checks.loc["up", "p_value"].between(0, 1).all() and checks.loc["zero", "p_value"].isna().all()
    families = found["families"]
    assert set(families["family"]) == {"nbinom2", "poisson"}
    assert families.loc["plain"].set_index("family").loc["nbinom2", "delta"] == 0
    assert (found["benchmarking"].loc["up", "expected"] > 0).all()
    assert found["r2"].loc["up", "r2_conditional"] <= 1


def test_shards_do_not_matter(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "CHUNK", 3)
    paths = Paths(study.name)
    shards = []
    for i in (1, 2, 3):
        shards.append(tmp_path / f"{i}.zarr")
        fit.run(study, "abundance", f"{i}-of-3", paths.data, None, shards[-1])
    gather.run(study, "abundance", shards, paths.data, tmp_path / "all.zarr")
    one, other = (zarr_io.load(p) for p in (paths.model("abundance"), tmp_path / "all.zarr"))
    for group in ("fits/abundance", "tests/abundance"):
        assert one[group].to_dataset(inherit=False).identical(other[group].to_dataset(inherit=False))


def test_changed_settings_of_the_family_are_noticed(study: Study, tmp_path: Path) -> None:
    models = {**counts.CONFIG["models"]}
    models["presence"] = {**models["presence"], "link": "probit"}
    other = config.load(counts.write(tmp_path, models=models))
    with pytest.raises(MixflowError, match="link was '', now 'probit'"):
        local.test(other, ["presence"], lambda _: None)


CHANGES = [{"family": "nbinom1"}, {"link": "sqrt"}, {"zi": "~ 1"}, {"dispersion": "~ group"}, {"nagq": 5},
           {"nagq": "auto"}, {"prior": {"sd": 1.0}}, {"reml": True}, {"response": "nonzero"}]  # fmt: skip


def test_keys_of_the_family_are_settings_of_the_fit(tmp_path: Path) -> None:
    own = counts.CONFIG["models"]["abundance"]
    written = [{}, *CHANGES, {"contrasts": {}}]
    hashes = []
    for i, change in enumerate(written):
        path = counts.write(tmp_path / str(i), models={"abundance": {**own, **change}})
        hashes.append(setup.Workflow(config.load(path)).fit_settings("abundance"))
    assert len(set(hashes[:-1])) == len(CHANGES) + 1
    assert hashes[-1] == hashes[0]  # a contrast is tested without a refit
