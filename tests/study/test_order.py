"""`batch.order`: a number in every row that was measured, taken once within a batch; else file, row and cell."""

from __future__ import annotations

import pytest

from mixflow.study.validate import validate


@pytest.fixture
def ordered(files):
    """The small study with the order of injection in a column, whole numbers that nobody declared."""
    return files.column("injection", lambda i: str(i + 1)).edit("[site]", "[site]\n  order: injection")


def told(files):
    return [(p.file, p.row, p.column, p.value) for p in validate(files.config)]


def test_an_order_needs_no_declaration(ordered):
    assert validate(ordered.config) == []


def test_no_such_column(files):
    (found,) = validate(files.edit("[site]", "[site]\n  order: aeg").config)
    assert (found.row, found.column, found.value) == (13, "batch.order", "aeg")
    assert "did you mean `age`" in str(found.remedy)


def test_missing_cells_are_told_by_row(ordered):
    (found,) = validate(ordered.cell(7, "injection", "NA").config)
    assert (found.file, found.row, found.column) == (str(ordered.sheet), 7, "injection")
    assert "no number" in found.message and "batch.order" in str(found.remedy)


def test_a_place_taken_twice_names_both_rows(ordered):
    ordered.cell(4, "injection", "1")
    assert told(ordered) == [(str(ordered.sheet), 4, "injection", 1)]
    (found,) = validate(ordered.config)
    assert "'S0' in row 2" in found.message and "within one site" in found.message


def test_the_count_may_start_again_in_each_batch(files):
    """Sites are visited in turns of four rows."""
    files.column("injection", lambda i: str(i % 4 + 1)).edit("[site]", "[site]\n  order: injection")
    assert validate(files.config) == []
    found = validate(files.edit("  factors: [site]\n", "").config)
    assert len(found) == 6 and found[-1].message == "3 more such cells"
    assert "first in batch.factors" in str(found[0].remedy)


@pytest.mark.parametrize("value", ["3rd", "10:40"])
def test_text_among_the_numbers_is_told_by_row(ordered, value):
    (found,) = validate(ordered.cell(5, "injection", value).config)
    assert (found.file, found.row, found.column, found.value) == (str(ordered.sheet), 5, "injection", value)
    assert "hours since the start" in str(found.remedy)


def test_every_kind_of_bad_cell_is_told_at_once(ordered):
    ordered.cell(5, "injection", "x4").cell(9, "injection", "7").cell(12, "injection", "")
    assert [(p.row, p.value) for p in validate(ordered.config)] == [(5, "x4"), (9, 7), (12, None)]


def test_a_bad_cell_of_a_declared_number_is_told_once(ordered):
    ordered.edit("age: {type: number}", "age: {type: number}\n    injection: {type: number}")
    (found,) = validate(ordered.cell(5, "injection", "3rd").config)
    assert (found.row, found.value, found.message) == (5, "3rd", "not a number")


def test_a_factor_is_no_order(files):
    (found,) = validate(files.edit("[site]", "[site]\n  order: patient").config)
    assert (found.row, found.column, found.value) == (13, "batch.order", "patient")
    assert "samples.columns.patient: {type: number}" in str(found.remedy)


def test_blanks_have_no_place_and_qc_samples_have_one(ordered):
    ordered.column("kind", lambda i: {3: "QC", 6: "blank"}.get(i, "patient"))
    ordered.edit("  columns:", "  role: {column: kind, qc: [QC], blank: [blank]}\n  columns:")
    assert validate(ordered.cell(8, "injection", "").config) == []
    (found,) = validate(ordered.cell(5, "injection", "").config)
    assert (found.row, found.column) == (5, "injection")
