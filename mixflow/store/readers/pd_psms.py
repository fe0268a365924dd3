"""Proteome Discoverer's table of PSMs of a TMT experiment: one row a spectrum, one column a channel.

What is done is what MSstatsTMT does (Huang et al. 2020, Mol Cell Proteomics 19:1706; MSstatsConvert's
`.aggregatePSMstoPeptideIons`), but for shared PSMs, which stay in the table: the roll-up to proteins has the
rule for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.store.readers import exclusion
from mixflow.store.readers.common import TABLE_OPTIONS, as_numbers, build, open_table, zeros_to_missing
from mixflow.store.readers.opening import refuse
from mixflow.store.readers.raw import Head, RawTable, Reader
from mixflow.store.readers.table import Table
from mixflow.store.readers.tmt_annotation import Channels, read_channels

OPTIONS = {
    **TABLE_OPTIONS,
    "channels": "table beside the data, a row for each run and channel (Run, Channel, Condition ...)",
    "min_channels": "channels in which a PSM must be measured (default 3); others are set aside",
}
MIN_CHANNELS = 3
_CHANNEL = re.compile(r"abundance(\d{3}[nc]?)")
_FIELDS = {
    "annotatedsequence": "peptide",
    "modifications": "modifications",
    "charge": "charge",
    "spectrumfile": "run",
    "masterproteinaccessions": "protein",
    "proteinaccessions": "proteins",
    "masterproteindescriptions": "description",
    "contaminant": "contaminant",
    "isolationinterference": "interference",
    "isolationinterferenceinpercent": "interference",
    "ionsscore": "score",
    "xcorr": "score",
}
_NEEDED = ("peptide", "charge", "run")
_FLANKS = re.compile(r"^\[[^\]]*\]\.(.*)\.\[[^\]]*\]$")
_DESCRIBE = ("protein", "proteins", "peptide", "modifications", "charge", "description")


@dataclass(frozen=True)
class _Psms:
    """``frame``: a row for each PSM, columns under mixflow's names; ``values`` (PSM, channel)."""

    frame: pd.DataFrame
    values: np.ndarray
    channels: list[str]

    def __getitem__(self, kept: np.ndarray) -> _Psms:
        return _Psms(self.frame[kept].reset_index(drop=True), self.values[kept], self.channels)


def flat(name: str) -> str:
    """A column's name without blanks, dots, brackets and the `X.` that R puts before a `#`."""
    return re.sub(r"[^a-z0-9]+", "", re.sub(r"^X\.+", "", name).lower())


def recognise(head: Head) -> bool:
    """Columns of abundances by channel beside those of a PSM."""
    names = {flat(name) for name in head.columns}
    return any(map(_CHANNEL.fullmatch, names)) and {"annotatedsequence", "spectrumfile"} <= names


def read(path: Path, options: dict[str, Any]) -> RawTable:
    """Read Proteome Discoverer's PSMs: feature = peptide ion, sample = run and channel (`run|channel`).

    An empty cell and a zero are missing. Of several PSMs of an ion in a run one is taken: that with most
    channels measured, then the least isolation interference, the highest score, the highest sum. Runs that
    the table of channels calls fractions of one mixture are one run.
    """
    table = open_table(path, options)
    psms = _psms(table, options)
    kept, dropped = _excluded(psms, table, options)
    told = Channels(path, psms.channels, options.get("channels"))
    runs, samples = read_channels(told, psms.frame["run"].unique().tolist())
    psms = _measured(psms[kept], table, options)
    total, notes = len(kept), [f"{path.name}: {len(kept)} PSMs, {len(psms.channels)} channels."]
    if not len(psms.frame):
        raise refuse(path, "no PSM is left", "Lower data.options.min_channels.", value=total)
    notes.append(
        f"{int(kept.sum()) - len(psms.frame)} PSMs with fewer than {_least(table, options)} channels."
    )
    psms = _Psms(psms.frame.assign(run=psms.frame["run"].map(runs)), psms.values, psms.channels)
    chosen = _best(psms)
    notes.append(f"{len(psms.frame) - len(chosen.frame)} PSMs of an ion that has a better one in the run.")
    features, values = _matrix(chosen, samples)
    return build(table, values, features, samples, "pd-psms", "intensity", notes, dropped)


