"""What each format means: missing values, exclusions, annotation, and tables that must be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mixflow.errors import MixflowError
from mixflow.store import readers
from mixflow.store.readers.lineage import short_name

Write = Callable[..., Path]
PEPTIDES = "Sequence\tProteins\tLeading razor protein\tGene names\tIntensity\t"


def test_maxquant_zero_is_missing_and_flags_drop(write: Write) -> None:
    head = PEPTIDES + "Intensity a\tIntensity b\tReverse\tPotential contaminant\tOnly identified by site\n"
    rows = [
        "AAK\tP1;P2\tP1\tG1\t9\t5\t0\t\t\t",
        "CCK\tP3\tP3\t\t9\t5\t4\t+\t\t",
        "DDK\tP4\tP4\tG4\t9\t5\t4\t\t+\t",
        "EEK\tP5\tP5\tG5\t9\t5\t4\t\t\t+",
        "FFK\tCON__P6\tCON__P6\tG6\t9\t5\t4\t\t\t",
        "GGK\tREV__P7\tREV__P7\t\t9\t5\t4\t\t\t",
    ]
    path = write(head + "\n".join(rows) + "\n")
    assert readers.sniff(path) == "maxquant-peptides"
    raw = readers.read([path])
    assert raw.feature_ids == ("AAK",) and raw.sample_ids == ("a", "b")
    np.testing.assert_array_equal(raw.values, [[5, np.nan]])
    assert raw.dropped == {
        "decoy": ["CCK", "GGK"],
        "contaminant": ["DDK", "FFK"],
        "only identified by site": ["EEK"],
    }
    row = raw.features.loc["AAK"]
    assert (row["name"], row["gene"], row["protein"], row["proteins"]) == ("G1", "G1", "P1", "P1;P2")
    assert any("2 feature(s) dropped: decoy." in note for note in raw.notes)


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        ("Intensity L a\tIntensity H a", "Intensity L a"),
        ("Reporter intensity 1\tIntensity a", "Reporter intensity 1"),
        ("Ratio H/L a\tIntensity a", "Ratio H/L a"),
    ],
)
def test_labelled_maxquant_is_refused(columns: str, column: str, write: Write, refused: Callable) -> None:
    problem = refused(write(f"{PEPTIDES}{columns}\nAAK\tP1\tP1\tG\t9\t1\t2\n"), "maxquant-peptides")
    assert problem.column == column and "labelled" in problem.message
    assert problem.remedy is not None and "data.options.intensity" in problem.remedy


def test_maxquant_of_a_single_run(write: Write, refused: Callable) -> None:
    path = write(PEPTIDES.rstrip() + "\nAAK\tP1\tP1\tG\t9\n")
    assert readers.sniff(path) == "maxquant-peptides"
    problem = refused(path)
    assert "no column of intensities" in problem.message and problem.value == "auto"


def test_maxquant_needs_its_id(write: Write, refused: Callable) -> None:
    problem = refused(write("protein\tIntensity a\nP1\t1\n"), "maxquant-proteins")
    assert "'Majority protein IDs'" in problem.message and problem.remedy == "Set data.options.id."


DIANN = "Protein.Group\tGenes\tFirst.Protein.Description\t"


def test_diann_run_names_contaminants_and_zeros(write: Write) -> None:
    path = write(
        DIANN + "C:\\x\\run1.raw\t/data/run2.d\tD:\\y\\run.3.mzML\n"
        "P1\tG1;G2\td\t1\t\t0\nP2\t\td\t1\t2\t3\nCont_P3\t\td\t1\t2\t3\ncontam_sp|P4|X;P5\t\td\t1\t2\t3\n"
    )
    assert readers.sniff(path) == "diann-matrix"
    raw = readers.read([path])
    assert raw.sample_ids == ("run1", "run2", "run.3")
    assert raw.samples["path"].tolist() == ["C:\\x\\run1.raw", "/data/run2.d", "D:\\y\\run.3.mzML"]
    np.testing.assert_array_equal(raw.values, [[1, np.nan, np.nan], [1, 2, 3]])
    assert raw.features["name"].tolist() == ["G1", "P2"]
    assert raw.dropped == {"contaminant": ["Cont_P3", "contam_sp|P4|X;P5"]}


def test_long_reports_are_not_taken_for_matrices(write: Write, refused: Callable) -> None:
    path = write(
        "File.Name\tRun\tProtein.Group\tGenes\tProtein.Names\tPrecursor.Id\tPrecursor.Normalised\tRT\n"
        "C:\\r.raw\tr\tP1\tG\tN\tAAK2\t5\t1.5\n"
    )
    problem = refused(path)
    assert problem.column == "Precursor.Normalised" and "DIA-NN's long report" in problem.message
    assert problem.remedy is not None and "data.format to long" in problem.remedy
    roles = {"sample": "Run", "feature": "Precursor.Id", "value": "Precursor.Normalised"}
    assert readers.read([path], "long", roles).values.tolist() == [[5.0]]


def test_otu_table_as_text(write: Write) -> None:
    """`biom convert --to-tsv` writes a comment, a header that begins with # and the taxonomy last."""
    path = write(
        "# Constructed from biom file\n#OTU ID\ts1\ts2\ttaxonomy\n"
        "o1\t1.0\t0.0\tk__B; g__Ba; s__\no2\t0.0\t2.0\tk__B; g__Ba; s__\n"
    )
    raw = readers.read([path])
    assert raw.format == "wide" and raw.sample_ids == ("s1", "s2")
    assert raw.features["name"].tolist() == ["Ba (o1)", "Ba (o2)"]
    assert any("1 comment line" in note for note in raw.notes)


