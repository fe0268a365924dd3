"""Sheets and tables in one Excel workbook: which worksheet is read."""

from __future__ import annotations

import pytest

from mixflow.errors import MixflowError
from mixflow.study.config import load
from mixflow.study.init import init
from mixflow.study.validate import validate
from tests.study.reading import IDS, joined, read, refused


@pytest.fixture
def workbook(files):
    """A workbook whose first worksheet is no sample sheet and whose third is."""
    import openpyxl

    book = openpyxl.Workbook()
    book.worksheets[0].title = "Notes"
    book.worksheets[0].append(["who", "what"])
    book.worksheets[0].append(["Ann", "pipetting"])
    book.create_sheet("Empty")
    samples = book.create_sheet("Samples")
    for row in files.rows:
        samples.append(row)
    book.save(files.folder / "all.xlsx")
    files.edit("file: sheet.tsv", "file: all.xlsx")
    return files


def test_worksheet_is_chosen(workbook):
    (found,) = refused(workbook)
    assert found.value == "sample" and "worksheet 'Notes' was read" in found.remedy
    assert "'Empty', 'Samples': choose by samples.sheet" in found.remedy
    workbook.edit("  id: sample", "  id: sample\n  sheet: Samples")
    got = read(workbook)
    assert list(got.frame.index) == IDS and got.rows["S3"] == 5
    with pytest.raises(MixflowError) as caught:
        joined(workbook, ["a", "b"])
    assert all("worksheet 'Samples' was read" in p.remedy for p in caught.value.problems)


def test_worksheet_that_is_not_there(workbook):
    (found,) = refused(workbook.edit("  id: sample", "  id: sample\n  sheet: Smaples"))
    assert found.value == "Smaples" and "Notes, Empty, Samples" in found.remedy


def test_worksheet_of_a_text_file(files):
    (found,) = refused(files.edit("  id: sample", "  id: sample\n  sheet: Samples"))
    assert (found.row, found.column, found.value) == (8, "samples.sheet", "Samples")
    assert "no workbook" in found.message


def test_init_takes_the_worksheet_that_shares_most_ids(workbook, tmp_path):
    (config,) = init(workbook.data, workbook.folder / "all.xlsx", tmp_path / "new")
    study = load(config)
    assert study.samples.sheet == "Samples" and study.samples.id == "sample"
    assert validate(config, data=True) == []


def test_init_with_data_and_sheet_in_one_workbook(workbook, tmp_path):
    import openpyxl

    path = workbook.folder / "all.xlsx"
    book = openpyxl.load_workbook(path)
    values = book.create_sheet("Values", 0)
    for i, line in enumerate(workbook.data.read_text().splitlines()):
        cells = line.split(",")
        values.append(cells if i == 0 else [cells[0], *map(float, cells[1:])])
    book.save(path)
    (config,) = init(path, path, tmp_path / "new")
    assert load(config).samples.sheet == "Samples" and validate(config, data=True) == []
