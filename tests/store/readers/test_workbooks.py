"""Workbooks: cells as text, sheets by name, dates and formulas that Excel left behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from mixflow.errors import MixflowError
from mixflow.store import readers


def book(path: Path, **sheets: list[list[object]]) -> Path:
    """A workbook with the given sheets."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def test_values_come_as_text_and_numbers_exactly(tmp_path: Path) -> None:
    path = book(
        tmp_path / "t.xlsx", data=[["gene", "s1", "s2"], ["A", 16.04707247635549, 3], ["B", None, 4.0]]
    )
    assert readers.sniff(path) == "wide"
    raw = readers.read([path])
    np.testing.assert_array_equal(raw.values, [[16.04707247635549, 3], [np.nan, 4]])
    table = readers.read_table(path)
    assert table.frame["s2"].tolist() == ["3", "4"]
    assert table.frame.dtypes.nunique() == 1 and table.line(1) == 3


def test_sheets_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = book(tmp_path / "t.xlsx", first=[["id", "x"], ["a", 1]], second=[["id", "x"], ["b", True]])
    first = readers.read_table(path)
    assert first.frame["id"].tolist() == ["a"]
    assert any("'second'" in note for note in first.notes)
    assert readers.read_table(path, sheet="second").frame.iloc[0].tolist() == ["b", "TRUE"]
    assert readers.read_table(path, sheet=2).frame["id"].tolist() == ["b"]
    with pytest.raises(MixflowError) as caught:
        readers.read_table(path, sheet="third")
    problem = caught.value.problems[0]
    assert problem.value == "third" and problem.remedy == "Known sheets: first, second."


def test_a_gene_that_became_a_date(tmp_path: Path, refused: Callable) -> None:
    path = book(tmp_path / "t.xlsx", data=[["gene", "s1"], ["A", 1], [datetime(2002, 3, 1), 2]])
    problem = refused(path)
    assert (problem.file, problem.row, problem.column) == (str(path), 3, "gene")
    assert problem.value == "2002-03-01 00:00:00"
    assert problem.remedy is not None and "MARCHF2" in problem.remedy


def test_a_formula_without_a_value(tmp_path: Path, refused: Callable) -> None:
    path = book(tmp_path / "t.xlsx", data=[["gene", "s1"], ["A", 1], ["B", "=B2*2"]])
    problem = refused(path)
    assert (problem.row, problem.column, problem.value) == (3, "B", "=B2*2")
    assert problem.remedy is not None and "save it" in problem.remedy


def test_an_excel_error(tmp_path: Path, refused: Callable) -> None:
    path = book(tmp_path / "t.xlsx", data=[["gene", "s1", "s2"], ["A", 1, "#DIV/0!"], ["B", 1, 2]])
    problem = refused(path)
    assert (problem.row, problem.column, problem.value) == (2, "s2", "#DIV/0!")
    assert "Excel error" in problem.message


def test_empty_rows_and_columns_of_a_sheet(tmp_path: Path) -> None:
    rows = [
        ["# exported"],
        [],
        ["gene", "s1", None],
        ["A", 1, None],
        [None, None, None],
        ["B", 2, None],
        [" "],
    ]
    table = readers.read_table(book(tmp_path / "t.xlsx", data=rows))
    assert table.frame.to_numpy().tolist() == [["A", "1"], ["B", "2"]]
    assert table.rows.tolist() == [4, 6] and table.first_row == 4


def test_a_sheet_without_a_table(tmp_path: Path, refused: Callable) -> None:
    problem = refused(book(tmp_path / "t.xlsx", data=[["gene", "s1"]]))
    assert "no table" in problem.message and problem.remedy is not None


def test_a_damaged_workbook(tmp_path: Path, refused: Callable) -> None:
    import zipfile

    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<broken")
    problem = refused(path)
    assert "cannot be read" in problem.message and problem.file == str(path)
