"""A known relationship between the levels of a grouping factor: a square table with the levels as names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mixflow.errors import MixflowError, Problem

if TYPE_CHECKING:
    import pandas as pd

SYMMETRIC = 1e-8
"""Largest difference between an entry and its mirror, relative to the largest entry."""


@lru_cache(maxsize=8)
def read(path: Path) -> pd.DataFrame:
    """The table at ``path``: first column and header are the levels, in the same order, entries are numbers.

    Raises MixflowError (file, row, column, value, remedy) where it is not square, not numbers, not symmetric.
    """
    import numpy as np
    import pandas as pd

    from mixflow.store.readers.table import read_table

    text = read_table(path).frame
    names = [str(name).strip() for name in text.iloc[:, 0]]
    columns = [str(name).strip() for name in text.columns[1:]]
    if names != columns:
        raise MixflowError(_not_square(path, names, columns))
    cells = text.iloc[:, 1:].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    bad = np.argwhere(~np.isfinite(cells))
    if len(bad):
        i, j = bad[0]
        raise MixflowError(
            Problem("not a number", str(path), int(i) + 2, columns[j], text.iloc[i, j + 1], "mend this entry")
        )
    off = np.argwhere(np.abs(cells - cells.T) > SYMMETRIC * np.abs(cells).max())
    if len(off):
        i, j = off[0]
        remedy = f"it must equal the entry of {names[j]} with {names[i]}"
        raise MixflowError(
            Problem("the table is not symmetric", str(path), int(i) + 2, columns[j], cells[i, j], remedy)
        )
    return pd.DataFrame(cells, index=names, columns=columns)


def _not_square(path: Path, names: list[str], columns: list[str]) -> Problem:
    pairs = list(zip(names, columns, strict=False))
    first = next((i for i, (name, column) in enumerate(pairs) if name != column), len(pairs))
    remedy = "write the levels in the first row and, in the same order, in the first column"
    value = names[first] if first < len(names) else columns[first]
    return Problem("rows and columns have different names", str(path), first + 2, None, value, remedy)
