from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixflow import resources
from mixflow.errors import MixflowError
from mixflow.study import yamlfile
from mixflow.study.config import attempt, load
from mixflow.study.schema import resolve, schema
from mixflow.study.write import commented, flow

EMBEDDED = resources.root() / "config" / "config.yaml"


def test_small_study_with_defaults(files):
    study = load(files.config)
    assert study.name == "small" and study.title == "small"
    assert study.headline.formula == "~ arm + age + (1 | site)"
    assert study.headline.contrasts == {"effect": {"arm": ["drug", "placebo"]}}
    assert study.data.files == (files.data,) and study.samples.file == files.sheet
    assert study.preprocess.transform == "none" and study.preprocess.pseudocount is None
    assert study.report.top == 50 and study.seed == 1 and study.shards is None
    assert study.raw["batch"]["fit_on"] == "raw"
    assert json.loads(json.dumps(study.raw)) == study.raw


def test_schema_is_a_schema_and_says_what_each_key_means():
    jsonschema.Draft202012Validator.check_schema(schema())
    silent = []

    def walk(part, path):
        part = resolve(part)
        for key, inner in part.get("properties", {}).items():
            if "description" not in resolve(inner):
                silent.append((*path, key))
            walk(inner, (*path, key))
        for inner in [*part.get("anyOf", ()), part.get("additionalProperties"), part.get("items")]:
            if isinstance(inner, dict):
                walk(inner, path)

    walk(schema(), ())
    assert silent == []


def test_readme_explains_every_key():
    text = (resources.root() / "config" / "README.md").read_text(encoding="utf-8")
    missing = []

    def walk(part):
        part = resolve(part)
        for key, inner in part.get("properties", {}).items():
            if (
                f"`{key}`" not in text
                and f"`{key}." not in text
                and f".{key}`" not in text
                and f"{key}:" not in text
            ):
                missing.append(key)
            walk(inner)
        for inner in [*part.get("anyOf", ()), part.get("additionalProperties"), part.get("items")]:
            if isinstance(inner, dict):
                walk(inner)

    walk(schema())
    assert missing == []


def test_embedded_study_loads():
    study = load(EMBEDDED)
    assert study.name == "alzheimer-csf"
    assert study.preprocess.transform == "none" and study.data.scale == "log2"
    assert [model.name for model in study.models] == ["mixed", "ignored", "without_kiel"]
    assert all(path.is_file() for path in (*study.data.files, study.samples.file, study.data.features))


def test_studies_are_isolated(files):
    """No key of the embedded config reaches another study, and loading one does not change the next."""
    load(EMBEDDED)
    study = load(files.config)
    assert set(study.raw["models"]) == {"main", "plain"}
    assert study.data.unit is None and study.data.features is None and study.raw["title"] == ""
    study.raw["report"]["features"].append("X")
    assert load(files.config).raw["report"]["features"] == []


