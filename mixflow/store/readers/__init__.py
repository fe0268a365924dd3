"""Readers of raw formats: each thin, each giving a `RawTable`; `sniff` tells the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.store import manifest
from mixflow.store.readers import (
    biom_table,
    diann,
    exclusion,
    long,
    maxquant,
    metaphlan,
    msstats,
    pd_psms,
    pyradiomics,
    wide,
    zarr_store,
)
from mixflow.store.readers.joining import join
from mixflow.store.readers.numbers import numbers
from mixflow.store.readers.raw import Head, RawTable, Reader, check_options
from mixflow.store.readers.sniffing import look, refuse_unsupported
from mixflow.store.readers.table import Table, read_table

__all__ = ["FORMATS", "Head", "RawTable", "Reader", "Table", "numbers", "read", "read_table", "sniff"]

FORMATS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        biom_table.READER,
        pd_psms.READER,
        maxquant.PEPTIDES,
        maxquant.PROTEINS,
        diann.READER,
        pyradiomics.READER,
        metaphlan.READER,
        msstats.READER,
        long.READER,
        wide.READER,
        zarr_store.READER,
    )
}
"""All formats, in the order in which `sniff` tries them: the most particular first."""


def sniff(path: str | Path) -> str:
    """Name of the format of ``path``, told from its first rows; `MixflowError` lists what was tried."""
    if manifest.is_store(Path(path)):
        return zarr_store.READER.name
    head = look(Path(path))
    refuse_unsupported(head)
    for name, reader in FORMATS.items():
        if reader.recognise(head):
            return name
    raise MixflowError(
        Problem(
            f"the format was not recognised (tried: {', '.join(FORMATS)})",
            file=str(path),
            value=", ".join(head.columns[:8]),
            remedy="Set data.format, and data.options where the columns have names of their own.",
        )
    )


def read(
    paths: Sequence[str | Path], format: str = "auto", options: Mapping[str, Any] | None = None
) -> RawTable:
    """Read ``paths`` (files of one format) into one `RawTable`, joined by feature and sample.

    ``format``: a key of `FORMATS`, or 'auto' for `sniff`. ``options``: those of the reader (its ``options``
    say what each means). Raises `MixflowError` naming file, row, column, value and remedy.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise MixflowError(
            Problem("no data file is given", column="data.files", remedy="Name at least one file.")
        )
    names = [sniff(file) if format == "auto" else _known(format) for file in files]
    if len(set(names)) > 1:
        raise MixflowError(
            Problem(
                f"this is {name}, but {files[0].name} is {names[0]}",
                file=str(file),
                remedy="Set data.format.",
            )
            for file, name in zip(files, names, strict=True)
            if name != names[0]
        )
    reader = FORMATS[names[0]]
    given = {key: value for key, value in dict(options or {}).items() if value is not None}
    check_options(reader, given, files[0])
    drop, prefixes = exclusion.rule(given, files[0])
    return exclusion.drop_listed(join([reader.read(file, given) for file in files], files), drop, prefixes)


def _known(format: str) -> str:
    if format not in FORMATS:
        known = ", ".join(["auto", *FORMATS])
        raise MixflowError(
            Problem("unknown format", column="data.format", value=format, remedy=f"One of: {known}.")
        )
    return format
