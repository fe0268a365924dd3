"""The one place that opens a table: delimited text or .xlsx, compressed or not, every cell as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers import delimited, excel
from mixflow.store.readers.opening import decode, is_workbook, read_bytes, refuse

ROW_NAMES = "id"
"""Name given to a first column without one (R's row names, a pandas index)."""


@dataclass(frozen=True)
class Table:
    """A table of text cells, '' where empty.

    ``frame``: all columns of dtype str, RangeIndex. ``first_row``: line (1-based) of its first row.
    ``rows``: line of each row; equal to ``first_row + i`` unless the file has blank lines or line breaks
    in quoted cells, so use `line` to name a place. ``header_short``: the header had one field less than
    the body. ``header_row``: its line.
    """

    frame: pd.DataFrame
    path: Path
    first_row: int
    notes: list[str]
    rows: np.ndarray
    header_short: bool = False
    header_row: int = 1

    def line(self, position: int) -> int:
        """The 1-based line of the file, as an editor shows it, of row ``position`` of the frame."""
        return int(self.rows[position])

    def problem(self, message: str, position: int | None = None, **fields: object) -> Problem:
        """A problem of this file, at row ``position`` of the frame if given."""
        row = None if position is None else self.line(position)
        return Problem(message, file=str(self.path), row=row, **fields)  # type: ignore[arg-type]


def read_table(
    path: str | Path,
    *,
    sheet: str | int | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
) -> Table:
    """Read a delimited or .xlsx table as text.

    Encoding, compression, delimiter (tab, semicolon, comma), Windows line ends, ``#`` lines above the header
    and a header one field short (its first column is then named ``id``) are recognised. ``limit`` reads only
    that many bytes (a look at the head). Raises `MixflowError` naming file, row and column for ragged rows,
    repeated or empty column names, empty, binary or damaged files.
    """
    path = Path(path)
    if path.is_file() and is_workbook(path):
        return _from_workbook(path, sheet)
    text, notes = decode(path, _whole_lines(read_bytes(path, limit), limit))
    lines = text.split("\n")
    shape = delimited.find_shape(path, lines, delimiter)
    rows, width, quoted = delimited.row_numbers(path, lines, shape)
    frame = delimited.parse(path, lines, shape, width, quoted)
    if len(frame) != len(rows):
        raise refuse(
            path, f"{len(rows)} rows were counted but {len(frame)} parsed", "Check quotes in the file."
        )
    return _finish(path, frame, list(shape.header), rows, shape.header_row, [*notes, *shape.notes])


def _whole_lines(content: bytes, limit: int | None) -> bytes:
    if limit is None or len(content) < limit:
        return content
    end = content.rfind(b"\n")
    return content[: end + 1] if end > 0 else content


def _from_workbook(path: Path, sheet: str | int | None) -> Table:
    cells, notes = excel.read_sheet(path, sheet)
    start = next((i for i, row in enumerate(cells) if any(row) and not _comment(row)), None)
    if start is None or start + 1 >= len(cells):
        raise refuse(path, "the sheet holds no table", "Give a sheet with a header and at least one row.")
    body = pd.DataFrame(cells[start + 1 :], dtype=str)
    rows = np.arange(start + 2, start + 2 + len(body))
    return _finish(path, body, cells[start], rows, start + 1, notes)


def _comment(row: list[str]) -> bool:
    return row[0].startswith("#") and not any(row[1:])


def _finish(
    path: Path, frame: pd.DataFrame, header: list[str], rows: np.ndarray, header_row: int, notes: list[str]
) -> Table:
    """Header, empty rows and columns put right; the checks that every table passes."""
    short = frame.shape[1] == len(header) + 1
    frame, header, short = _align(path, frame, header, short, notes)
    frame, rows = _without_empty_rows(path, frame, rows, notes)
    header = [name.strip() for name in header]
    keep = [j for j, name in enumerate(header) if name or j == 0 or not _is_empty(frame[j])]
    if len(keep) < len(header):
        notes.append(f"{path.name}: {len(header) - len(keep)} empty column(s) without a name were set aside.")
    header = [header[j] for j in keep]
    if not header[0] and ROW_NAMES not in header:
        header[0] = ROW_NAMES
        notes.append(f"{path.name}: the first column has no name; it is called {ROW_NAMES!r}.")
    _check_header(path, header, header_row)
    frame = frame if len(keep) == frame.shape[1] else frame[keep]
    frame = frame.set_axis(header, axis=1).reset_index(drop=True)
    first_row = int(rows[0]) if len(rows) else header_row + 1
    return Table(frame, path, first_row, notes, rows, short, header_row)


def _align(
    path: Path, frame: pd.DataFrame, header: list[str], short: bool, notes: list[str]
) -> tuple[pd.DataFrame, list[str], bool]:
    if not short:
        return frame, header, False
    last = frame.columns[-1]
    if _is_empty(frame[last]):  # each row ends with a delimiter: not row names
        return frame.drop(columns=last), header, False
    return frame, ["", *header], True


def _is_empty(column: pd.Series) -> bool:
    return bool((column.str.strip() == "").all())


def _without_empty_rows(
    path: Path, frame: pd.DataFrame, rows: np.ndarray, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of empty cells only, and QIIME 2's ``#q2:types`` rows, are no data."""
    first = frame.iloc[:, 0]
    suspect = np.flatnonzero((first.str.strip() == "") | first.str.startswith("#q2:"))
    drop = [
        i for i in suspect if str(first.iloc[i]).startswith("#q2:") or not any(map(str.strip, frame.iloc[i]))
    ]
    if not drop:
        return frame, rows
    notes.append(
        f"{path.name}: {len(drop)} empty or `#q2:` row(s) were set aside (first: row {rows[drop[0]]})."
    )
    kept = np.setdiff1d(np.arange(len(frame)), drop)
    if kept.size == 0:
        raise refuse(path, "all rows are empty", "Give a table with at least one row.")
    return frame.iloc[kept], rows[kept]


def _check_header(path: Path, header: list[str], header_row: int) -> None:
    problems = []
    seen: dict[str, int] = {}
    for j, name in enumerate(header):
        place = {"file": str(path), "row": header_row}
        if not name:
            problems.append(Problem(f"column {j + 1} has no name", **place, remedy="Name it, or remove it."))
        elif name in seen:
            problems.append(
                Problem(
                    f"columns {seen[name] + 1} and {j + 1} have the same name",
                    **place,
                    column=name,
                    value=name,
                    remedy="Make the names unique.",
                )
            )
        seen.setdefault(name, j)
    if problems:
        raise MixflowError(problems[:20])