def test_diann_runs_of_one_name(write: Write, refused: Callable) -> None:
    problem = refused(write(DIANN + "C:\\x\\run1.raw\tC:\\y\\run1.raw\nP1\tG\td\t1\t2\n"))
    assert (problem.column, problem.value) == ("C:\\y\\run1.raw", "run1")
    assert "'C:\\\\x\\\\run1.raw'" in problem.message and problem.remedy is not None


METAPHLAN = (
    "#mpa_v30_CHOCOPhlAn_201901\nclade_name\tNCBI_tax_id\ts1\ts2\n"
    "sex\t\tF\tM\n"
    "UNKNOWN\t-1\t10\t0\n"
    "k__Bacteria\t2\t90\t100\n"
    "k__Bacteria|p__X|c__X|o__X|f__X|g__Ba|s__Ba_ovatus\t2|9\t60\t0\n"
    "k__Bacteria|p__X|c__X|o__X|f__X|g__Ba|s__Ba_dorei\t2|8\t30\t100\n"
)


def test_metaphlan_profile_at_one_rank(write: Write) -> None:
    path = write(METAPHLAN)
    assert readers.sniff(path) == "metaphlan"
    raw = readers.read([path])
    assert raw.scale == "proportion"
    np.testing.assert_allclose(raw.values, [[0.6, 0], [0.3, 1]])
    assert raw.features["name"].tolist() == ["Ba ovatus", "Ba dorei"]
    assert raw.features["NCBI_tax_id"].tolist() == ["2|9", "2|8"]
    assert raw.samples["sex"].tolist() == ["F", "M"]
    assert raw.dropped == {"unclassified": ["UNKNOWN"], "not of rank species": ["k__Bacteria"]}
    kingdoms = readers.read([path], options={"rank": "kingdom"})
    assert kingdoms.feature_ids == ("k__Bacteria",)


def test_metaphlan_without_the_rank(write: Write, refused: Callable) -> None:
    problem = refused(write(METAPHLAN), rank="genus")
    assert (problem.column, problem.value) == ("data.options.rank", "genus")
    assert problem.remedy is not None and "kingdom, species" in problem.remedy


def test_metaphlan_counts_are_no_percentages(write: Write, refused: Callable) -> None:
    problem = refused(write(METAPHLAN.replace("\t60\t", "\t6000\t")))
    assert problem.value == 6000.0 and "above 100 percent" in problem.message


def test_metaphlan_bad_cell_keeps_its_row(write: Write, refused: Callable) -> None:
    problem = refused(write(METAPHLAN.replace("\t60\t", "\tsixty\t")))
    assert (problem.row, problem.column, problem.value) == (6, "s1", "sixty")


def test_maaslin_scales(write: Write) -> None:
    path = write("A\tB\ns1\t1\t2\ns2\t3\t4\n")
    raw = readers.read([path], "metaphlan")
    assert (raw.scale, raw.feature_ids, raw.sample_ids) == ("count", ("A", "B"), ("s1", "s2"))
    raw = readers.read([write("A\tB\ns1\t0.5\t-2\ns2\t3\t4\n")], "metaphlan")
    assert raw.scale is None


