"""Finished runs of the tiny study: made again, compared, told apart, handed over."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mixflow.cli import differences
from mixflow.cli.app import app
from mixflow.errors import MixflowError
from mixflow.pipeline import report
from mixflow.pipeline.paths import Paths
from mixflow.report import build as report_build
from mixflow.runs import crate, diff, equal, inputs, origin, replay
from mixflow.runs import results as results_module
from mixflow.store import manifest
from mixflow.study import config
from tests.pipeline import steps, tiny

MODELS = {"mixed": {**tiny.CONFIG["models"]["mixed"], "analyses": {"r2": None}}}
PATHS = Paths("tiny")


def make(folder: Path, **changes) -> Path:
    """Run the tiny study in ``folder`` up to its report (without figures); its results."""
    with steps.working_in(folder) as _, pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_build, "write_figures", lambda *_: [])
        steps.run(tiny.write(Path(), **{"models": MODELS, **changes}))
        report.run(PATHS.store, PATHS.results)
    return folder / PATHS.results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other alpha, one value changed in the table, and no analyses."""
    folder = tmp_path_factory.mktemp("other")
    with steps.working_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_build, "write_figures", lambda *_: [])
        path = tiny.write(Path(), models={"mixed": tiny.CONFIG["models"]["mixed"]}, report={"alpha": 1e-12})
        lines = Path("table.tsv").read_text().split("\n")
        cells = lines[2].split("\t")
        lines[2] = "\t".join([cells[0], str(float(cells[1]) + 5), *cells[2:]])
        Path("table.tsv").write_text("\n".join(lines))
        steps.run(path, analyse=False)
        report.run(PATHS.store, PATHS.results)
    return folder / PATHS.results


def test_page_and_store_tell_the_same_of_the_run(results: Path) -> None:
    page, store = origin.read(results / "report.html"), origin.read(results / "study.zarr")
    assert page.study == store.study == "tiny" and page.config == store.config
    assert page.inputs == store.inputs and set(page.named.values()) == {"data.files", "samples.file"}
    assert page.expected == store.expected and len(page.expected) >= 9
    assert page.environment == store.environment and page.environment["jax"] and len(page.environment) > 40
    assert page.store == store.store and page.steps[-1]["step"] == "report"
    table = results.parents[1] / "table.tsv"
    sha = hashlib.sha256(table.read_bytes()).hexdigest()
    assert page.inputs["table.tsv"] == {"sha256": sha, "bytes": table.stat().st_size}
    for step in page.steps:
        assert step["host"]["cpu"] and len(step["code"]) == 64 and step["seconds"] >= 0 and step["command"]


def test_tables_and_arrays_hold_no_times_or_hosts(results: Path) -> None:
    run = origin.read(results)
    told = {step["started"][:16] for step in run.steps} | {run.steps[0]["host"]["cpu"]}
    for table in (results / "tables").glob("*.tsv"):
        assert not [word for word in told if word in table.read_text()], table.name


def test_what_is_no_run_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(MixflowError, match="no finished run"):
        origin.read(tmp_path)
    with pytest.raises(MixflowError, match="from which config"):
        bare = tmp_path / "bare.zarr"
        shutil.copytree(results / "study.zarr", bare)
        group = bare / "provenance" / "zarr.json"
        content = json.loads(group.read_text())
        content["attributes"] = {}
        group.write_text(json.dumps(content))
        manifest.write(bare)
        origin.read(bare)
    page = tmp_path / "old.html"
    page.write_text("<html></html>")
    with pytest.raises(MixflowError, match="no provenance"):
        origin.read(page)
    page.write_text((results / "report.html").read_text().replace('":2,"share":false', '":2,"share":true', 1))
    with pytest.raises(MixflowError, match="copy to share"):
        origin.read(page)
    page.write_text(
        (results / "report.html").read_text().replace('"schema_version":2', '"schema_version":99', 1)
    )
    with pytest.raises(MixflowError, match="newer mixflow"):
        origin.read(page)
    for content in ('{"cut', "[1]", '{"other": 1}'):
        (tmp_path / "some.json").write_text(content)
        with pytest.raises(MixflowError, match="no record of a run"):
            origin.read(tmp_path / "some.json")


