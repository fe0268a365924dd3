"""What every reader gives back, and how tables of several files become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem

SCALES = ("intensity", "log2", "count", "proportion", "free")


@dataclass(frozen=True)
class RawTable:
    """Measurements as a file has them.

    ``values``: (feature, sample) float64, NaN where missing. ``features``: text columns by feature id,
    always with ``name`` (what is shown). ``samples``: text columns found beside the values, by sample id;
    may have none.
    ``scale``: one of `SCALES`, or None where the format does not say. ``notes``: sentences for people.
    ``dropped``: reason -> feature ids left out (decoy, contaminant, only identified by site ...).
    """

    values: np.ndarray
    feature_ids: tuple[str, ...]
    sample_ids: tuple[str, ...]
    features: pd.DataFrame
    samples: pd.DataFrame
    scale: str | None
    format: str
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """One format: ``recognise`` looks at the head of a file, ``read`` reads one file with checked options."""

    name: str
    summary: str
    options: Mapping[str, str]
    recognise: Callable[[Head], bool]
    read: Callable[[Path, dict[str, Any]], RawTable]


@dataclass(frozen=True)
class Head:
    """The first rows of a file, for sniffing; ``start``: its first bytes, decompressed."""

    path: Path
    columns: tuple[str, ...]
    frame: pd.DataFrame
    header_short: bool
    start: bytes

    def has(self, *names: str) -> bool:
        """Whether all ``names`` are columns."""
        return all(name in self.columns for name in names)


def check_options(reader: Reader, options: Mapping[str, Any], file: Path) -> None:
    """Refuse options that the reader does not know, naming those it does."""
    unknown = [key for key in options if key not in reader.options]
    if unknown:
        known = ", ".join(sorted(reader.options))
        raise MixflowError(
            Problem(
                f"format {reader.name} has no option {key!r}",
                file=str(file),
                column=f"data.options.{key}",
                value=options[key],
                remedy=f"Options of this format: {known}.",
            )
            for key in unknown
        )


def check_choice(options: Mapping[str, Any], key: str, choices: Sequence[str], file: Path) -> str:
    """The value of option ``key``, the first of ``choices`` by default; anything else is refused."""
    value = options.get(key, choices[0])
    if value not in choices:
        raise MixflowError(
            Problem(
                f"option {key!r} has an unknown value",
                file=str(file),
                column=f"data.options.{key}",
                value=value,
                remedy=f"One of: {', '.join(choices)}.",
            )
        )
    return value


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
    i, j = twice[0]
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