def biom_json(data: list, taxonomy: object) -> str:
    rows = [{"id": "asv1", "metadata": {"taxonomy": taxonomy}}, {"id": "asv2", "metadata": None}]
    return json.dumps(
        {
            "id": None, "format": "Biological Observation Matrix 1.0.0", "format_url": "http://biom-format.org",
            "type": "OTU table", "generated_by": "test", "date": "2020-01-01T00:00:00",
            "matrix_type": "sparse",
            "matrix_element_type": "float", "shape": [2, 2], "rows": rows,
            "columns": [
                {"id": "s1", "metadata": {"site": "gut"}}, {"id": "s2", "metadata": {"site": "skin"}},
            ],
            "data": data,
        }
    )  # fmt: skip


@pytest.mark.parametrize("taxonomy", [["k__Bacteria", "g__Ba", "s__"], "k__Bacteria; g__Ba; s__"])
def test_biom_json(taxonomy: object, write: Write) -> None:
    path = write(biom_json([[0, 0, 3], [1, 1, 4]], taxonomy), "t.biom")
    assert readers.sniff(path) == "biom"
    raw = readers.read([path])
    np.testing.assert_array_equal(raw.values, [[3, 0], [0, 4]])
    assert raw.scale == "count"
    assert raw.features["name"].tolist() == ["Ba", "asv2"]
    assert raw.features.loc["asv1", "lineage"] == "k__Bacteria; g__Ba; s__"
    assert raw.samples["site"].tolist() == ["gut", "skin"]


def test_biom_without_a_scale(write: Write) -> None:
    raw = readers.read([write(biom_json([[0, 0, 0.3], [1, 1, 4]], []), "t.biom")])
    assert raw.scale is None


def test_damaged_biom(write: Write, refused: Callable) -> None:
    path = write(b"\x89HDF\r\n\x1a\n" + b"x" * 100, "t.biom")
    problem = refused(path)
    assert problem.file == str(path) and "BIOM table cannot be read" in problem.message


def test_biom_dates_and_infinities(write: Write, refused: Callable) -> None:
    text = biom_json([[0, 0, 3]], [])
    problem = refused(write(text.replace('"asv1"', '"2-Mar"')))
    assert problem.value == "2-Mar" and problem.remedy is not None
    problem = refused(write(text.replace("[0, 0, 3]", "[0, 0, Infinity]")))
    assert problem.column == "s1" and "infinite" in problem.message and "'asv1'" in problem.message


LONG = "sample\tfeature\tvalue\tbatch\tgene\nx\tA\t1\tb1\tG1\nx\tB\t2\tb1\tG2\ny\tA\t3\tb2\tG1\n"


def test_long_table(write: Write) -> None:
    path = write(LONG)
    assert readers.sniff(path) == "long"
    raw = readers.read([path])
    np.testing.assert_array_equal(raw.values, [[1, 3], [2, np.nan]])
    assert raw.features["name"].tolist() == ["G1", "G2"]
    assert raw.samples["batch"].to_dict() == {"x": "b1", "y": "b2"}


def test_long_repeated_pair(write: Write, refused: Callable) -> None:
    problem = refused(write(LONG + "y\tA\t9\tb2\tG1\n"))
    assert (problem.row, problem.column, problem.value) == (5, "value", "9")
    assert "row 4 already" in problem.message and "'A'" in problem.message
    assert problem.remedy is not None and "data.options.feature" in problem.remedy


def test_long_with_columns_of_ones_own(write: Write, refused: Callable) -> None:
    path = write(LONG.replace("sample", "who").replace("feature", "what").replace("value", "much"))
    problem = refused(path, "long")
    assert "sample and the value and the feature" in problem.message
    raw = readers.read([path], "long", {"sample": "who", "feature": ["what", "gene"], "value": "much"})
    assert raw.feature_ids == ("A_G1", "B_G2")
    problem = refused(path, "long", sample=["who", "batch"], feature="what", value="much")
    assert (problem.column, problem.value) == ("data.options.sample", ["who", "batch"])


def test_long_columns_that_should_be_constant(write: Write, refused: Callable) -> None:
    problem = refused(write(LONG), sample_columns=["gene"])
    assert (problem.row, problem.column, problem.value) == (3, "gene", "G2")


def test_long_empty_ids_and_dates(write: Write, refused: Callable) -> None:
    problem = refused(write(LONG + "\tA\t9\tb2\tG1\n"))
    assert (problem.row, problem.column) == (5, "sample")
    problem = refused(write(LONG.replace("\tB\t", "\t1-Sep\t")))
    assert (problem.row, problem.column, problem.value) == (3, "feature", "1-Sep")


