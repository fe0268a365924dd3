from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.study import guess
from mixflow.study.config import load
from mixflow.study.init import init
from mixflow.study.validate import validate
from tests.pipeline import counts


def test_table_and_sheet(files, tmp_path):
    written = init(files.data, files.sheet, tmp_path / "new")
    assert [path.name for path in written] == ["config.yaml"]
    study = load(written[0])
    assert study.headline.formula == "~ arm + age + (1 | site) + (1 | patient)"
    assert (
        study.samples.unit == "patient" and study.batch.factors == ("site",) and study.samples.id == "sample"
    )
    assert study.samples.columns["arm"].levels == ("d", "p") and study.data.scale == "log2"
    text = written[0].read_text(encoding="utf-8")
    assert text.count("# please check") > 8 and "# Reference level" not in text
    assert validate(written[0], data=True) == []


def test_without_a_sheet_a_skeleton_is_written(files, tmp_path):
    config, skeleton = init(files.data, None, tmp_path / "new")
    lines = skeleton.read_text().splitlines()
    assert lines[0] == "sample\tcondition" and lines[1:] == [f"S{i}\t" for i in range(12)]
    assert load(config).headline.formula == "~ condition"
    (found,) = validate(config, data=True)
    assert (found.file, found.row, found.column) == (
        str(skeleton),
        2,
        "condition",
    ) and "fill it in" in found.remedy
    filled = [lines[0], *(line + "ab"[i % 2] for i, line in enumerate(lines[1:]))]
    skeleton.write_text("\n".join(filled) + "\n")
    assert validate(config, data=True) == []


def test_nothing_is_overwritten(files, tmp_path):
    folder = tmp_path / "new"
    init(files.data, None, folder)
    before = (folder / "samples.tsv").read_bytes()
    with pytest.raises(MixflowError) as caught:
        init(files.data, files.sheet, folder)
    assert caught.value.problems[0].file == str(folder / "config.yaml")
    (folder / "config.yaml").unlink()
    with pytest.raises(MixflowError) as caught:
        init(files.data, None, folder)
    assert (
        caught.value.problems[0].value == "samples.tsv"
        and "another folder" in caught.value.problems[0].remedy
    )
    assert (folder / "samples.tsv").read_bytes() == before and not (folder / "config.yaml").exists()


def test_raw_table_with_sample_columns_in_it(shared_data, tmp_path):
    (config,) = init(shared_data / "proteomics" / "alzheimer_csf_proteins.csv", None, tmp_path)
    study = load(config)
    assert study.data.options["sample_columns"] == ["AD", "age", "male", "collection_site"]
    assert study.headline.formula == "~ AD + age + male + (1 | collection_site)"
    assert validate(config, data=True) == []


TABLES = {
    "hmp2": (
        "microbiome/hmp2_maaslin2_taxonomy.tsv",
        "microbiome/hmp2_maaslin2_metadata.tsv",
        "~ diagnosis + age + (1 | site) + (1 | subject)",
        "proportion",
    ),
    "cptac": (
        "proteomics/cptac_study6_peptides200.txt.gz",
        "proteomics/cptac_study6_peptides200_annotation.tsv",
        "~ condition + (1 | lab)",
        "intensity",
    ),
    "ccr1": (
        "radiomics/ccr1_ct_phantom_pyradiomics.csv.gz",
        None,
        "~ 1 + (1 | Scanner) + (1 | Patient)",
        "free",
    ),
    "diann": (
        "proteomics/staes2024_diann_ups2_yeast_pg_matrix.tsv",
        None,
        "~ condition",
        "intensity",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_real_tables(shared_data, tmp_path, name):
    table, sheet, formula, scale = TABLES[name]
    written = init(shared_data / table, shared_data / sheet if sheet else None, tmp_path)
    study = load(written[0])
    assert study.headline.formula == formula and study.data.scale == scale
    found = validate(written[0], data=True)
    assert [p.column for p in found] == (["condition"] if len(written) == 2 else [])


def test_table_that_cannot_be_read(files, tmp_path):
    files.data.write_text("")
    with pytest.raises(MixflowError) as caught:
        init(files.data, None, tmp_path / "new")
    assert caught.value.problems[0].file == str(files.data) and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([[0.0, 3.0]], "count"),
        ([[0.5, np.nan]], "proportion"),
        ([[22.1, 18.5]], "log2"),
        ([[1e6, 2.5]], "intensity"),
        ([[-1.0, 2.0]], "free"),
        ([[np.nan]], "free"),
    ],
)
def test_scale_that_values_look_like(values, scale):
    assert guess.scale(np.array(values)) == scale


