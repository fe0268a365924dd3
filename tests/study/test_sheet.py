from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from tests.study.reading import IDS, joined, read, refused


def test_types_levels_labels_reference(files):
    got = read(files)
    assert list(got.frame.index) == [f"S{i}" for i in range(12)] and got.frame.index.name == "sample"
    assert got.frame["age"].dtype == "float64" and got.frame["age"].iloc[0] == 30.5
    assert list(got.frame["arm"].cat.categories) == ["placebo", "drug"]
    assert got.frame["arm"].iloc[:2].tolist() == ["placebo", "drug"]
    assert got.columns["arm"].reference == "placebo" and got.columns["age"].reference is None
    assert got.columns["arm"].level("d") == "drug" and got.columns["arm"].level("drug") == "drug"
    assert got.columns["arm"].level("x") is None
    assert got.columns["site"].levels == ("Bonn", "Kiel", "Ulm")
    assert got.rows["S3"] == 5 and got.file == str(files.sheet)
    assert (got.role == "sample").all() and got.notes == ()


def test_reference_comes_first(files):
    got = read(files.edit("reference: placebo", "reference: d"))
    assert got.columns["arm"].levels == ("drug", "placebo")
    assert list(got.frame["arm"].cat.categories) == ["drug", "placebo"]


def test_reference_of_found_levels(files):
    files.edit("    age:", "    site: {type: factor, reference: Kiel}\n    age:")
    assert read(files).columns["site"].levels == ("Kiel", "Bonn", "Ulm")


def test_ordered_factor_and_natural_order(files):
    files.column("week", lambda i: f"week {[2, 10, 1][i % 3]}").edit(
        "    age:", "    week: {type: ordered}\n    age:"
    )
    week = read(files).frame["week"]
    assert list(week.cat.categories) == ["week 1", "week 2", "week 10"] and week.cat.ordered


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters(files, delimiter):
    files.write_sheet(delimiter, "other.txt").edit("sheet.tsv", "other.txt")
    assert len(read(files).frame) == 12


def test_workbook(files):
    table = pd.DataFrame(files.rows[1:], columns=files.rows[0]).astype({"age": float})
    table["code"] = range(12)
    table.to_excel(files.folder / "sheet.xlsx", index=False)
    files.edit("sheet.tsv", "sheet.xlsx").edit("    age:", "    code: {type: factor}\n    age:")
    got = read(files)
    assert got.frame["age"].iloc[1] == 31.5 and got.columns["code"].levels[:2] == ("0", "1")


def test_decimal_commas(files):
    for i in range(12):
        files.cell(i + 2, "age", f"{30 + i},5")
    got = read(files)
    assert got.frame["age"].iloc[0] == 30.5 and "decimal commas" in got.notes[0]


def test_missing_cells_are_allowed_and_reported(files):
    got = read(files.cell(2, "age", "").cell(3, "age", "NA").cell(4, "arm", "n/a"))
    assert np.isnan(got.frame["age"].iloc[:2]).all() and got.frame["arm"].isna().sum() == 1
    assert "age: no value for 2 sample(s): S0, S1." in got.notes


def test_na_can_be_a_level(files):
    files.edit("levels: [p, d]", "levels: [p, NA]")
    for i in range(1, 12, 2):
        files.cell(i + 2, "arm", "NA")
    assert read(files).frame["arm"].isna().sum() == 0


def test_roles(files):
    files.column("kind", lambda i: {0: "pool", 1: "water"}.get(i, "case"))
    files.edit("  id: sample", "  id: sample\n  role: {column: kind, qc: [pool], blank: water}")
    files.cell(2, "arm", "QC").cell(2, "age", "-").cell(3, "site", "none")
    got = read(files)
    assert got.role.tolist()[:3] == ["qc", "blank", "sample"]
    assert got.frame["arm"].isna().tolist()[:2] == [True, False] and np.isnan(got.frame["age"].iloc[0])
    assert got.columns["site"].levels == ("Bonn", "Kiel", "Ulm", "none")


def test_role_column_with_mixflows_words(files):
    files.column("role", lambda i: ["QC", "sample"][i > 0]).edit("  id: sample", "  id: sample\n  role: role")
    assert read(files).role.value_counts().to_dict() == {"sample": 11, "qc": 1}
    (found,) = refused(files.cell(4, "role", "smaple"))
    assert (found.row, found.column, found.value) == (4, "role", "smaple") and "`sample`" in found.remedy


def test_derive(files):
    files.edit(
        "  id: sample",
        "  id: sample\n  derive:\n    number: {pattern: 'S(?P<value>\\d+)'}\n"
        "    first: {from: site, pattern: '^(.)'}",
    )
    files.edit("    age:", "    number: {type: number}\n    age:")
    got = read(files)
    assert got.frame["number"].tolist() == list(range(12)) and got.columns["first"].levels == ("B", "K", "U")


