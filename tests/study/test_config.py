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


def problem(files, **wanted):
    """The one problem of the config; fields given are compared, `remedy` by what it contains."""
    with pytest.raises(MixflowError) as caught:
        load(files.config)
    assert len(caught.value.problems) == 1, str(caught.value)
    found = caught.value.problems[0]
    assert found.file == str(files.config)
    for key, value in wanted.items():
        if key in ("remedy", "message"):
            assert value in str(getattr(found, key)), found
        else:
            assert getattr(found, key) == value, found
    return found


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


HOSTILE = {
    "unknown key": (
        "study: small",
        "study: small\nseeed: 2",
        2,
        "seeed",
        "seeed",
        "did you mean `seed`",
    ),
    "unknown nested key": (
        "  scale: log2",
        "  scal: log2",
        4,
        "data.scal",
        "scal",
        "did you mean `scale`",
    ),
    "not a choice": (
        "scale: log2",
        "scale: log3",
        4,
        "data.scale",
        "log3",
        "intensity, log2, count",
    ),
    "wrong type": (
        "study: small",
        "study: small\nseed: many",
        2,
        "seed",
        "many",
        "Seed of all random",
    ),
    "quoted number": (
        "study: small",
        'study: small\nseed: "1"',
        2,
        "seed",
        "1",
        "Seed of all random",
    ),
    "list for mapping": (
        "batch:\n  factors: [site]",
        "batch: [site]",
        11,
        "batch",
        ["site"],
        "Batch effects",
    ),
    "number too small": (
        "study: small",
        "study: small\nshards: 0",
        2,
        "shards",
        0,
        "from 1",
    ),
    "alpha of 1": (
        "study: small",
        "study: small\nreport: {alpha: 1}",
        2,
        "report.alpha",
        1,
        "discovery rate",
    ),
    "bad study name": (
        "study: small",
        "study: ../x",
        1,
        "study",
        "../x",
        "Letters, digits",
    ),
    "bad model name": (
        "  plain:",
        "  pl.ain:",
        18,
        "models.pl.ain",
        "pl.ain",
        "letters, digits",
    ),
    "empty list": (
        "files: data.csv",
        "files: []",
        3,
        "data.files",
        [],
        "data file",
    ),
    "key twice": (
        "  plain:",
        "  main:",
        18,
        "models.main",
        "main",
        "keep one",
    ),
    "labels without levels": (
        "levels: [p, d], ",
        "",
        9,
        "samples.columns.arm.labels",
        ("placebo", "drug"),
        "levels",
    ),
    "one label too few": (
        "[placebo, drug]",
        "[placebo]",
        9,
        "samples.columns.arm.labels",
        ("placebo",),
        "each level",
    ),
    "level twice": (
        "levels: [p, d]",
        "levels: [p, p]",
        9,
        "samples.columns.arm.levels",
        "p",
        "differ",
    ),
    "unknown reference": (
        "reference: placebo",
        "reference: plcebo",
        9,
        "samples.columns.arm.reference",
        "plcebo",
        "did you mean `placebo`",
    ),
    "levels of a number": (
        "age: {type: number}",
        "age: {type: number, levels: [1]}",
        10,
        "samples.columns.age.levels",
        ("1",),
        "type: factor",
    ),
    "no type": (
        "age: {type: number}",
        "age: {unit: years}",
        10,
        "samples.columns.age.type",
        None,
        "add `type:`",
    ),
    "hash is a comment": (
        "  id: sample",
        "  id: #SampleID",
        7,
        "samples.id",
        "#SampleID",
        '"#SampleID"',
    ),
    "pattern that does not compile": (
        "  id: sample",
        "  id: sample\n  derive: {x: {pattern: '(a'}}",
        8,
        "samples.derive.x.pattern",
        "(a",
        "single quotes",
    ),
    "pattern without group": (
        "  id: sample",
        "  id: sample\n  derive: {x: {pattern: 'a+'}}",
        8,
        "samples.derive.x.pattern",
        "a+",
        "between brackets",
    ),
    "id_map that does not compile": (
        "  id: sample",
        "  id: sample\n  id_map: {pattern: '*', replace: ''}",
        8,
        "samples.id_map.pattern",
        "*",
        "mend the pattern",
    ),
    "value of two roles": (
        "  id: sample",
        "  id: sample\n  role: {column: arm, qc: p, blank: p}",
        8,
        "samples.role.blank",
        "p",
        "one role",
    ),
    "harmonised without consent": (
        "  factors: [site]",
        "  factors: [site]\n  method: combat\n  fit_on: harmonised",
        14,
        "batch.fit_on",
        "harmonised",
        "accept_anticonservative: true",
    ),
    "method without factor": (
        "  factors: [site]",
        "  method: combat",
        12,
        "batch.method",
        "combat",
        "batch.factors",
    ),
    "batch kept": (
        "  factors: [site]",
        "  factors: [site]\n  keep: [site]",
        13,
        "batch.keep",
        "site",
        "not in both",
    ),
    "unknown model": (
        '    formula: "~ arm"\n',
        '    formula: "~ arm"\n    compare_to: mian\n',
        20,
        "models.plain.compare_to",
        "mian",
        "did you mean `main`",
    ),
    "two columns in a contrast": (
        "effect: {arm: [drug, placebo]}",
        "effect: {arm: all pairs, age: 10}",
        17,
        "models.main.contrasts.effect",
        ["arm", "age"],
        "at:",
    ),
    "level against itself": (
        "[drug, placebo]}",
        "[drug, drug]}",
        17,
        "models.main.contrasts.effect.arm",
        ["drug", "drug"],
        "two different",
    ),
    "three levels": (
        "[drug, placebo]}",
        "[a, b, c]}",
        17,
        "models.main.contrasts.effect.arm",
        ["a", "b", "c"],
        "[first, second]",
    ),
    "contrast in unknown words": (
        "[drug, placebo]}",
        "everything}",
        17,
        "models.main.contrasts.effect.arm",
        "everything",
        "all pairs, versus reference, omnibus",
    ),
    "mapping for a name": ("files: data.csv", "files: {a: b}", 3, "data.files", {"a": "b"}, "The data file"),
    "list in a list": (
        "levels: [p, d]",
        "levels: [p, [d]]",
        9,
        "samples.columns.arm.levels[1]",
        ["d"],
        "Levels in the order wanted",
    ),
    "null formula": (
        'formula: "~ arm"',
        "formula:",
        19,
        "models.plain.formula",
        None,
        "Formula with nothing",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_config(files, name):
    old, new, row, column, value, remedy = HOSTILE[name]
    problem(files.edit(old, new), row=row, column=column, value=value, remedy=remedy)


SYNTAX = {
    "tab": ("  scale: log2", "\tscale: log2", 4, "never with tabs"),
    "escape": ('"~ arm"', r'"\d"', 19, "single quotes"),
    "colon": ("study: small", "study: small: er", 1, "between quotes"),
    "two documents": ("batch:", "---\nbatch:", 11, "remove the line"),
    "control character": ("study: small", "study: small\ntitle: a\x07b", 2, "remove it"),
    "open bracket": ("[site]", "[site", 13, "brackets"),
}


@pytest.mark.parametrize("name", SYNTAX)
def test_broken_yaml(files, name):
    old, new, row, remedy = SYNTAX[name]
    problem(files.edit(old, new), row=row, remedy=remedy)


def test_files_that_are_no_config(files):
    files.config.write_bytes(b"study: caf\xe9\n")
    problem(files, row=1, value=b"\xe9", remedy="UTF-8")
    files.config.write_text("# nothing\n")
    problem(files, row=1, message="empty")
    files.config.write_text("- a\n- b\n")
    problem(files, row=1, message="mapping")
    files.config.write_text("a: &a [*a]\n")
    problem(files, row=1, remedy="write the values out")
    files.config.write_text("study: !!python/object:os.system x\n")
    problem(files, row=1, remedy="remove the tag")
    files.config.write_text("? [a, b]\n: 1\n")
    problem(files, row=1, message="a key must be text")
    files.config.unlink()
    problem(files, remedy="check the path")


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
