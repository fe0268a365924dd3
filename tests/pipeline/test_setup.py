"""What the Snakefile knows: paths, shards, and which settings make which step run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mixflow.errors import MixflowError
from mixflow.pipeline import setup
from mixflow.study import sweep
from tests.pipeline import tiny


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(**changes) -> setup.Workflow:
    path = tiny.write(Path.cwd(), **changes)
    return setup.load(yaml.safe_load(path.read_text()), [str(path)])


def test_a_study_becomes_paths_models_and_shards() -> None:
    flow = load(shards=3)
    assert flow.config == "config.yaml"
    assert flow.models() == ["results/tiny/work/models/mixed.zarr", "results/tiny/work/models/plain.zarr"]
    assert flow.shards("plain")[-1] == "results/tiny/work/shards/plain/3-of-3.zarr"
    assert flow.fit_inputs() == {"data": "results/tiny/work/data.zarr"}
    assert [Path(path).name for path in flow.inputs()] == ["table.tsv", "samples.tsv"]


def test_a_fit_of_harmonised_values_needs_the_batch_step() -> None:
    settings = {"factors": "site", "method": "mixed", "fit_on": "harmonised", "accept_anticonservative": True}
    flow = load(batch=settings, models={"mixed": tiny.CONFIG["models"]["mixed"]})
    assert set(flow.fit_inputs()) == {"data", "batch"}


def test_only_the_steps_that_a_setting_concerns_run_again() -> None:
    base = load()
    models = {**tiny.CONFIG["models"]}
    models["mixed"] = {**models["mixed"], "contrasts": {"older": {"age": 10}}}
    other = load(models=models)
    assert base.fit_settings("mixed") == other.fit_settings("mixed")
    assert base.gather_settings("mixed") != other.gather_settings("mixed")
    assert base.gather_settings("plain") == other.gather_settings("plain")
    assert base.settings("ingest") == other.settings("ingest")
    assert base.settings("check") != other.settings("check")
    refit = load(models={**models, "mixed": {**models["mixed"], "reml": False}})
    assert refit.fit_settings("mixed") != base.fit_settings("mixed")


def test_a_config_handed_over_by_a_module_is_read_as_it_is() -> None:
    tiny.write(Path.cwd())
    config = {**tiny.CONFIG, "study": "from-module"}
    flow = setup.load(config, [])
    assert flow.config == "results/from-module/config.yaml"
    assert flow.paths.study == "from-module"
    assert [path for path in flow.inputs() if not Path(path).is_file()] == []


def files_of(flow: setup.Workflow) -> list[Path]:
    return [Path(path).resolve() for path in flow.inputs()]


@pytest.mark.parametrize("root", [None, ".", "../files", "files"])
def test_a_changed_config_finds_the_files_that_the_original_finds(root: str | None) -> None:
    data = {**tiny.CONFIG["data"], "features": "notes.tsv"} | ({"data_root": root} if root else {})
    path = tiny.write(Path("my"), data=data)
    Path("my/notes.tsv").write_text("id\tname\n")
    for folder in ("files", "results/tiny"):
        Path(folder).mkdir(parents=True)
    if root in ("../files", "files"):
        Path("my/table.tsv").rename("files/table.tsv")
    Path("samples.tsv").write_text("not the sheet: the config's folder comes first")
    config = yaml.safe_load(path.read_text())
    plain = setup.load(config, [str(path)])
    changed = setup.load({**config, "seed": 7}, [str(path)])
    assert plain.config == "my/config.yaml" and changed.config == "results/tiny/config.yaml"
    assert files_of(changed) == files_of(plain)
    assert [file.is_file() for file in files_of(plain)] == [True] * 3
    assert changed.study.seed == 7


def test_a_changed_config_finds_relationships_and_tables_of_studies_too() -> None:
    mixed = {**tiny.CONFIG["models"]["mixed"], "relationship": {"site": "kin.csv"}}
    path = tiny.write(Path("my"), models={"mixed": mixed}, studies="studies.tsv")
    Path("my/kin.csv").write_text("")
    Path("my/studies.tsv").write_text("study\treport.top\none\t3\n")
    changed = setup.load({**yaml.safe_load(path.read_text()), "seed": 7}, [str(path)])
    assert changed.relationships("mixed") == [str(Path("my/kin.csv").resolve())]
    found = sweep.read(Path(changed.config))
    assert found is not None and list(found.by_name) == ["one"]


def test_a_wrong_config_is_told_with_its_place() -> None:
    path = tiny.write(Path.cwd(), shards=0)
    with pytest.raises(MixflowError) as caught:
        setup.load(yaml.safe_load(path.read_text()), [str(path)])
    (problem,) = caught.value.problems
    assert (problem.column, problem.value) == ("shards", 0)


def test_parsing_reads_neither_data_nor_jax_nor_xarray() -> None:
    path = tiny.write(Path.cwd())
    (Path.cwd() / "table.tsv").write_bytes(b"\x00 not a table")
    code = (
        "import sys, yaml\nfrom mixflow.pipeline import setup\n"
        f"setup.load(yaml.safe_load(open({str(path)!r})), [{str(path)!r}])\n"
        "for step in ('fit', 'report'): setup.code(step)\n"
        "print([m for m in ('jax', 'xarray', 'zarr') if m in sys.modules])"
    )
    root = Path(setup.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_an_edit_of_a_template_makes_the_pages_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reports").mkdir()
    monkeypatch.setattr(setup.resources, "root", lambda: tmp_path)
    steps = ("report", "compare", "assemble")
    before = [setup.code(step) for step in steps]
    (tmp_path / "reports" / "style.css").write_text("p { color: red }")
    changed = [step for step, code in zip(steps, before, strict=True) if setup.code(step) != code]
    assert changed == ["report", "compare"]