def test_orientation_by_known_samples(write: Write) -> None:
    path = write("x\tA\tB\ns1\t1\t2\ns2\t3\t4\n")
    rows = readers.read([path], options={"sample_ids": ["s1", "s2", "s3"]})
    assert rows.sample_ids == ("s1", "s2")
    columns = readers.read([path], options={"sample_ids": ["A"]})
    assert columns.sample_ids == ("A", "B")
    np.testing.assert_array_equal(rows.values, columns.values.T)


def test_annotation_columns_and_features_by_name(write: Write) -> None:
    path = write("gene\tlength\tnote\ts1\tnothing\nA\t10\tx\t1\t\nB\t20\ty\t2\t\n")
    raw = readers.read([path], options={"annotation": ["length"], "sample_ids": ["s1"]})
    assert raw.sample_ids == ("s1",)
    assert raw.features[["length", "note", "nothing"]].loc["B"].tolist() == ["20", "y", ""]
    path = write("sample\tage\tfA\tfB\nx\t50\t1\t2\ny\t60\t3\t4\n")
    for features in ("^f", ["fA", "fB"]):
        raw = readers.read([path], options={"features": features})
        assert raw.feature_ids == ("fA", "fB") and raw.samples["age"].tolist() == ["50", "60"]


def test_files_are_joined_by_feature_and_sample(write: Write) -> None:
    one = write("gene\ts1\ts2\nA\t1\t2\nB\t3\t4\n", "one.tsv")
    two = write("gene\ts3\nB\t5\nC\t6\n", "two.tsv")
    raw = readers.read([one, two])
    assert raw.feature_ids == ("A", "B", "C") and raw.sample_ids == ("s1", "s2", "s3")
    nan = np.nan
    np.testing.assert_array_equal(raw.values, [[1, 2, nan], [3, 4, 5], [nan, nan, 6]])
    assert tuple(raw.features.index) == raw.feature_ids and tuple(raw.samples.index) == raw.sample_ids
    assert any("2 files were joined" in note and "1 in every file" in note for note in raw.notes)


def test_files_that_give_a_value_twice(write: Write) -> None:
    one = write("gene\ts1\nA\t1\n", "one.tsv")
    two = write("gene\ts1\nA\t2\n", "two.tsv")
    with pytest.raises(MixflowError) as caught:
        readers.read([one, two])
    problem = caught.value.problems[0]
    assert (problem.file, problem.column, problem.value) == (str(two), "s1", 2.0)
    assert "one.tsv" in problem.message and problem.remedy is not None


def test_files_of_two_formats(write: Write) -> None:
    with pytest.raises(MixflowError) as caught:
        readers.read([write("gene\ts1\nA\t1\n", "one.tsv"), write(LONG, "two.tsv")])
    assert "this is long, but one.tsv is wide" in caught.value.problems[0].message


def test_files_on_two_scales(write: Write) -> None:
    one = write(biom_json([[0, 0, 3]], []), "one.biom")
    two = write(biom_json([[0, 0, 0.3]], []).replace('"s1"', '"s9"').replace('"s2"', '"s8"'), "two.biom")
    with pytest.raises(MixflowError) as caught:
        readers.read([one, two])
    assert "another scale" in caught.value.problems[0].message


def test_pyradiomics_without_unique_rows(write: Write, refused: Callable) -> None:
    head = "Patient,original_shape_A,original_shape_B,original_shape_C\n"
    problem = refused(write(head + "a,1,2,3\na,4,5,6\n"))
    assert "unique" in problem.message
    assert problem.remedy is not None and "data.options.id" in problem.remedy
    assert readers.read([write(head + "a,1,2,3\nb,4,5,6\n")], options={"id": "Patient"}).sample_ids == (
        "a",
        "b",
    )


@pytest.mark.parametrize(
    ("lineage", "name"),
    [
        ("k__Bacteria;p__F;c__B;o__L;f__S;g__Streptococcus;s__", "Streptococcus"),
        ("k__Bacteria|p__F|g__Ba|s__Ba_ovatus", "Ba ovatus"),
        ("k__Bacteria; g__Ba; s__ovatus", "Ba ovatus"),
        ("k__Bacteria;p__Firmicutes;c__;o__", "p__Firmicutes"),
        ("k__Bacteria;__;__", "k__Bacteria"),
        ("Unassigned;__;__", "Unassigned"),
        ("__;__", "__;__"),
    ],
)
def test_names_of_lineages(lineage: str, name: str) -> None:
    assert short_name(lineage) == name
