"""The shape of delimited text: which delimiter, which lines are comments, and that no row is ragged."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.store.readers.opening import refuse

DELIMITERS: dict[str, str] = {"\t": "tab", ";": "semicolon", ",": "comma"}
HEAD_LINES = 50
csv.field_size_limit(2**31 - 1)  # MaxQuant's lists of evidence ids are longer than csv's default of 131,072


@dataclass(frozen=True)
class Shape:
    """Where the parts of a delimited text are; ``header_row`` is 1-based, ``quoted``: there are quotes."""

    delimiter: str
    header_row: int
    header: tuple[str, ...]
    quoted: bool
    notes: tuple[str, ...]


def find_shape(path: Path, lines: list[str], delimiter: str | None = None) -> Shape:
    """The shape of the text whose lines are ``lines``.

    Leading ``#`` lines are comments, except a last one that has as many fields as the line below it
    (``#SampleID``, ``#OTU ID``): that one is the header.
    """
    if lines[0].lower().startswith("sep=") and len(lines[0]) == 5:  # Excel's hint
        delimiter, lines[0] = delimiter or lines[0][4], ""
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if first is None:
        raise refuse(path, "the file holds no table", "Give a table with a header and at least one row.")
    chosen = delimiter or sniff_delimiter(path, lines[first : first + HEAD_LINES])
    header_row = _header_line(lines, first, chosen)
    comments = [line for line in lines[:header_row] if line.startswith("#")]
    quoted = any('"' in line for line in lines)
    header = split(lines[header_row], chosen, quoted)
    notes = (
        [f"{path.name}: {len(comments)} comment line(s) above the header were set aside."] if comments else []
    )
    return Shape(chosen, header_row + 1, tuple(header), quoted, tuple(notes))


def _header_line(lines: list[str], first: int, delimiter: str) -> int:
    above = first - 1
    while above >= 0 and not lines[above].strip():
        above -= 1
    if above >= 0 and lines[above].startswith("#"):
        fields = len(split(lines[above], delimiter, True))
        if fields > 1 and fields == len(split(lines[first], delimiter, True)):
            return above
    return first


def split(line: str, delimiter: str, quoted: bool) -> list[str]:
    """The fields of one line."""
    if not quoted or '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter))


def sniff_delimiter(path: Path, head: list[str]) -> str:
    """The delimiter for which the first lines agree best on a number of fields above one.

    Tab before semicolon before comma where several agree: decimal commas look like delimiters too.
    A table of a single column has none; tab is answered then.
    """
    head = [line for line in head if line.strip()]
    best, best_score = "\t", 0.0
    for delimiter in DELIMITERS:
        counts = [len(split(line, delimiter, True)) for line in head]
        common, times = Counter(counts).most_common(1)[0]
        if counts[0] > 1 and counts[0] in (common, common - 1) and times / len(counts) > best_score:
            best, best_score = delimiter, times / len(counts)
    if (
        best_score == 0
        and len(head) > 1
        and any(len(line.split(delim)) > 1 for line in head for delim in "\t;,")
    ):
        return _by_majority(head)
    return best


def _by_majority(head: list[str]) -> str:
    """For a ragged table: the delimiter seen most, so that the ragged row can be named."""
    return max(DELIMITERS, key=lambda delimiter: sum(line.count(delimiter) for line in head))


def row_numbers(path: Path, lines: list[str], shape: Shape) -> tuple[np.ndarray, int, bool]:
    """Line number of each record below the header, their number of fields, and whether quotes have meaning.

    Blank lines are no records. Raises `MixflowError` naming every ragged row (the first five).
    """
    rows, widths = _plain_widths(lines, shape)
    quoted = shape.quoted
    if quoted:
        quoted_rows, quoted_widths = _quoted_widths(lines, shape)
        plain_is_regular = len(set(widths.tolist())) == 1
        if plain_is_regular and (len(set(quoted_widths.tolist())) > 1 or len(quoted_rows) < len(rows)):
            quoted = False  # stray quotes in a table that never quotes (MaxQuant)
        else:
            rows, widths = quoted_rows, quoted_widths
    if rows.size == 0:
        raise refuse(path, "there is a header but no row below it", "Give a table with at least one row.")
    return rows, _one_width(path, rows, widths, shape), quoted


def _plain_widths(lines: list[str], shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    start = shape.header_row
    sep = shape.delimiter
    body = [
        (i + start + 1, line.count(sep) + 1)
        for i, line in enumerate(lines[start:])
        if line and (sep in line or line.strip(" \t"))  # the same lines that pandas calls blank
    ]
    table = np.array(body, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _quoted_widths(lines: list[str], shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    reader = csv.reader((line + "\n" for line in lines[shape.header_row :]), delimiter=shape.delimiter)
    rows, widths, start = [], [], shape.header_row + 1
    for record in reader:
        if len(record) > 1 or (record and record[0].strip()):
            rows.append(start)
            widths.append(len(record))
        start = shape.header_row + reader.line_num + 1
    return np.array(rows, dtype=np.int64), np.array(widths, dtype=np.int64)


def _one_width(path: Path, rows: np.ndarray, widths: np.ndarray, shape: Shape) -> int:
    n_header = len(shape.header)
    common = int(Counter(widths.tolist()).most_common(1)[0][0])
    expected = common if common in (n_header, n_header + 1) else n_header
    ragged = np.flatnonzero(widths != expected)
    if ragged.size == 0:
        return expected
    first = int(ragged[0])
    more = f" ({ragged.size} rows are ragged)" if ragged.size > 1 else ""
    raise refuse(
        path,
        f"the row has {int(widths[first])} fields where the others have {expected}{more}",
        f"Make each row {expected} fields long ({DELIMITERS.get(shape.delimiter, shape.delimiter)}); "
        "look for a delimiter or a quote inside a cell, or a file cut short.",
        row=int(rows[first]),
        value=int(widths[first]),
    )


def parse(path: Path, lines: list[str], shape: Shape, width: int, quoted: bool) -> pd.DataFrame:
    """All records below the header as text, columns numbered; '' where a cell is empty."""
    body = "\n".join(lines[shape.header_row :])
    try:
        return _read_csv(body, shape, width, quoted)
    except pd.errors.ParserError as error:
        if "out of memory" in str(error):
            raise MemoryError(str(error)) from error
        raise refuse(
            path, f"the table cannot be parsed: {error}", "Look for a quote that is not closed."
        ) from error


def _read_csv(body: str, shape: Shape, width: int, quoted: bool) -> pd.DataFrame:
    return pd.read_csv(
        io.StringIO(body),
        sep=shape.delimiter,
        header=None,
        names=list(range(width)),
        index_col=False,
        dtype=str,
        na_filter=False,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skip_blank_lines=True,
        engine="c",
    )