def test_inputs_are_found_by_content_under_any_name(results: Path, tmp_path: Path) -> None:
    run = origin.read(shutil.copy(results / "report.html", tmp_path))
    assert [need.found for need in inputs.needed(run)] == [None, None]
    home = results.parents[1]
    (tmp_path / "archive" / "deep").mkdir(parents=True)
    shutil.copy(home / "table.tsv", tmp_path / "archive" / "deep" / "renamed.bin")
    shutil.copy(home / "samples.tsv", tmp_path / "table.tsv")
    found = {need.key: need for need in inputs.needed(run, [tmp_path / "archive"])}
    assert found["data.files"].found == tmp_path / "archive" / "deep" / "renamed.bin"
    assert found["samples.file"].found is None
    with pytest.raises(MixflowError, match="no such file or folder"):
        inputs.needed(run, [tmp_path / "archiv"])
    changed = inputs.needed(run)[0]
    assert changed.changed == tmp_path / "table.tsv" and "another content" in str(changed)


def test_a_replay_is_laid_out_as_the_run_was_and_comes_out_equal(results: Path, tmp_path: Path) -> None:
    run = origin.read(results / "report.html")
    made = replay.prepare(run, tmp_path / "again", [results.parents[1]])
    assert made.missing == [] and made.config == Path("config.yaml")
    assert {p.name for p in made.folder.iterdir()} == {
        "config.yaml", "table.tsv", "samples.tsv", "requirements.lock", "replay.sh", "replay.json",
    }  # fmt: skip
    assert config.load(made.folder / "config.yaml").raw == run.config
    assert f"jax=={run.environment['jax']}" in (made.folder / "requirements.lock").read_text()
    again = rerun(made)
    verdicts = equal.compare(run, again, replay.record(run)["arrays"])
    assert {v.kind for v in verdicts} == {"table", "array"} and len(verdicts) > 60
    assert [v for v in verdicts if v.state != "equal"] == []
    check = ["replay", str(made.folder / "replay.json"), "--check"]
    said = CliRunner().invoke(app, check)
    assert said.exit_code == 0 and "tables are equal, byte for byte" in said.output


def rerun(made: replay.Replay) -> Path:
    with steps.working_in(made.folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_build, "write_figures", lambda *_: [])
        steps.run(made.config)
        report.run(PATHS.store, PATHS.results)
    return made.results


def test_absolute_paths_are_gathered_and_the_config_names_them_there(results: Path, tmp_path: Path) -> None:
    home = results.parents[1]
    facts = json.loads(json.dumps(origin.read(results).facts))
    facts["files"] = {"data.files": [str(home / "table.tsv")], "samples.file": str(home / "samples.tsv")}
    for step in facts["steps"]:
        step["inputs"] = {
            str(home / k) if k in ("table.tsv", "samples.tsv") else k: v for k, v in step["inputs"].items()
        }
    run = origin.Origin(results, facts, folder=results)
    made = replay.prepare(run, tmp_path / "again")
    study = config.load(made.folder / made.config)
    assert study.data.files[0].read_bytes() == (home / "table.tsv").read_bytes()
    assert study.samples.file is not None and study.samples.file.parent == made.folder / "inputs"


def test_a_replay_without_inputs_says_so_and_does_not_run(results: Path, tmp_path: Path) -> None:
    page = shutil.copy(results / "report.html", tmp_path)
    said = CliRunner().invoke(app, ["replay", str(page), "--into", str(tmp_path / "again")])
    assert said.exit_code == 1 and said.output.count("NOT FOUND") == 2 and "table.tsv" in said.output
    made = replay.prepare(origin.read(page), tmp_path / "again")
    with pytest.raises(MixflowError, match="an input is missing"):
        replay.execute(made, "1")


