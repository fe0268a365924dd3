"""From precursors to proteins: which belong to which, rows for the ragged fit, roll-up by median polish.

docs/proteins-input.md states the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.median_polish import median_polish
from mixflow.preprocess.scales import Mask, Values

COLUMN = "preprocess.summarise"
CHOICES = {"to": ("protein",), "method": ("median-polish", "none"), "shared": ("drop", "group")}
ADDITIVE = frozenset({"log2", "log1p", "logit"})
"""Scales on which a precursor's efficiency is added to its protein's level."""
COUNTED = ("min_precursors", "min_runs")
"""Filters of preprocess.filters that count within a protein."""
SHARED, UNKNOWN = "shared by several proteins", "no protein given"
SEPARATOR = ";"


@dataclass(frozen=True)
class Proteins:
    """Precursors met with their proteins.

    ``ids``: kept proteins, in order of first appearance; ``of`` (precursor,) position of its protein in
    ``ids``, -1 where it has none or was set aside; ``dropped_by`` (precursor,) why, '' where kept;
    ``table``: by protein id: ``name``, ``n_precursors`` and ``n_runs`` (with a value in a sample);
    ``dropped``: filter -> ids of proteins set aside; ``notes``: sentences.
    """

    ids: tuple[str, ...]
    of: NDArray[np.int64]
    dropped_by: NDArray[np.object_]
    table: pd.DataFrame
    dropped: dict[str, list[str]]
    notes: list[str]


def wanted(config: Mapping[str, Any]) -> bool:
    """Whether the key `preprocess` asks for proteins."""
    return bool(config.get("summarise"))


def check(config: Mapping[str, Any], scale: str) -> None:
    """Refuse a `preprocess.summarise` that is malformed or does not fit ``scale`` (after the transform)."""
    spec = dict(config.get("summarise") or {})
    filters = config.get("filters") or {}
    if not spec:
        for name in COUNTED:
            if filters.get(name):
                message = f"{name} counts within a protein, but the features are not summarised to proteins."
                remedy = "Set preprocess.summarise: {to: protein}, or remove the filter."
                raise _refused(message, f"preprocess.filters.{name}", filters[name], remedy)
        return
    for key, choices in CHOICES.items():
        if spec.get(key, choices[0]) not in choices:
            raise _refused("Unknown value.", f"{COLUMN}.{key}", spec[key], f"One of: {', '.join(choices)}.")
    for name in COUNTED:
        _least(filters, name)
    if scale not in ADDITIVE:
        message = f"Proteins are summarised on a log scale, but the values are on the scale '{scale}'."
        raise _refused(message, COLUMN, scale, "Set preprocess.transform: log2.")


def _refused(message: str, column: str, value: Any, remedy: str) -> MixflowError:
    return MixflowError(Problem(message, column=column, value=value, remedy=remedy))


def _least(filters: Mapping[str, Any], name: str) -> int:
    value = filters.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _refused(
            "A whole number from 1 is needed.", f"preprocess.filters.{name}", value, "For example 2."
        )
    return value


def assign(
    annotation: pd.DataFrame, value: Values, config: Mapping[str, Any], is_sample: Mask | None = None
) -> Proteins:
    """Precursors (rows of ``annotation`` and of ``value``, (precursor, run)) met with their proteins.

    The proteins of a precursor are the accessions in the column `proteins`, else `protein`, or the column
    named by summarise.column, divided by ';'. ``shared: drop`` sets aside precursors of several proteins;
    ``group`` takes each set of proteins as a feature of its own. Then the filters `min_precursors` and
    `min_runs`: a precursor, or run, counts where it has a value in a sample (``is_sample`` (run,)).
    """
    spec = dict(config.get("summarise") or {})
    groups = [_accessions(text) for text in annotation[protein_column(annotation.columns, spec)].astype(str)]
    dropped_by = np.full(len(groups), "", dtype=object)
    dropped_by[[not group for group in groups]] = UNKNOWN
    if spec.get("shared", "drop") == "drop":
        dropped_by[[len(group) > 1 for group in groups]] = SHARED
    notes = _notes(dropped_by, groups)
    codes, names = _codes(groups, dropped_by == "")
    seen = ~np.isnan(value if is_sample is None else value[:, is_sample])
    n_precursors, n_runs = _counts(codes, seen, len(names))
    reason = _filtered(config.get("filters") or {}, n_precursors, n_runs)
    dropped_by = np.where((codes >= 0) & (reason[codes] != ""), reason[codes], dropped_by)
    kept = np.flatnonzero(reason[:-1] == "")
    place = np.full(len(names) + 1, -1)  # the last: precursors without a protein
    place[kept] = np.arange(len(kept))
    ids = tuple(names[i] for i in kept.tolist())
    table = _table(annotation, codes, ids, kept).assign(n_precursors=n_precursors[kept], n_runs=n_runs[kept])
    dropped = {name: [names[i] for i in np.flatnonzero(reason == name).tolist()] for name in COUNTED}
    return Proteins(ids, place[codes], dropped_by, table, {k: v for k, v in dropped.items() if v}, notes)


def _table(
    annotation: pd.DataFrame, codes: NDArray[np.int64], ids: tuple[str, ...], kept: NDArray[np.int64]
) -> pd.DataFrame:
    """Annotation of the kept proteins: gene and description as their first precursor has them."""
    member = np.flatnonzero(codes >= 0)
    first = member[np.unique(codes[member], return_index=True)[1]][kept]
    index = pd.Index(ids, dtype=object)
    beside = [name for name in ("gene", "description") if name in annotation.columns]
    found = annotation[beside].iloc[first].set_axis(index, axis=0)
    genes = found["gene"] if "gene" in beside else pd.Series("", index=index)
    names = [gene.split(SEPARATOR)[0].strip() or i for gene, i in zip(genes, ids, strict=True)]
    return pd.concat([pd.DataFrame({"name": names}, index=index, dtype=object), found], axis=1)


def protein_column(columns: Iterable[str], spec: Mapping[str, Any]) -> str:
    """Which of the annotation's columns names the proteins; ``spec``: the key `summarise`. Raises where none."""
    asked, columns = spec.get("column"), list(columns)
    found = [name for name in ([asked] if asked else ["proteins", "protein"]) if name in columns]
    if not found:
        known = ", ".join(map(str, columns)) or "none"
        message = "The table says nothing of the proteins of its features."
        remedy = f"Name their column in {COLUMN}.column (there are: {known}), or add it by data.features."
        raise _refused(message, f"{COLUMN}.column", asked or "proteins, protein", remedy)
    return found[0]


