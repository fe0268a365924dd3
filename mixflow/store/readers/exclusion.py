"""Decoys and contaminants: told by a format's flags or by the start of an accession, dropped and counted."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow import slices
from mixflow.errors import MixflowError, Problem
from mixflow.store.readers.raw import RawTable

DECOY, CONTAMINANT, BY_SITE = "decoy", "contaminant", "only identified by site"
DECOY_PREFIXES = ("REV__", "rev_", "DECOY_", "decoy_")
CONTAMINANT_PREFIXES = ("CON__", "contam_", "Cont_", "cRAP")
_SEPARATORS = re.compile(r"[;|,\s]+")


def rule(options: Mapping[str, Any], file: Path) -> tuple[bool, tuple[str, ...]]:
    """Option ``contaminants`` as (drop, further prefixes); a malformed one is refused."""
    given = options.get("contaminants", {})
    drop = given.get("drop", True) if isinstance(given, dict) else None
    patterns = given.get("patterns", []) if isinstance(given, dict) else []
    if not isinstance(drop, bool) or not isinstance(patterns, list | tuple) or not all(map(str, patterns)):
        raise MixflowError(
            Problem(
                "contaminants are not given as {drop: true or false, patterns: [starts of accessions]}",
                file=str(file),
                column="data.contaminants",
                value=given,
                remedy="Write for example: contaminants: {drop: true, patterns: [CON__, P00761]}.",
            )
        )
    return drop, tuple(map(str, patterns))


def starts_with_any(texts: Sequence[str], prefixes: Sequence[str]) -> np.ndarray:
    """For each text: whether an accession in it (by ';', '|', ',' or blanks) starts with a prefix."""
    starts = tuple(prefixes)
    return np.array(
        [bool(starts) and any(part.startswith(starts) for part in _SEPARATORS.split(text)) for text in texts],
        dtype=bool,
    )


def flagged(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Rows with a '+' in one of the columns ``names`` (those that the table has)."""
    out = np.zeros(len(frame), dtype=bool)
    for name in names:
        if name in frame.columns:
            out |= (frame[name].str.strip() == "+").to_numpy()
    return out


def first_reason(
    reasons: Mapping[str, np.ndarray], ids: Sequence[str]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Rows kept, and ids left out by reason; a row counts for the first reason that holds."""
    gone = np.zeros(len(ids), dtype=bool)
    dropped: dict[str, list[str]] = {}
    for reason, mask in reasons.items():
        new = mask & ~gone
        gone |= mask
        if new.any():
            dropped[reason] = [ids[i] for i in np.flatnonzero(new).tolist()]
    return ~gone, dropped


def sentences(name: str, dropped: Mapping[str, list[str]]) -> list[str]:
    """One note for each reason."""
    return [f"{name}: {len(ids)} feature(s) dropped: {reason}." for reason, ids in dropped.items()]


def drop_listed(raw: RawTable, drop: bool, prefixes: Sequence[str]) -> RawTable:
    """``raw`` without features whose id, or protein annotation, starts with one of the user's prefixes."""
    if not drop or not prefixes:
        return raw
    columns = [name for name in ("protein", "proteins") if name in raw.features.columns]
    parts = [list(raw.feature_ids), *(raw.features[name].tolist() for name in columns)]
    mask = starts_with_any([";".join(cells) for cells in zip(*parts, strict=True)], prefixes)
    kept, dropped = first_reason({CONTAMINANT: mask}, raw.feature_ids)
    ids = tuple(name for name, keep in zip(raw.feature_ids, kept, strict=True) if keep)
    merged = {**raw.dropped, CONTAMINANT: raw.dropped.get(CONTAMINANT, []) + dropped.get(CONTAMINANT, [])}
    count = len(dropped.get(CONTAMINANT, []))
    note = f"{count} feature(s) dropped: listed in data.contaminants ({', '.join(prefixes)})."
    return dataclasses.replace(
        raw,
        values=slices.taken(raw.values, np.flatnonzero(kept)),
        feature_ids=ids,
        features=raw.features.loc[list(ids)],
        notes=[*raw.notes, note],
        dropped={reason: found for reason, found in merged.items() if found},
    )
