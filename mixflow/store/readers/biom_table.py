"""BIOM tables, version 1 (JSON) and 2 (HDF5), through the biom-format library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.common import build
from mixflow.store.readers.ids import looks_like_date
from mixflow.store.readers.opening import HDF5_MAGIC, refuse
from mixflow.store.readers.raw import Head, RawTable, Reader, check_choice
from mixflow.store.readers.table import Table

OPTIONS = {"dates": "feature names that look like dates: refuse or keep"}


def recognise(head: Head) -> bool:
    """HDF5, or JSON that calls itself a Biological Observation Matrix."""
    json = head.start.lstrip()[:1] == b"{" and b"Biological Observation Matrix" in head.start
    return head.start.startswith(HDF5_MAGIC) or json


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read a BIOM table: a zero is a count of zero; taxonomy comes from the observations' metadata.

    The scale is 'count' where all values are whole, 'proportion' where each sample sums to one.
    """
    table = _load(path)
    values = np.asarray(table.matrix_data.toarray(), dtype=float)
    feature_ids = [str(i) for i in table.ids("observation")]
    sample_ids = [str(i) for i in table.ids("sample")]
    _check_values(path, values, feature_ids, sample_ids)
    if check_choice(options, "dates", ("refuse", "keep"), path) == "refuse":
        _refuse_dates(path, feature_ids)
    features = _metadata(table.metadata(axis="observation"), feature_ids)
    samples = _metadata(table.metadata(axis="sample"), sample_ids)
    source = Table(pd.DataFrame(), path, 0, [], np.empty(0, dtype=np.int64))
    return build(source, values, features, samples, "biom", scale_of(values), [])


def _load(path: Path) -> Any:
    import biom

    if not path.is_file():
        raise refuse(path, "the file does not exist", "Check data.files and data.data_root.")
    try:
        return biom.load_table(str(path))
    except Exception as error:  # biom, h5py and json raise errors of many kinds for a damaged file
        raise refuse(
            path,
            f"the BIOM table cannot be read: {type(error).__name__}: {error}",
            "Copy or export it again.",
        ) from error


def scale_of(values: np.ndarray) -> str | None:
    """'count' where all values are whole, 'proportion' where samples (columns) sum to one, else None."""
    known = np.nan_to_num(values)
    if (known < 0).any():
        return None
    if (known == np.round(known)).all():
        return "count"
    return "proportion" if np.allclose(known.sum(axis=0), 1.0, atol=1e-3) else None


def _check_values(path: Path, values: np.ndarray, feature_ids: list[str], sample_ids: list[str]) -> None:
    bad = np.argwhere(np.isinf(values))
    if bad.size:
        i, j = bad[0]
        raise refuse(
            path,
            f"feature {feature_ids[i]!r} has an infinite value",
            "Export the table again without infinities.",
            column=sample_ids[j],
            value=float(values[i, j]),
        )


def _refuse_dates(path: Path, feature_ids: list[str]) -> None:
    problems = [
        Problem(
            "the feature's name looks like a gene name that Excel turned into a date",
            file=str(path),
            value=name,
            remedy="Restore the name; set data.options.dates to 'keep' if it is no date.",
        )
        for name in feature_ids
        if looks_like_date(name)
    ]
    if problems:
        raise MixflowError(problems[:20])


def _metadata(metadata: Iterable[Any] | None, ids: list[str]) -> pd.DataFrame:
    index = pd.Index(ids, dtype=object)
    if metadata is None:
        return pd.DataFrame(index=index)
    rows = [{str(key): _text(value) for key, value in (row or {}).items()} for row in metadata]
    return pd.DataFrame(rows, index=index).fillna("").rename(columns={"taxonomy": "lineage"})


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple | np.ndarray):
        return "; ".join(_text(part) for part in value)
    return str(value)


READER = Reader("biom", "BIOM version 1 (JSON) or 2 (HDF5)", OPTIONS, recognise, read)
