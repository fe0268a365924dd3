"""What every reader gives back, and how tables of several files become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.errors import MixflowError, Problem

COMMON_OPTIONS = {
    "sample_ids": "known sample ids, to tell the orientation (the pipeline gives those of the sample sheet)",
    "sheet_columns": "columns of the sample sheet: where a data file has them, they describe samples",
    "contaminants": "{drop: true, patterns: [starts of accessions]} (the pipeline gives data.contaminants)",
}
"""Options that every reader takes."""

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
    unknown = [key for key in options if key not in {**reader.options, **COMMON_OPTIONS}]
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
