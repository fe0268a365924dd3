"""Properties: numbers come back exactly; no decimal comma changes a value silently; tables round-trip."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixflow.errors import MixflowError
from mixflow.store.readers.numbers import NA, numbers
from mixflow.store.readers.table import Table, read_table

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELL_TEXT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\x85"), max_size=8
)


def table_of(columns: dict[str, list[str]]) -> Table:
    frame = pd.DataFrame(columns, dtype=str)
    return Table(frame, Path("t.tsv"), 2, [], np.arange(2, 2 + len(frame)))


@QUICK
@given(st.lists(FINITE | st.none(), min_size=1, max_size=20), st.sampled_from(sorted(NA)))
def test_repr_comes_back_exactly(values: list[float | None], missing: str) -> None:
    cells = [missing if value is None else repr(value) for value in values]
    expected = [np.nan if value is None else value for value in values]
    np.testing.assert_array_equal(numbers(table_of({"a": cells}), ["a"])[:, 0], expected)


@QUICK
@given(st.lists(FINITE, min_size=1, max_size=20))
def test_decimal_comma_when_told(values: list[float]) -> None:
    cells = [repr(value).replace(".", ",") for value in values]
    np.testing.assert_array_equal(numbers(table_of({"a": cells}), ["a"], decimal=",")[:, 0], values)


@QUICK
@given(st.lists(st.decimals(-(10**6), 10**6, places=3), min_size=1, max_size=10))
def test_decimal_comma_is_read_right_or_refused(values: list) -> None:
    """Auto never reads '1,234' as 1234, nor guesses: the value is right, or there is an error."""
    table = table_of({"a": [str(value).replace(".", ",") for value in values]})
    try:
        found = numbers(table, ["a"])[:, 0]
    except MixflowError as error:
        assert all("," in str(problem.value) for problem in error.problems)
        return
    np.testing.assert_array_equal(found, [float(value) for value in values])


@QUICK
@given(CELL_TEXT)
def test_any_text_is_a_number_or_missing_or_refused(cell: str) -> None:
    table = table_of({"a": ["1", cell]})
    try:
        value = numbers(table, ["a"], decimal=".")[1, 0]
    except MixflowError as error:
        problem = error.problems[0]
        assert (problem.row, problem.column, problem.value) == (3, "a", cell)
        assert problem.remedy
        return
    if np.isnan(value):
        assert cell.strip() in NA
    else:
        assert float(cell) == value and cell.isascii() and "_" not in cell


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999", "1,5", "0x10", "1 000", "1d5", "--1", "１"])
def test_never_numbers(cell: str) -> None:
    with pytest.raises(MixflowError):
        numbers(table_of({"a": [cell, "2.5"]}), ["a"])


@QUICK
@given(
    delimiter=st.sampled_from("\t;,"),
    cells=st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(CELL_TEXT, min_size=n, max_size=n), min_size=1, max_size=6)
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_delimited_round_trip(
    delimiter: str, cells: list[list[str]], end: str, bom: bool, tmp_path: Path
) -> None:
    """What csv writes with quotes comes back cell by cell; rows of blanks are no rows."""
    rows = [row for row in cells if any(cell.strip() for cell in row) and not row[0].startswith("#q2:")]
    if not rows:
        return
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    header = [f"column {j}" for j in range(len(rows[0]))]
    writer.writerows([header, *rows])
    path = tmp_path / "t.txt"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    table = read_table(path, delimiter=delimiter)
    assert list(table.frame.columns) == header
    assert table.frame.to_numpy(dtype=object).tolist() == rows
    assert table.rows.tolist() == list(range(2, 2 + len(rows)))
    assert table.first_row == 2