def test_columns_that_came_with_the_data(files):
    files.edit("  file: sheet.tsv\n", "").edit("  id: sample\n", "  derive: {even: {pattern: '(.)$'}}\n")
    found = pd.DataFrame({"arm": ["p", "d"], "age": ["1.5", ""], "site": ["A", "B"]}, index=["S1", "S2"])
    got = read(files, found)
    assert got.frame["even"].tolist() == [1, 2] and got.frame["arm"].tolist() == ["placebo", "drug"]
    assert got.rows.isna().all()
    (problem,) = refused(files)
    assert problem.column == "samples.file" and problem.row is not None


def one(files, row, column, value, remedy):
    found = refused(files)
    assert len(found) == 1, found
    (problem,) = found
    assert problem.file == str(files.sheet), problem
    assert (problem.row, problem.column, problem.value) == (row, column, value), problem
    assert remedy in problem.remedy, problem


def test_integer_codes_are_asked_about(files):
    files.edit("    age: {type: number}\n", "")
    for i in range(12):
        files.cell(i + 2, "age", str(30 + i % 3))
    one(files, 2, "age", "30, 31, 32", "{type: factor} or {type: number}")


def test_integer_codes_that_nothing_uses_are_left_alone(files):
    assert read(files.column("tube", lambda i: str(i))).columns["tube"].kind == "number"


CELLS = {
    "unknown level": (5, "arm", "x", "x", "samples.columns.arm.levels"),
    "level of another case": (5, "arm", "P", "P", "did you mean"),
    "trailing space": (5, "site", "Kiel ", "Kiel ", "remove the spaces"),
    "text for a number": (5, "age", "old", "old", "plain number"),
    "number with its unit": (5, "age", "44 years", "44 years", "plain number"),
    "thousands": (5, "age", "1.200.000", "1.200.000", "plain number"),
    "one decimal comma": (5, "age", "30,5", "30,5", "decimal point"),
    "Excel error in a number": (5, "age", "#REF!", "#REF!", "error value of Excel"),
    "Excel error in a factor": (5, "site", "#NAME?", "#NAME?", "correct the cell"),
    "infinite": (5, "age", "inf", "inf", "plain number"),
    "capitals": (5, "site", "bonn", "bonn", "write them alike"),
    "id twice": (5, "sample", "S0", "S0", "one row for each sample"),
    "no id": (5, "sample", "", None, "an id"),
    "id twice but for a space": (5, "sample", "S0 ", "S0 ", "one row for each sample"),
    "id of spaces": (5, "sample", "  ", None, "an id"),
}


@pytest.mark.parametrize("name", CELLS)
def test_hostile_cell(files, name):
    row, column, cell, value, remedy = CELLS[name]
    one(files.cell(row, column, cell), row, column, value, remedy)


def test_numbers_and_text_in_an_undeclared_column(files):
    files.column("dose", lambda i: "none" if i == 4 else f"{i}.5").edit('"~ arm"', '"~ arm + dose"')
    one(files, 6, "dose", "none", "empty this cell")


def test_column_without_values(files):
    files.column("dose", lambda i: "").edit('"~ arm"', '"~ arm + dose"')
    one(files, 2, "dose", None, "fill it in")


def test_wrong_id_column(files):
    one(files.edit("id: sample", "id: sampel"), 1, "sampel", "sampel", "did you mean `sample`")


def test_derived_column_that_does_not_match(files):
    files.edit("  id: sample", "  id: sample\n  derive: {n: {pattern: '^S([0-8])$'}}")
    found = refused(files)
    assert [(p.row, p.column, p.value) for p in found] == [
        (11, "id", "S9"),
        (12, "id", "S10"),
        (13, "id", "S11"),
    ]
    assert "'S9'" in found[0].message and "samples.derive.n.pattern" in found[0].remedy


def test_derive_from_nowhere_and_onto_a_column(files):
    files.edit(
        "  id: sample",
        "  id: sample\n  derive:\n    x: {from: sit, pattern: '(.)'}\n    arm: {pattern: '(.)'}",
    )
    found = refused(files)
    assert [(p.file, p.row, p.value) for p in found] == [
        (str(files.config), 9, "sit"),
        (str(files.config), 10, "arm"),
    ]
    assert "did you mean `site`" in found[0].remedy


def test_columns_that_are_not_there(files):
    files.edit("  id: sample", "  id: sample\n  unit: patiant\n  role: kind")
    found = refused(files)
    assert {(p.row, p.column, p.value) for p in found} == {
        (8, "samples.unit", "patiant"),
        (9, "samples.role", "kind"),
    }
    assert "did you mean `patient`" in next(p.remedy for p in found if p.value == "patiant")


def test_many_bad_cells_are_counted(files):
    for i in range(12):
        files.cell(i + 2, "age", "old")
    found = refused(files)
    assert len(found) == 6 and found[-1].message == "7 more such cells" and found[-1].row == 7