def test_where_tables_differ_is_told(results: Path, other: Path) -> None:
    run = origin.read(results)
    verdicts = {v.name: v for v in equal.compare(run, other, replay.record(run)["arrays"])}
    told = verdicts["results_mixed_case-vs-control.tsv"]
    assert told.state == "differs" and "rows; first row" in told.detail and "was " in told.detail
    assert verdicts["mixed.r2.tsv"].state == "missing" and verdicts["data/raw"].state == "differs"
    assert verdicts["data/feature"].state == "equal"


def test_the_first_cell_that_differs(tmp_path: Path) -> None:
    old, new = tmp_path / "old.tsv", tmp_path / "new.tsv"
    old.write_text("feature\tp\na\t1\nb\t2\n")
    new.write_text("feature\tp\na\t1\nb\t3\nc\t4\n")
    assert equal.where(old, new) == "2 of 3 rows; first row 3 (b), p: was 2, is 3"
    new.write_text("feature\tq\na\t1\n")
    assert equal.where(old, new) == "columns were feature, p; are feature, q"


def test_a_run_does_not_differ_from_itself(results: Path) -> None:
    run = origin.read(results)
    found = diff.diff(run, origin.read(results))
    assert found.same_results and found.changes == [] and found.models[0].contrasts[0].equal
    said = CliRunner().invoke(app, ["diff", str(results), str(results)])
    assert said.exit_code == 0 and "the same, to the last bit" in said.output


def test_diff_names_config_inputs_and_results_that_changed(results: Path, other: Path) -> None:
    found = diff.diff(origin.read(results), origin.read(other), top=3)
    changed = {(c.section, c.item): c for c in found.changes}
    assert (changed["config", "report.alpha"].before, changed["config", "report.alpha"].after) == (
        0.05,
        1e-12,
    )
    assert ("inputs", "data.files") in changed and ("inputs", "samples.file") not in changed
    assert ("data", "data") in changed and ("analyses", "analyses/mixed/r2") in changed
    model = found.models[0]
    contrast = model.contrasts[0]
    assert not found.same_results and not model.equal_fits and contrast.hits == (1, 0)
    assert contrast.lost == ["P0000"] and contrast.gained == []
    assert contrast.largest[0]["feature"] == "P0001" and contrast.largest[0]["moved_by_se"] > 0.1
    assert 0.5 < contrast.rank_correlation < 1


def test_tests_alone_that_differ_and_another_rate_of_calls_are_told(results: Path) -> None:
    run = origin.read(results)
    assert run.tree is not None
    trees = [run.tree.copy(deep=True) for _ in range(2)]
    tests = [tree["tests/mixed"] for tree in trees]
    tests[0].dataset = tests[0].to_dataset().assign(conf_low=tests[0]["conf_low"] + 1)
    tests[1].attrs["alpha"] = 1e-300
    (limits,), (rate,) = (results_module.models(run.tree, tree, 3) for tree in trees)
    assert limits.contrasts[0].equal and not limits.equal_tests and not limits.same
    assert rate.equal_tests and not rate.same and rate.contrasts[0].hits == (1, 0)
    assert "tests differ" in "\n".join(differences.tsv(diff.Difference("a", "b", [], [limits])))


def test_json_of_a_difference_keeps_names_and_has_no_number_that_json_lacks() -> None:
    changes = [diff.Change("config", "NaN of Infinity", float("nan"), -float("inf"))]
    (told,) = json.loads(json.dumps(diff.Difference("a", "b", changes).to_dict(), allow_nan=False))["changes"]
    assert told == {"section": "config", "item": "NaN of Infinity", "before": None, "after": None}


