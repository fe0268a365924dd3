"""Tables of several files of one format as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.raw import RawTable


def join(tables: Sequence[RawTable], files: Sequence[Path]) -> RawTable:
    """Tables of several files as one: the union of their features and of their samples.

    A feature absent from a file is missing in that file's samples. A value that two files both give for the
    same feature and sample is refused, naming both files.
    """
    if len(tables) == 1:
        return tables[0]
    feature_ids = tuple(dict.fromkeys(i for table in tables for i in table.feature_ids))
    sample_ids = tuple(dict.fromkeys(i for table in tables for i in table.sample_ids))
    values = np.full((len(feature_ids), len(sample_ids)), np.nan)
    owner = np.full(values.shape, -1, dtype=np.int16)
    row = {name: i for i, name in enumerate(feature_ids)}
    column = {name: j for j, name in enumerate(sample_ids)}
    for k, table in enumerate(tables):
        block = np.ix_([row[i] for i in table.feature_ids], [column[j] for j in table.sample_ids])
        given = ~np.isnan(table.values)
        _refuse_twice(table, files, k, owner[block], given)
        values[block] = np.where(given, table.values, values[block])
        owner[block] = np.where(given, k, owner[block])
    scales = {table.scale for table in tables}
    _same_scale(tables, files)
    return RawTable(
        values,
        feature_ids,
        sample_ids,
        _stack([table.features for table in tables]).loc[list(feature_ids)],
        _stack([table.samples for table in tables]).loc[list(sample_ids)],
        scales.pop(),
        tables[0].format,
        _join_notes(tables, feature_ids, sample_ids),
        _join_dropped(tables),
    )


def _refuse_twice(
    table: RawTable, files: Sequence[Path], k: int, owner: np.ndarray, given: np.ndarray
) -> None:
    twice = np.argwhere((owner >= 0) & given)
    if twice.size == 0:
        return
    i, j = map(int, twice[0])
    raise MixflowError(
        Problem(
            f"feature {table.feature_ids[i]!r} in sample {table.sample_ids[j]!r} has a value here and in "
            f"{files[owner[i, j]].name} ({len(twice)} such values)",
            file=str(files[k]),
            column=table.sample_ids[j],
            value=float(table.values[i, j]),
            remedy="Give each value once: remove one file from data.files, or rename its samples.",
        )
    )


def _same_scale(tables: Sequence[RawTable], files: Sequence[Path]) -> None:
    for table, file in zip(tables, files, strict=True):
        if table.scale != tables[0].scale:
            raise MixflowError(
                Problem(
                    f"the values are on another scale than in {files[0].name}: {tables[0].scale}",
                    file=str(file),
                    value=table.scale,
                    remedy="Join only files of one scale.",
                )
            )


def _stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all frames by id; where an id repeats, the first text that is not empty."""
    out = frames[0]
    for frame in frames[1:]:
        out = out.mask(out == "").combine_first(frame.mask(frame == ""))
    return out.fillna("").astype(str)


def _join_notes(
    tables: Sequence[RawTable], feature_ids: Sequence[str], sample_ids: Sequence[str]
) -> list[str]:
    notes = [note for table in tables for note in table.notes]
    common = set(feature_ids).intersection(*(table.feature_ids for table in tables))
    notes.append(
        f"{len(tables)} files were joined: {len(feature_ids)} features ({len(common)} in every file), "
        f"{len(sample_ids)} samples; a feature absent from a file is missing in that file's samples."
    )
    return notes


def _join_dropped(tables: Sequence[RawTable]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for table in tables:
        for reason, ids in table.dropped.items():
            known = out.setdefault(reason, [])
            known.extend(i for i in ids if i not in set(known))
    return out