def test_everything_at_once(files):
    files.cell(3, "arm", "x").cell(5, "age", "old").cell(7, "site", "Kiel ").cell(8, "sample", "S0")
    assert {(p.row, p.column) for p in refused(files)} == {(3, "arm"), (5, "age"), (7, "site"), (8, "sample")}


def test_spaces_around_ids_are_removed_and_noted(files):
    got = read(files.cell(5, "sample", "S3 ").cell(6, "sample", " S4"))
    assert list(got.frame.index) == IDS and got.rows["S3"] == 5
    (note,) = got.notes
    assert "2 sample id(s) of sheet.tsv" in note and "row 5, 'S3 '" in note


def test_join_by_exact_ids(files):
    got = joined(files, IDS[::-1])
    assert got.ids == tuple(IDS[::-1]) and got.positions.tolist() == list(range(12))
    assert got.only_data == got.only_sheet == got.notes == ()


def test_unmatched_samples_are_named(files):
    with pytest.raises(MixflowError) as caught:
        joined(files, [*IDS[:11], "X9", "X10"])
    data, rows = caught.value.problems
    assert data.file == str(files.data) and data.value == ["X9", "X10"] and "X9, X10" in data.message
    assert (rows.file, rows.row, rows.value) == (str(files.sheet), 13, ["S11"])
    assert "id_map" in data.remedy and "unmatched: drop" in rows.remedy


def test_many_unmatched_samples_are_told_shortly(files):
    with pytest.raises(MixflowError) as caught:
        joined(files, [f"X{i}" for i in range(30)])
    data, rows = caught.value.problems
    assert data.value == ["X0", "X1", "X2", "X3", "X4", "and 25 more"] and "30 sample(s)" in data.message
    assert rows.value == [*IDS[:5], "and 7 more"]


def test_unmatched_samples_are_dropped_if_asked(files):
    got = joined(files.edit("  scale: log2", "  scale: log2\n  unmatched: drop"), ["X9", *IDS[:11]])
    assert got.ids == tuple(IDS[:11]) and got.positions.tolist() == list(range(1, 12))
    assert got.only_data == ("X9",) and got.only_sheet == ("S11",) and "X9" in got.notes[0]
    with pytest.raises(MixflowError):
        joined(files, ["a", "b"])


@pytest.mark.parametrize(
    "id_map",
    ["{pattern: '^run_(.*)[.]raw$', replace: '$1'}", "{pattern: '^run_(.*)[.]raw$', replace: '\\1'}"],
)
def test_id_map_by_pattern(files, id_map):
    files.edit("  id: sample", f"  id: sample\n  id_map: {id_map}")
    assert joined(files, [f"run_{name}.raw" for name in IDS]).ids == tuple(IDS)


def test_id_map_by_name(files):
    files.edit("  id: sample", "  id: sample\n  id_map: {A: S0, 7: S1}")
    assert joined(files, ["A", "7", *IDS[2:]]).ids == tuple(IDS)
    with pytest.raises(MixflowError) as caught:
        joined(files, ["A", *IDS[1:]])
    (found,) = caught.value.problems
    assert (found.row, found.column, found.value) == (
        8,
        "samples.id_map[7]",
        "7",
    ) and "id in the data" in found.remedy


def test_ids_that_become_equal(files):
    files.edit("  id: sample", "  id: sample\n  id_map: {pattern: '_.*', replace: ''}")
    with pytest.raises(MixflowError) as caught:
        joined(files, ["S0_a", "S0_b"])
    (found,) = caught.value.problems
    assert (found.column, found.value) == ("samples.id_map", "S0") and "'S0_a' and 'S0_b'" in found.message


def test_reference_that_no_sample_has(files):
    files.edit("    age:", "    site: {type: factor, reference: Kil}\n    age:")
    (found,) = refused(files)
    assert (found.file, found.column, found.value) == (str(files.sheet), "site", "Kil")
    assert "did you mean `Kiel`" in found.remedy


def test_many_unknown_levels(files):
    for i in range(7):
        files.cell(i + 2, "arm", f"x{i}")
    assert [(p.row, p.value) for p in refused(files)] == [(i + 2, f"x{i}") for i in range(5)]


def test_listed_role_value_that_no_row_holds(files):
    files.column("batch", lambda i: ["b1", "b2"][i % 2])
    files.edit("  id: sample", "  id: sample\n  role: {column: batch, qc: [B1, pool], sample: b2}")
    typed, absent, *rest = refused(files)
    assert (typed.file, typed.row, typed.column, typed.value) == (
        str(files.config),
        8,
        "samples.role.qc",
        "B1",
    )
    assert "did you mean `b1`?" in typed.remedy and "there are: b1, b2" in absent.remedy
    assert absent.value == "pool" and {problem.message for problem in rest} == {"not a role"}
    files.edit("[B1, pool]", "b1")
    assert (read(files).role == "qc").sum() == 6
