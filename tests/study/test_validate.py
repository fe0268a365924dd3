from __future__ import annotations

import pytest

from mixflow import resources
from mixflow.study.validate import validate


def only(files, data=False):
    found = validate(files.config, data=data)
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_wrong(files):
    assert validate(files.config) == [] and validate(files.config, data=True) == []


def test_embedded_study_with_its_data():
    assert validate(resources.root() / "config" / "config.yaml", data=True) == []


MODELS = {
    "unknown column": (
        '"~ arm"',
        '"~ arm + agee"',
        19,
        "models.plain.formula",
        "agee",
        "age",
    ),
    "formula that does not parse": (
        '"~ arm"',
        '"~ (1 | "',
        19,
        "models.plain.formula",
        "(",
        None,
    ),
    "no tilde": (
        '"~ arm"',
        '"arm"',
        19,
        "models.plain.formula",
        "arm",
        "~",
    ),
    "response": (
        '"~ arm"',
        '"age ~ arm"',
        19,
        "models.plain.formula",
        "age",
        "left side empty",
    ),
    "unknown level": (
        "[drug, placebo]",
        "[drug, placbo]",
        17,
        "models.main.contrasts.effect",
        "placbo",
        "placebo",
    ),
    "unknown contrast column": (
        "{arm: [drug, placebo]}",
        "{sex: all pairs}",
        17,
        "models.main.contrasts.effect",
        "sex",
        None,
    ),
    "levels of a number": (
        "{arm: [drug, placebo]}",
        "{age: [old, young]}",
        17,
        "models.main.contrasts.effect",
        "old",
        None,
    ),
    "unknown level of at": (
        "[drug, placebo]}",
        "[drug, placebo], at: {arm: x}}",
        17,
        "models.main.contrasts.effect",
        None,
        None,
    ),
    "unknown include column": (
        '"~ arm"',
        '"~ arm"\n    include: {sits: Ulm}',
        20,
        "models.plain.include.sits",
        "sits",
        "did you mean `site`",
    ),
    "unknown exclude level": (
        '"~ arm"',
        '"~ arm"\n    exclude: {site: Ulmm}',
        20,
        "models.plain.exclude.site",
        "Ulmm",
        "did you mean `Ulm`",
    ),
    "text for a number": (
        '"~ arm"',
        '"~ arm"\n    exclude: {age: old}',
        20,
        "models.plain.exclude.age",
        "old",
        "name numbers",
    ),
    "nothing left": (
        '"~ arm"',
        '"~ arm"\n    include: {age: 99}',
        19,
        "models.plain.formula",
        "~ arm",
        "include",
    ),
    "one level left": (
        '"~ arm"',
        '"~ arm"\n    include: {arm: drug}',
        19,
        "models.plain.formula",
        "drug",
        None,
    ),
    "unknown batch factor": (
        "[site]",
        "[sites]",
        12,
        "batch.factors",
        "sites",
        "did you mean `site`",
    ),
    "number as batch": (
        "[site]",
        "[age]",
        12,
        "batch.factors",
        "age",
        "type: factor",
    ),
    "unknown kept column": (
        "[site]",
        "[site]\n  keep: [armm]",
        13,
        "batch.keep",
        "armm",
        "did you mean `arm`",
    ),
    "log2 of log2": (
        "batch:",
        "preprocess: {transform: log2}\nbatch:",
        11,
        "preprocess.transform",
        "log2",
        "none",
    ),
    "sums of log2": (
        "batch:",
        "preprocess: {normalise: total_sum}\nbatch:",
        11,
        "preprocess.normalise",
        "total_sum",
        "normalise",
    ),
    "no data file": (
        "files: data.csv",
        "files: dat.csv",
        3,
        "data.files",
        None,
        "data_root",
    ),
    "no sheet": (
        "file: sheet.tsv",
        "file: sheat.tsv",
        6,
        "samples.file",
        None,
        "data_root",
    ),
    "filter by a number": (
        "batch:",
        "preprocess: {filters: {min_observed_by: {factor: age, fraction: 0.5}}}\nbatch:",
        11,
        "preprocess.filters.min_observed_by.factor",
        "age",
        "type: factor",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_hostile_study(files, name):
    old, new, row, column, value, remedy = MODELS[name]
    found = only(files.edit(old, new))
    assert found.file == str(files.config)
    assert (found.row, found.column) == (row, column), found
    assert value is None or found.value == value, found
    assert found.remedy and (remedy is None or remedy in found.remedy), found


def test_names_that_need_backticks(files):
    files.column("egfr-mut", lambda i: "ab"[i // 2 % 2]).edit('"~ arm"', '"~ arm + egfr-mut"')
    found = only(files)
    assert (found.row, found.column, found.value) == (19, "models.plain.formula", "egfr-mut")
    assert "`egfr-mut`" in found.remedy
    assert validate(files.edit("egfr-mut", "`egfr-mut`").config) == []


def test_unit_that_repeats_without_a_term(files):
    files.edit("  id: sample", "  id: sample\n  unit: patient")
    found = validate(files.config)
    assert [(p.row, p.column) for p in found] == [(16, "models.main.formula"), (20, "models.plain.formula")]
    assert found[0].value == "P0" and "(1 | patient)" in found[0].remedy
    files.edit("unit: patient", "unit: {column: patient, allow_repeats: true}")
    assert validate(files.config) == []


@pytest.mark.parametrize("term", ["(1 | patient)", "patient", "(arm | patient)", "(1 | site/patient)"])
def test_unit_with_a_term(files, term):
    files.edit("  id: sample", "  id: sample\n  unit: patient")
    files.edit("+ (1 | site)", f"+ {term}").edit('"~ arm"', f'"~ arm + {term}"')
    assert not [p for p in validate(files.config) if "independent unit" in p.message]


def test_batch_aliased_with_the_condition(files):
    for i in range(12):
        files.cell(i + 2, "site", "AB"[i % 2])
    found = validate(files.config)
    assert found and {(p.row, p.column, p.value) for p in found} == {(12, "arm", "site")}
    assert "exactly aliased" in found[0].message and "'arm'" in found[0].remedy


def test_batch_as_a_fixed_effect_aliased_with_the_design(files):
    for i in range(12):
        files.cell(i + 2, "site", ["A1", "B1", "A2", "B2"][i % 4])
    files.edit("~ arm + age + (1 | site)", "~ arm + age + site")
    found = only(files)
    assert (found.row, found.column) == (15, "models.main.formula") and "site" in found.value
    assert "(1 | batch)" in found.remedy
    assert validate(files.edit("+ age + site", "+ age + (1 | site)").config) == []


def test_annotation_without_the_label(files):
    (files.folder / "features.tsv").write_text("feature\tgene\nF1\tA\n")
    files.edit("  scale: log2", "  scale: log2\n  features: features.tsv")
    found = only(files)
    assert (found.file, found.column) == (str(files.folder / "features.tsv"), "name")
    assert "gene" in found.remedy
    assert validate(files.edit("batch:", "report: {label: gene}\nbatch:").config) == []


def test_features_and_label_of_the_report_are_those_of_the_data(files):
    files.edit("batch:", "report:\n  features: [F1, f2, zz]\n  label: gene\nbatch:")
    assert validate(files.config) == []
    found = validate(files.config, data=True)
    assert [(p.file, p.row, p.column, p.value) for p in found] == [
        (str(files.config), 12, "report.features", "f2"),
        (str(files.config), 12, "report.features", "zz"),
        (str(files.config), 13, "report.label", "gene"),
    ]
    assert "did you mean `F2`?" in found[0].remedy and "there are: F1, F2" in found[1].remedy
    assert "there are: name" in found[2].remedy
    (files.folder / "features.tsv").write_text("feature\tgene\nF1\tA\nF2\tzz\nF3\tf2\n")
    files.edit("  scale: log2", "  scale: log2\n  features: features.tsv")
    assert only(files, data=True).value == "f2"  # the name of a feature that the data do not have


def test_samples_without_partner(files):
    text = files.data.read_text().replace("S11,", "S12,")
    files.data.write_text(text)
    assert validate(files.config) == []
    found = validate(files.config, data=True)
    assert [(p.file, p.value) for p in found] == [(str(files.data), ["S12"]), (str(files.sheet), ["S11"])]


def test_no_join_while_ids_have_problems(files):
    found = only(files.cell(5, "sample", "S0"), data=True)
    assert (found.row, found.value) == (5, "S0") and "twice" in found.message
    assert validate(files.cell(5, "sample", "S3 ").config, data=True) == []


def test_scale_that_nobody_says(files):
    found = only(files.edit("  scale: log2\n", ""), data=True)
    assert (found.row, found.column) == (2, "data.scale") and "log2" in found.remedy


@pytest.mark.parametrize(
    ("transform", "zero", "column", "said"),
    [
        ("log2", "", "preprocess.transform", "log2 needs values above 0. Feature F1, sample S3."),
        ("logit", "", "preprocess.transform", "logit needs values between 0 and 1"),
        (
            "logit",
            "{pseudocount: 0.5}",
            "preprocess.zero.pseudocount",
            "The pseudocount must lie between 0 and",
        ),
        ("clr", "", "preprocess.transform", "clr needs values above 0"),
    ],
)
def test_values_that_preprocess_would_refuse(files, transform, zero, column, said):
    ids = [row[0] for row in files.rows[1:]]
    rows = [f"{name},{0 if name == 'S3' else i / 20 + 0.1},0.4" for i, name in enumerate(ids)]
    files.data.write_text("\n".join(["sample,F1,F2", *rows]) + "\n")
    files.edit("scale: log2", "scale: proportion")
    assert validate(files.config, data=True) == []
    rule = f", zero: {zero}" if zero else ""
    files.edit("batch:\n", f"preprocess: {{transform: {transform}{rule}}}\nbatch:\n")
    assert validate(files.config) == [], "only the data tell"
    found = only(files, data=True)
    assert said in found.message and (found.file, found.column) == (str(files.config), column)
    assert found.row == 11


def test_a_sample_without_values_has_no_sum(files):
    ids = [row[0] for row in files.rows[1:]]
    rows = [f"{name},{0 if name == 'S3' else i + 1},0" for i, name in enumerate(ids)]
    files.data.write_text("\n".join(["sample,F1,F2", *rows]) + "\n")
    files.edit("scale: log2", "scale: count")
    found = only(files.edit("batch:\n", "preprocess: {normalise: total_sum}\nbatch:\n"), data=True)
    assert "S3" in found.message and found.column.startswith("preprocess.normalise")


def test_data_that_cannot_be_read(files):
    files.data.write_text(files.data.read_text().replace("S3,13", "S3,#NAME?"))
    found = only(files, data=True)
    assert (found.file, found.row, found.column, found.value) == (str(files.data), 5, "F1", "#NAME?")


def test_columns_of_the_data_serve_where_there_is_no_sheet(files):
    lines = [
        "sample,arm,age,site,F1,F2",
        *(f"S{i},{'pd'[i % 2]},{i}.5,{'ABC'[i // 4]},{10 + i}.1,{20 - i}.3" for i in range(12)),
    ]
    files.data.write_text("\n".join(lines) + "\n")
    files.edit("  file: sheet.tsv\n", "").edit("  id: sample\n", "")
    files.edit("  scale: log2", "  scale: log2\n  options: {sample_columns: [arm, age, site]}")
    assert validate(files.config) == [] and validate(files.config, data=True) == []
    files.edit('"~ arm"', '"~ arm + sex"')
    assert validate(files.config) == []  # which columns there are is known with the data only
    assert only(files, data=True).value == "sex"


def test_everything_at_once(files):
    files.edit("study: small", "study: small\nreprot: {}").edit("[drug, placebo]", "[drug, placbo]")
    files.edit('"~ arm"', '"~ arm + agee"').cell(5, "site", "Kiel ").column("x", lambda i: "1")
    files.edit("[site]", "[site, plate]")
    found = {(p.file.rsplit("/")[-1], p.row, p.value) for p in validate(files.config)}
    assert found == {
        ("config.yaml", 2, "reprot"),
        ("config.yaml", 13, "plate"),
        ("config.yaml", 20, "agee"),
        ("sheet.tsv", 5, "Kiel "),
    }
    files.cell(5, "site", "Kiel")
    assert "placbo" in {p.value for p in validate(files.config)}


def test_file_that_is_no_yaml(files):
    files.config.write_text("a: [")
    assert only(files).row is not None