def _psms(table: Table, options: Mapping[str, Any]) -> _Psms:
    names = {str(name): flat(str(name)) for name in table.frame.columns}
    columns = {
        name: match[1].upper() for name, short in names.items() if (match := _CHANNEL.fullmatch(short))
    }
    fields = {name: _FIELDS[short] for name, short in names.items() if short in _FIELDS}
    lacking = [field for field in _NEEDED if field not in fields.values()]
    if lacking or not columns:
        what = ", ".join(lacking or ["abundance of a channel"])
        raise refuse(
            table.path, f"the table of PSMs has no column for: {what}", "Export all columns of the PSMs."
        )
    frame = table.frame[list(fields)].rename(columns=fields).apply(lambda column: column.str.strip())
    frame = frame.assign(peptide=frame["peptide"].str.replace(_FLANKS, r"\1", regex=True))
    for name in ("interference", "score"):
        given = [key for key, field in fields.items() if field == name]
        frame[name] = as_numbers(table, given, options)[:, 0] if given else 0.0
    parts = [frame[name] for name in ("peptide", "modifications", "charge") if name in frame]
    frame["ion"] = ["_".join(part for part in cells if part) for cells in zip(*parts, strict=True)]
    values, _ = zeros_to_missing(as_numbers(table, list(columns), options))
    return _Psms(frame, values, list(columns.values()))


def _excluded(
    psms: _Psms, table: Table, options: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, list[str]]]:
    drop, _ = exclusion.rule(options, table.path)
    name = next((name for name in ("proteins", "protein") if name in psms.frame), None)
    texts = psms.frame[name].tolist() if name else [""] * len(psms.frame)
    contaminant = exclusion.starts_with_any(texts, exclusion.CONTAMINANT_PREFIXES)
    if "contaminant" in psms.frame:
        contaminant |= (psms.frame["contaminant"].str.lower() == "true").to_numpy()
    decoy = exclusion.starts_with_any(texts, exclusion.DECOY_PREFIXES)
    reasons = {exclusion.DECOY: decoy, exclusion.CONTAMINANT: contaminant & drop}
    kept, dropped = exclusion.first_reason(reasons, psms.frame["ion"].tolist())
    return kept, {reason: list(dict.fromkeys(ids)) for reason, ids in dropped.items()}


def _least(table: Table, options: Mapping[str, Any]) -> int:
    least = options.get("min_channels", MIN_CHANNELS)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        remedy = "Give a whole number from 1."
        raise refuse(
            table.path, "min_channels is no count", remedy, column="data.options.min_channels", value=least
        )
    return least


def _measured(psms: _Psms, table: Table, options: Mapping[str, Any]) -> _Psms:
    return psms[np.sum(~np.isnan(psms.values), axis=1) >= _least(table, options)]


def _best(psms: _Psms) -> _Psms:
    """One PSM for each ion and run; in the order of the table."""
    frame = psms.frame
    order = np.lexsort(
        (
            np.arange(len(frame)),
            -np.nansum(psms.values, axis=1),
            -frame["score"].fillna(-np.inf).to_numpy(),
            frame["interference"].fillna(np.inf).to_numpy(),
            -np.sum(~np.isnan(psms.values), axis=1),
        )
    )
    first = frame.iloc[order].drop_duplicates(["ion", "run"]).index.to_numpy()
    return psms[np.isin(np.arange(len(frame)), first)]


def _matrix(psms: _Psms, samples: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Annotation of the ions, and their values (ion, sample)."""
    code, ions = pd.factorize(psms.frame["ion"])
    described = [name for name in _DESCRIBE if name in psms.frame]
    first = np.unique(code, return_index=True)[1]
    features = psms.frame[described].iloc[first].set_axis(pd.Index(ions, dtype=object), axis=0)
    values = np.full((len(ions), len(samples)), np.nan)
    for j, channel in enumerate(psms.channels):
        place = samples.index.get_indexer(psms.frame["run"] + "|" + channel)
        values[code[place >= 0], place[place >= 0]] = psms.values[place >= 0, j]
    return features, values


READER = Reader("pd-psms", "Proteome Discoverer's PSMs of a TMT experiment", OPTIONS, recognise, read)