def _accessions(text: str) -> tuple[str, ...]:
    """The different proteins named in a cell, in their order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(SEPARATOR) if part.strip()))


def _notes(dropped_by: NDArray[np.object_], groups: Sequence[tuple[str, ...]]) -> list[str]:
    several = sum(len(group) > 1 for group in groups)
    share = f"{several} of {len(groups)} precursors ({100 * several / max(len(groups), 1):.1f} %)"
    rule = (
        "were set aside" if (dropped_by == SHARED).any() else "form features of their own, one for each set"
    )
    notes = [f"{share} belong to several proteins and {rule}."] if several else []
    unknown = int((dropped_by == UNKNOWN).sum())
    return notes + ([f"{unknown} precursors without a protein were set aside."] if unknown else [])


def _codes(groups: Sequence[tuple[str, ...]], kept: Mask) -> tuple[NDArray[np.int64], list[str]]:
    """Position of each precursor's protein (or set of proteins, whatever its order), -1 where not kept."""
    names: dict[frozenset[str], tuple[int, str]] = {}
    codes = np.full(len(groups), -1)
    for i in np.flatnonzero(kept).tolist():
        key = frozenset(groups[i])
        codes[i] = names.setdefault(key, (len(names), SEPARATOR.join(groups[i])))[0]
    return codes, [name for _, name in names.values()]


def _counts(codes: NDArray[np.int64], seen: Mask, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each protein: its precursors with a value, its runs with a value."""
    member = codes >= 0
    n_precursors = np.bincount(codes[member & seen.any(axis=1)], minlength=n)
    runs = np.zeros((n, seen.shape[1]), dtype=bool)
    np.logical_or.at(runs, codes[member], seen[member])
    return n_precursors, runs.sum(axis=1)


def _filtered(
    filters: Mapping[str, Any], n_precursors: NDArray[np.int64], n_runs: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Name of the filter that sets a protein aside; '' (also at the end, for no protein) where none does."""
    reason = np.full(len(n_runs) + 1, "", dtype=object)
    for name, counts in zip(COUNTED, (n_precursors, n_runs), strict=True):
        reason[:-1][(counts < _least(filters, name)) & (reason[:-1] == "")] = name
    return reason


def long_rows(
    value: Values,
    proteins: Proteins,
    precursors: Sequence[str],
    runs: Sequence[str],
    is_sample: Mask | None = None,
) -> pd.DataFrame:
    """One row for each value (precursor, run) of a kept protein: columns `protein, peptide, run, value`.

    `peptide` is the feature of the raw table (the precursor), `run` its sample. Ordered by protein,
    precursor, run, as ``proteins.ids``, ``precursors`` and ``runs`` are; missing values have no row. Only
    runs of role sample (``is_sample``), as only these are fitted.
    """
    chosen = ~np.isnan(value) & (proteins.of >= 0)[:, None]
    if is_sample is not None:
        chosen &= is_sample[None, :]
    i, j = np.nonzero(chosen)
    order = np.argsort(proteins.of[i], kind="stable")
    i, j = i[order], j[order]
    return pd.DataFrame(
        {
            "protein": np.asarray(proteins.ids, dtype=object)[proteins.of[i]],
            "peptide": np.asarray(precursors, dtype=object)[i],
            "run": np.asarray(runs, dtype=object)[j],
            "value": value[i, j],
        }
    )


def polished(value: Values, proteins: Proteins) -> Values:
    """Protein by run (kept proteins of ``proteins``): overall + run of Tukey's median polish.

    ``value`` (precursor, run) on a log scale. Each protein's table has runs in rows and precursors in
    columns, as MSstats' TMP; a run without any precursor is NaN.
    """
    out = np.full((len(proteins.ids), value.shape[1]), np.nan)
    order = np.argsort(proteins.of, kind="stable")[(proteins.of < 0).sum() :]
    sizes = np.bincount(proteins.of[order], minlength=len(proteins.ids))
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes).tolist():
        which = np.flatnonzero(sizes == size)
        members = order[starts[which][:, None] + np.arange(size)[None, :]]
        polish = median_polish(value[members].swapaxes(1, 2))
        out[which] = polish.overall[:, None] + polish.row
    return out