def test_guessed_roles_and_names_with_backticks():
    kind = ["QC", "blank", *["s"] * 6]
    text = pd.DataFrame({"type": kind, "disease state": list("xxababab"), "batch-id": list("12121212")})
    found = guess.model(text.rename(columns={"disease state": "group", "batch-id": "my batch"}))
    assert found.role == {"column": "type", "qc": ["QC"], "blank": ["blank"]}
    assert found.formula == "~ group + (1 | `my batch`)" and found.columns["group"]["levels"] == ["a", "b"]


def test_a_first_column_that_is_no_id_is_passed_over_for_one_that_is(tmp_path):
    rows = ["gene\tprotein\tS1\tS2\tS3\tS4"]
    rows += [f"{gene}\tP{i}\t20.1\t21.2\t22.3\t23.{i}" for i, gene in enumerate(["ALB", "", "APOE", "ALB"])]
    table = tmp_path / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    config, _ = init(table, None, tmp_path / "new")
    assert load(config).data.options == {"id": "protein", "orientation": "samples_in_columns"}
    table.write_text("\n".join(rows).replace("P3", "P2") + "\n")
    with pytest.raises(MixflowError) as caught:
        init(table, None, tmp_path / "newer")
    assert {(problem.row, problem.column) for problem in caught.value.problems} >= {(3, "gene")}


def test_large_whole_numbers_without_a_zero_are_intensities():
    counts = np.array([[20_000.0, 5_000.0, 80_000.0], [60_000.0, 90_000.0, 11_000.0]])
    assert guess.scale(counts) == "intensity"
    counts[0, 1] = 0
    assert guess.scale(counts) == "count" and guess.scale(counts + 1) == "intensity"
    assert guess.scale(counts // 100 + 1) == "count"


def wide(path, week, count=5, n=24):
    """A table with samples in rows: id, arm, week, `count` measurements."""
    header = ["sample", "Arm", "Week", *(f"F{j}" for j in range(count))]
    rows = [
        [f"S{i}", "ab"[i % 2], week(i), *(f"{20 + i / 7 + j:.3f}" for j in range(count))] for i in range(n)
    ]
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


def test_a_number_of_few_values_beside_the_text_describes_samples(tmp_path):
    (config,) = init(wide(tmp_path / "t.csv", lambda i: 4 * (i // 2 % 3)), None, tmp_path / "new")
    assert load(config).data.options["sample_columns"] == ["Arm", "Week"]
    line = "    sample_columns: [Arm, Week]  # please check: measurements begin at `F0`, `F1`, `F2`"
    assert line in config.read_text().splitlines()
    assert validate(config, data=True) == []


def test_a_number_of_many_values_is_a_measurement_and_is_named(tmp_path):
    (config,) = init(wide(tmp_path / "t.csv", lambda i: i / 4), None, tmp_path / "new")
    assert load(config).data.options["sample_columns"] == ["Arm"]
    assert "sample_columns: [Arm]  # please check: measurements begin at `Week`, `F0`" in config.read_text()


def test_sample_columns_are_written_where_there_are_none(files, tmp_path):
    (config,) = init(files.data, files.sheet, tmp_path / "new")
    assert "sample_columns: []  # please check: measurements begin at `F1`, `F2`" in config.read_text()
    assert load(config).data.options["sample_columns"] == []


def test_few_values_everywhere_tell_nothing():
    cells = pd.DataFrame({"Arm": list("ab" * 20), **{f"F{j}": ["0", "1"] * 20 for j in range(9)}})
    assert guess.sample_columns(cells, ["Arm"]) == ["Arm"]
    cells["text"] = "x"  # a text column behind the measurements
    assert guess.sample_columns(cells, ["Arm", "text"]) == ["Arm", "text"]


def test_counts_are_given_a_family_and_the_size_of_their_library(tmp_path):
    counts.write(tmp_path / "old")
    (config,) = init(tmp_path / "old" / "table.tsv", tmp_path / "old" / "samples.tsv", tmp_path / "new")
    model = load(config).headline
    assert model.family == "nbinom2" and model.formula.endswith("+ offset(log(library_size))")
    assert load(config).preprocess.transform == "none"
    text = config.read_text(encoding="utf-8")
    assert "family: nbinom2  # please check: counts; for a linear model of log-ratios" in text
    assert validate(config, data=True) == []
