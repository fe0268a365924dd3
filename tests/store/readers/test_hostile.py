"""Hostile files: each refused with file, row, column, value and a way out, or read right with a note."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.store import readers

Write = Callable[..., Path]
Refused = Callable[..., "readers.raw.Problem"]

GOOD = "gene\ts1\ts2\nA\t1.5\t2\nB\t3\t4\n"

# name of the case: (content, options, row, column, value, part of the message, part of the remedy)
REFUSED: dict[str, tuple[str | bytes, dict, int | None, str | None, object, str, str]] = {
    "ragged": (
        "gene\ts1\ts2\nA\t1\t2\nB\t3\n", {}, 3, None, 2, "2 fields where the others have 3", "3 fields",
    ),
    "too long": ("gene,s1,s2\nA,1,2\nB,3,4\nC,1,2,9\n", {}, 4, None, 4, "4 fields", "3 fields"),
    "excel error": (
        "gene\ts1\ts2\nA\t1\t#NAME?\nB\t3\t4\n", {}, 2, "s2", "#NAME?", "Excel error", "formula",
    ),
    "text": ("gene\ts1\ts2\nA\t1\tn.d.\nB\t3\t4\n", {}, 2, "s2", "n.d.", "text in a cell", "data.options.na"),
    "infinite": ("gene\ts1\nA\t1\nB\t-inf\n", {}, 3, "s1", "-inf", "infinite", "Leave the cell empty"),
    "too large": ("gene\ts1\nA\t1\nB\t23e0779\n", {}, 3, "s1", "23e0779", "too large", "empty"),
    "underscore": ("gene\ts1\nA\t1_000\nB\t2\n", {}, 2, "s1", "1_000", "text in a cell", "Correct"),
    "other digits": ("gene\ts1\nA\t١٢\nB\t2\nC\t3\n", {}, 2, "s1", "١٢", "text in a cell", "Correct"),
    "ambiguous comma": (
        "gene;s1;s2\nA;1,234;5\nB;2;3\n", {}, 2, "s1", "1,234", "thousands", "data.options.decimal",
    ),
    "mixed signs": ("gene;s1;s2\nA;0,5;1.5\nB;2;3\n", {}, 2, "s1", "0,5", "mixed", "one decimal sign"),
    "thousands": ("gene\ts1\ts2\nA\t1,234.5\t5\nB\t2\t3\n", {}, 2, "s1", "1,234.5", "thousands", "decimal"),
    "point under comma": (
        "gene;s1\nA;1.5\nB;2,5\n", {"decimal": ","}, 2, "s1", "1.5", "text in a cell", "Correct",
    ),
    "repeated feature": (
        "gene\ts1\nA\t1\nB\t2\nA\t3\n", {}, 4, "gene", "A", "of row 2 is repeated", "unique",
    ),
    "repeated sample": (
        "sample,A,B\nx,1,2\ny,1,2\nx,3,4\n", {}, 4, "sample", "x", "of row 2 is repeated", "unique",
    ),
    "repeated column": ("gene\ts1\ts1\nA\t1\t2\n", {}, 1, "s1", "s1", "columns 2 and 3", "unique"),
    "nameless column": ("gene\ts1\t\ts3\nA\t1\t2\t3\n", {}, 1, None, None, "column 3 has no name", "Name it"),
    "empty id": ("gene\ts1\nA\t1\n\t2\n", {}, 3, "gene", "", "no id", "data.options.id"),
    "date feature": ("gene\ts1\nA\t1\n2-Mar\t2\n", {}, 3, "gene", "2-Mar", "date", "MARCHF2"),
    "date feature, other form": ("gene\ts1\nSep-01\t1\n", {}, 2, "gene", "Sep-01", "date", "SEPTIN1"),
    "date and time": (
        "gene\ts1\n2002-03-01 00:00:00\t1\n", {}, 2, "gene", "2002-03-01 00:00:00", "date", "'keep'",
    ),
    "date in the header": ("sample,A,1-Dec\nx,1,2\ny,1,3\n", {}, 1, "1-Dec", "1-Dec", "date", "original"),
    "no value at all": (
        "gene\ts1\ts2\nA\tNA\t\nB\t\tNaN\n", {}, None, None, None, "every cell is missing", "columns",
    ),
    "no rows": ("gene\ts1\ts2\n", {}, None, None, None, "no row below", "at least one row"),
    "only comments": ("# one\n# two\n", {}, None, None, None, "no table", "header"),
    "empty": ("", {}, None, None, None, "empty", "again"),
    "NUL byte": (b"gene\ts1\nA\t1\nB\x00\t2\n", {}, 3, None, None, "NUL", "Export"),
    "parquet": (b"PAR1....", {}, None, None, None, "Parquet", "tab-separated"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1", {}, None, None, None, ".xls", ".xlsx"),
    "cut gzip": (
        gzip.compress(GOOD.encode() * 50)[:-12], {}, None, None, None, "cannot be read", "cut short",
    ),
    "unknown option": (
        GOOD, {"orientated": "x"}, None, "data.options.orientated", "x", "no option", "orientation",
    ),
    "unknown column": (GOOD, {"id": "genes"}, None, "genes", "genes", "does not have", "gene, s1, s2"),
    "unknown choice": (GOOD, {"zero": "gone"}, None, "data.options.zero", "gone", "unknown value", "missing"),
    "orientation": ("x\tA\tB\ns1\t1\t2\ns2\t3\t4\n", {}, None, "x", None, "nothing tells", "orientation"),
    "no numbers": ("gene\tnote\nA\tx\nB\ty\n", {}, None, None, None, "no sample column", "delimiter"),
    "bad contaminants": (
        GOOD, {"contaminants": "yes"}, None, "data.contaminants", "yes", "contaminants", "drop",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_place_and_remedy(name: str, write: Write, refused: Refused) -> None:
    content, options, row, column, value, message, remedy = REFUSED[name]
    path = write(content)
    problem = refused(path, **options)
    assert problem.file == str(path)
    assert problem.row == row
    assert problem.column == column
    assert problem.value == value
    assert message in problem.message
    assert problem.remedy is not None and remedy in problem.remedy


def test_absent_file(tmp_path: Path, refused: Refused) -> None:
    problem = refused(tmp_path / "nowhere.tsv")
    assert problem.file == str(tmp_path / "nowhere.tsv")
    assert "does not exist" in problem.message and problem.remedy is not None


def test_unknown_format(write: Write, refused: Refused) -> None:
    problem = refused(write(GOOD), "maxquant")
    assert (problem.column, problem.value) == ("data.format", "maxquant")
    assert problem.remedy is not None and "maxquant-peptides" in problem.remedy


def test_no_files_at_all() -> None:
    with pytest.raises(MixflowError) as caught:
        readers.read([])
    assert caught.value.problems[0].column == "data.files"


def test_a_single_column_is_no_format(write: Write) -> None:
    path = write("gene\nA\nB\n")
    with pytest.raises(MixflowError) as caught:
        readers.sniff(path)
    problem = caught.value.problems[0]
    assert "tried: biom, pd-psms, maxquant-peptides" in problem.message
    assert problem.file == str(path) and problem.value == "gene"


def test_all_culprits_are_named(write: Write) -> None:
    path = write("gene\ts1\ts2\nA\tx\t1\nB\t2\ty\nC\t3\t4\nD\t3\t4\n")
    with pytest.raises(MixflowError) as caught:
        readers.read([path])
    places = [(problem.row, problem.column, problem.value) for problem in caught.value.problems]
    assert places == [(2, "s1", "x"), (3, "s2", "y")]


def test_row_numbers_survive_blank_lines_comments_and_quotes(write: Write, refused: Refused) -> None:
    problem = refused(write('# made by hand\n\ngene,note,s1\nA,"two\nlines",1\n\nB,x,oops\nC,y,2\nD,z,3\n'))
    assert (problem.row, problem.column, problem.value) == (7, "s1", "oops")


def same(path: Path, **options: object) -> readers.RawTable:
    """Read ``path`` and check that it holds the values of `GOOD`."""
    raw = readers.read([path], options=options)
    assert raw.feature_ids == ("A", "B") and raw.sample_ids == ("s1", "s2")
    np.testing.assert_array_equal(raw.values, [[1.5, 2], [3, 4]])
    return raw


def test_compressed_files_by_content_not_by_name(write: Write, tmp_path: Path) -> None:
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        same(write(compress(GOOD.encode()), "table.tsv"))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("inner/table.tsv", GOOD)
        archive.writestr("__MACOSX/._table.tsv", b"\x00")
    same(tmp_path / "t.zip")


def test_zip_of_two_tables_is_refused(tmp_path: Path, refused: Refused) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.tsv", GOOD)
        archive.writestr("b.tsv", GOOD)
    problem = refused(tmp_path / "t.zip")
    assert "2 files (a.tsv, b.tsv)" in problem.message and problem.remedy == "Unzip it first."


def test_qiime2_artifact_is_named(tmp_path: Path, refused: Refused) -> None:
    with zipfile.ZipFile(tmp_path / "t.qza", "w") as archive:
        archive.writestr("abc/VERSION", "QIIME 2")
        archive.writestr("abc/data/feature-table.biom", b"x")
    problem = refused(tmp_path / "t.qza")
    assert "QIIME 2" in problem.message
    assert problem.remedy == "Unzip it and give abc/data/feature-table.biom."


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.encode("utf-16"),
        GOOD.rstrip("\n").encode(),
        (GOOD + "\n\n").encode(),
        (GOOD + "\t\t\n").encode(),
        GOOD.replace("\t", ",").encode(),
        GOOD.replace("\t", ";").encode(),
        GOOD.replace("\t", ";").replace(".", ",").encode(),
        GOOD.replace("\t", "\t ").encode(),
        b"sep=;\ngene;s1;s2\nA;1.5;2\nB;3;4\n",
        b"# a comment\n#gene\ts1\ts2\nA\t1.5\t2\nB\t3\t4\n",
        b"gene\ts1\ts2\t\nA\t1.5\t2\t\nB\t3\t4\t\n",
        b"gene\ts1\ts2\nA\t1.5\t2\t\nB\t3\t4\t\n",
        b'"gene","s1","s2"\n"A","1.5","2"\n"B","3","4"\n',
        b'gene;s1;s2\nA;"1,5";2\nB;3;4\n',
    ],
    ids=[
        "BOM", "Windows ends", "old Mac ends", "UTF-16", "no last newline", "blank lines", "empty row",
        "commas", "semicolons", "decimal commas", "blanks", "Excel's hint", "comments and # header",
        "trailing tab", "trailing tab in rows",
        "quotes", "quoted decimal comma",
    ],
)  # fmt: skip
def test_read_right(content: bytes, write: Write) -> None:
    same(write(content))


def test_a_table_for_which_there_was_no_memory_is_not_blamed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object) -> None:
        raise pd.errors.ParserError("Error tokenizing data. C error: out of memory")

    monkeypatch.setattr(readers.delimited, "_read_csv", starved)
    with pytest.raises(MemoryError, match="out of memory"):
        readers.read([write(GOOD)])


def test_latin1_is_read_and_noted(write: Write) -> None:
    path = write("gene\ts1\nA\t1\nProteinmenge \xb5g\t2\n".encode("latin-1"))
    raw = readers.read([path])
    assert raw.feature_ids[1] == "Proteinmenge \xb5g"
    assert any("row 3" in note and "Latin-1" in note for note in raw.notes)


def test_header_one_field_short(write: Write) -> None:
    path = write("s1\ts2\nA\t1.5\t2\nB\t3\t4\n")
    raw = same(path, orientation="samples_in_columns")
    assert any("no name" in note for note in raw.notes)


def test_stray_quotes_of_a_table_that_never_quotes(write: Write) -> None:
    path = write('gene\tdescription\ts1\nA\t"5\' end\t1\nB\tx\t2\nC\t3" probe\t3\n')
    raw = readers.read([path])
    assert raw.features["description"].tolist() == ["\"5' end", "x", '3" probe']
    np.testing.assert_array_equal(raw.values[:, 0], [1, 2, 3])


def test_dates_can_be_kept(write: Write) -> None:
    raw = readers.read([write("gene\ts1\n2-Mar\t1\n")], options={"dates": "keep"})
    assert raw.feature_ids == ("2-Mar",)


def test_dates_among_sample_ids_and_shown_names_are_no_error(write: Write) -> None:
    raw = readers.read([write("protein\tGene names\tMar-02\nP1\t2-Mar\t1\n")])
    assert raw.sample_ids == ("Mar-02",)
    assert any("look like dates" in note and "P1" in note for note in raw.notes)


def test_empty_features_and_samples_are_kept_and_noted(write: Write) -> None:
    raw = readers.read([write("gene\ts1\ts2\ts3\nA\t1\t\t2\nB\t\t\t\n")])
    assert raw.values.shape == (2, 3)
    assert any("1 feature(s) have no value at all: B." in note for note in raw.notes)
    assert any("1 sample(s) have no value at all: s2." in note for note in raw.notes)


def test_zero_is_a_value_unless_told(write: Write) -> None:
    path = write("gene\ts1\ts2\nA\t0\t2\n")
    np.testing.assert_array_equal(readers.read([path]).values, [[0, 2]])
    raw = readers.read([path], options={"zero": "missing"})
    np.testing.assert_array_equal(raw.values, [[np.nan, 2]])
    assert any("1 zeros" in note for note in raw.notes)


def test_hash_columns_of_pyradiomics_stay_text(write: Write) -> None:
    header = (
        "Case,diagnostics_Image-original_Hash,original_shape_Volume,original_firstorder_Mean,"
        "wavelet-HHL_glcm_Id"
    )
    path = write(header + "\na,23e0779012345678901234567890,1,2,3\nb,1e99999,4,5,6\n", "r.csv")
    assert readers.sniff(path) == "pyradiomics"
    raw = readers.read([path])
    hashes = raw.samples["diagnostics_Image-original_Hash"].tolist()
    assert hashes == ["23e0779012345678901234567890", "1e99999"]
    assert raw.features["name"].tolist() == ["shape_Volume", "firstorder_Mean", "wavelet-HHL_glcm_Id"]
    assert raw.features["filter"].tolist() == ["original", "original", "wavelet-HHL"]