def test_folders_with_other_files_are_neither_replay_nor_crate(results: Path, tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("precious")
    run = origin.read(results)
    with pytest.raises(MixflowError, match="a folder of its own"):
        replay.prepare(run, tmp_path, [results.parents[1]])
    with pytest.raises(MixflowError, match="holds other files"):
        crate.write(run, tmp_path, crate.Told())
    assert [path.name for path in tmp_path.iterdir()] == ["table.tsv"]


def test_diff_as_json_and_tsv(results: Path, other: Path) -> None:
    said = CliRunner().invoke(app, ["diff", str(results), str(other), "--json"])
    told = json.loads(said.output)
    assert told["same_results"] is False and told["models"][0]["contrasts"][0]["lost"] == ["P0000"]
    said = CliRunner().invoke(app, ["diff", str(results), str(other), "--tsv"])
    rows = [line.split("\t") for line in said.output.strip().split("\n")]
    assert rows[0] == ["section", "item", "before", "after"] and {len(row) for row in rows} == {4}
    assert ["config", "report.alpha", "0.05", "1e-12"] in rows
    shown = CliRunner().invoke(app, ["diff", str(results), str(other)]).output
    assert "lost 1: P0000" in shown and "The results differ." in shown


def test_reports_without_their_stores_are_compared_by_their_tables(
    results: Path, other: Path, tmp_path: Path
) -> None:
    pages = [
        shutil.copy(folder / "report.html", tmp_path / f"{i}.html")
        for i, folder in enumerate((results, other))
    ]
    found = diff.diff(*(origin.read(page) for page in pages))
    assert "results_mixed_case-vs-control.tsv" in {c.item for c in found.changes if c.section == "tables"}
    assert not found.same_results and found.models == []


def test_a_page_beside_another_store_is_not_taken_for_its_report(
    results: Path, other: Path, tmp_path: Path
) -> None:
    shutil.copy(results / "report.html", tmp_path)
    shutil.copytree(other / "study.zarr", tmp_path / "study.zarr")
    assert origin.read(tmp_path / "report.html").store is None


def test_a_crate_tells_inputs_by_hash_and_packs_them_where_asked(results: Path, tmp_path: Path) -> None:
    run = origin.read(results)
    out = crate.write(run, tmp_path / "crate", crate.Told())
    entities = {e["@id"]: e for e in json.loads((out / "ro-crate-metadata.json").read_text())["@graph"]}
    named = [e for e in entities.values() if e["@id"].startswith("ni:///sha-256;")]
    assert {e["sha256"] for e in named} == {entry["sha256"] for entry in run.inputs.values()}
    assert entities["#run"]["instrument"] == {"@id": "Snakefile"} and not (out / "inputs").exists()
    assert origin.read(out / "study.zarr").study == "tiny"
    assert str(results) not in (out / "provenance.json").read_text()
    assert yaml.safe_load((out / "config.yaml").read_text()) == run.config
    assert list(crate._numbered([("a", 1), ("b", 2), ("a", 3)])) == [("a-1", 1), ("b", 2), ("a-2", 3)]
    assert crate.write(run, out, crate.Told()) == out  # an older crate is replaced
    packed = crate.write(run, tmp_path / "crate.zip", crate.Told("A. Author"), True, [results.parents[1]])
    shutil.unpack_archive(packed, tmp_path / "unpacked")
    assert manifest.sha256(tmp_path / "unpacked/inputs/1/table.tsv") == run.inputs["table.tsv"]["sha256"]


def test_the_crate_is_valid(results: Path, tmp_path: Path) -> None:
    python = os.environ.get("ROC_VALIDATOR")  # its environment: it asks for older libraries than the tests do
    if not python:
        pytest.skip("ROC_VALIDATOR does not name a python that has roc-validator (CONTRIBUTING.md)")
    by = crate.Told("https://orcid.org/0000-0002-1825-0097", "https://creativecommons.org/licenses/by/4.0/")
    out = crate.write(origin.read(results), tmp_path / "crate", by)
    script = Path(__file__).with_name("validate_crate.py")
    words = [python, str(script), str(out), "workflow-run-crate-0.5"]
    done = subprocess.run(words, capture_output=True, text=True)
    told, _ = json.JSONDecoder().raw_decode(done.stdout.lstrip())
    assert told["issues"] == [] and told["checks"] > 60 and done.returncode == 0


def test_a_crate_needs_the_store(results: Path, tmp_path: Path) -> None:
    page = shutil.copy(results / "report.html", tmp_path)
    with pytest.raises(MixflowError, match="needs the store"):
        crate.write(origin.read(page), tmp_path / "crate", crate.Told())
    with pytest.raises(MixflowError, match="not the folder in which the study was run"):
        crate.snakemake_report(origin.read(results))
