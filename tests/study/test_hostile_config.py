"""Configs that are refused: file, line, key, value and remedy of each."""

from __future__ import annotations

import pytest

from mixflow.errors import MixflowError
from mixflow.study.config import load


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


def test_a_fit_of_harmonised_values_keeps_the_batch_in_every_model(files):
    files.edit(
        "  factors: [site]",
        "  factors: [site]\n  method: combat\n  fit_on: harmonised\n  accept_anticonservative: true",
    )
    remedy = "add `+ site` or `+ (1 | site)`"
    problem(files, row=22, column="models.plain.formula", value="~ arm", remedy=remedy)
    files.edit('"~ arm"', '"~ arm + site"')
    assert load(files.config).batch.fit_on == "harmonised"


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