def test_parsing_imports_no_engine_and_no_store():
    code = (
        "import sys; from mixflow.study.config import load; from mixflow.study.plan import load_plan;"
        f"load_plan(load({str(EMBEDDED)!r}));"
        "print([m for m in ('jax', 'xarray', 'zarr', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_levels_are_text_as_they_stand(files):
    files.edit("levels: [p, d]", "levels: [no, 01]")
    assert load(files.config).samples.columns["arm"].levels == ("no", "01")


def test_dates_times_and_tagged_text_stay_text(files):
    files.edit(
        "levels: [p, d], labels: [placebo, drug]", "levels: [2024-03-02, 12:30], labels: [!!str 1, drug]"
    )
    files.edit("reference: placebo", "reference: 2024-03-02")
    column = load(files.config).samples.columns["arm"]
    assert column.levels == ("2024-03-02", "12:30") and column.labels == ("1", "drug")


def test_yes_and_no_are_truth_values_where_one_is_wanted(files):
    files.edit('    formula: "~ arm"', '    formula: "~ arm"\n    reml: no')
    assert load(files.config).models[1].reml is False


def test_empty_key_takes_its_default(files):
    files.edit("study: small", "study: small\nreport:\npreprocess:\n  filters:")
    study = load(files.config)
    assert study.report.alpha == 0.05 and study.preprocess.filters.near_zero_variance is True


def test_anchors_and_merge_keys(files):
    files.edit("  main:\n", "  main: &main\n")
    files.edit('  plain:\n    formula: "~ arm"', '  plain:\n    <<: *main\n    formula: "~ arm"')
    plain = load(files.config).models[1]
    assert plain.formula == "~ arm" and plain.contrasts == {"effect": {"arm": ["drug", "placebo"]}}


def test_one_name_for_a_list(files):
    files.edit("  factors: [site]", "  factors: site\n  keep: arm")
    study = load(files.config)
    assert study.batch.factors == ("site",) and study.batch.keep == ("arm",)


def test_numbers_and_levels_in_contrasts(files):
    files.edit("effect: {arm: [drug, placebo]}", "x: {age: [70, 60], at: {arm: p, bmi: 25}}")
    assert load(files.config).headline.contrasts == {
        "x": {"age": [70.0, 60.0], "at": {"arm": "p", "bmi": 25.0}}
    }


def test_paths_are_told_without_detours(files):
    (files.folder / "y2").mkdir()
    files.edit("  files: data.csv", "  data_root: y2\n  files: ../data.csv")
    assert load(files.config).data.files == (files.data,)
    (files.folder / "far" / "deep").mkdir(parents=True)
    (files.folder / "far" / "data.csv").write_text("x")
    (files.folder / "y2").rmdir()
    (files.folder / "y2").symlink_to(files.folder / "far" / "deep")
    assert load(files.config).data.files[0].read_text() == "x"


def test_paths_are_found_in_data_root_then_beside_the_config(files):
    (files.folder / "raw").mkdir()
    files.data.rename(files.folder / "raw" / "data.csv")
    files.edit("  files: data.csv", "  data_root: raw\n  files: data.csv")
    study = load(files.config)
    assert study.data.files == (files.folder / "raw" / "data.csv",)
    assert study.samples.file == files.sheet


def test_written_config_reads_back(files):
    study = load(files.config)
    files.config.write_text(commented(study.raw), encoding="utf-8")
    assert load(files.config).raw == study.raw


def test_needed_keys_are_named(files):
    files.config.write_text("title: x\n")
    with pytest.raises(MixflowError) as caught:
        load(files.config)
    assert {p.column for p in caught.value.problems} == {"study", "data", "models"}


def test_everything_at_once(files):
    files.edit("scale: log2", "scale: log3").edit("reference: placebo", "reference: x").edit(
        "  plain:", "  plain:\n    titel: x"
    )
    with pytest.raises(MixflowError) as caught:
        load(files.config)
    found = {(p.row, p.column) for p in caught.value.problems}
    assert found == {(4, "data.scale"), (9, "samples.columns.arm.reference"), (19, "models.plain.titel")}


def test_a_column_without_type_does_not_hide_the_rest(files):
    files.edit("age: {type: number}", "age: {unit: years}")
    study, found = attempt(files.config)
    assert study is not None and [p.column for p in found] == ["samples.columns.age.type"]
    assert "age" not in study.samples.columns


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["C", "Z"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab: #-", max_size=5), inner),
        max_leaves=6,
    )
)
def test_what_is_written_reads_back(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(f"key: {flow(value)}\n", encoding="utf-8")
        assert yamlfile.read(path).values == {"key": value}


def test_byte_order_mark_is_no_trouble(files):
    files.config.write_bytes(b"\xef\xbb\xbf" + files.config.read_bytes())
    assert load(files.config).name == "small"


def test_place_of_a_key_that_is_not_there(files):
    study = load(files.config)
    assert study.place("preprocess", "transform")["row"] == 1
    assert study.place("data", "unit") == {"file": str(files.config), "row": 2, "column": "data.unit"}
    assert Path(study.place("study")["file"]) == files.config
