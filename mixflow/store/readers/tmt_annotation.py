"""What stands in each channel of each TMT run: MSstatsTMT's annotation, met with the runs of the PSMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.table import Table, read_table

MAX_PROBLEMS = 20
RUN, CHANNEL = "Run", "Channel"
SET = ("Mixture", "TechRepMixture")
"""Runs that agree in these are fractions of one set of ten channels."""


@dataclass(frozen=True)
class Channels:
    """The data's ``path`` and ``channels``, and where their annotation stands (a path, or None)."""

    path: Path
    channels: Sequence[str]
    file: str | None


def read_channels(told: Channels, files: Sequence[str]) -> tuple[dict[str, str], pd.DataFrame]:
    """Run of each spectrum file, and text columns by sample (`run|channel`).

    ``files``: the spectrum files of the PSMs. Without annotation each file is a run, and the samples have the
    columns `Run` and `Channel`. With it the samples are those it lists for these files. Raises `MixflowError`
    for a channel of a file that it does not list, or lists twice.
    """
    if told.file is None:
        runs = {file: stem(file) for file in files}
        both = [(runs[file], channel) for file in files for channel in told.channels]
        return runs, _by_sample(pd.DataFrame(both, columns=[RUN, CHANNEL], dtype=object))
    table = _open(told)
    _check(table, told, files)
    frame = table.frame[table.frame[RUN].isin(files)]
    runs = _runs(frame)
    frame = frame.assign(**{RUN: frame[RUN].map(runs), CHANNEL: frame[CHANNEL].str.upper()})
    frame = frame[frame[CHANNEL].isin(told.channels)].drop(columns="Fraction", errors="ignore")
    return runs, _by_sample(frame.drop_duplicates([RUN, CHANNEL]))


def stem(file: str) -> str:
    """The name of a run: that of its file without `.raw`."""
    return file[:-4] if file.lower().endswith(".raw") else file


def _by_sample(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(pd.Index(frame[RUN] + "|" + frame[CHANNEL], dtype=object), axis=0)


def _open(told: Channels) -> Table:
    assert told.file is not None
    beside = told.path.parent / told.file
    table = read_table(beside if beside.is_file() else Path(told.file))
    lacking = [name for name in (RUN, CHANNEL) if name not in table.frame]
    if lacking:
        known = ", ".join(map(str, table.frame.columns))
        raise MixflowError(
            table.problem("the table of channels lacks a column", column=name, remedy=f"It has: {known}.")
            for name in lacking
        )
    return Table(
        table.frame.apply(lambda c: c.str.strip()), table.path, table.first_row, table.notes, table.rows
    )


def _check(table: Table, told: Channels, files: Sequence[str]) -> None:
    pairs = list(zip(table.frame[RUN], table.frame[CHANNEL].str.upper(), strict=True))
    known = set(pairs)
    problems = [
        Problem(
            f"nothing says what stands in channel {channel} of this run",
            file=str(table.path),
            column=RUN,
            value=file,
            remedy="Add a row for it, with the run's name as in the column `Spectrum File`.",
        )
        for file in files
        for channel in told.channels
        if (file, channel) not in known
    ]
    twice = pd.Series(pairs).duplicated().to_numpy().nonzero()[0]
    problems += [
        table.problem(
            "the channel of this run is listed twice", int(i), column=CHANNEL, value=pairs[i][1],
            remedy="Keep one row for each run and channel.",
        )
        for i in twice
    ]  # fmt: skip
    if problems:
        raise MixflowError(problems[:MAX_PROBLEMS])


def _runs(frame: pd.DataFrame) -> dict[str, str]:
    """File -> run: its own name, or `mixture_techrep` where several files are fractions of one."""
    files = frame.drop_duplicates(RUN)
    if not set(SET) <= set(frame.columns) or "Fraction" not in frame:
        return {file: stem(file) for file in files[RUN]}
    names = files[SET[0]] + "_" + files[SET[1]]
    several = names.map(names.value_counts()) > 1
    return dict(zip(files[RUN], names.where(several, files[RUN].map(stem)), strict=True))
