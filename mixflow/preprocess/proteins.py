"""The one call from raw precursors to what is fitted by protein (docs/proteins-input.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mixflow.preprocess import rollup
from mixflow.preprocess.filters import apply_filters
from mixflow.preprocess.prepare import Prepared, prepare
from mixflow.preprocess.rollup import Proteins
from mixflow.preprocess.scales import Mask, Values


@dataclass(frozen=True)
class PreparedProteins:
    """Result of :func:`prepare_proteins`.

    ``protein``: the protein table after roll-up and filters, as `prepare` gives one, its features being
    ``proteins.ids``; ``level`` (protein, run) the same before the filters; ``precursor``: the precursors
    after transform, normalisation and references, `dropped_by` saying why one belongs to no kept protein;
    ``rows_fitted``: whether models read the precursors' own rows (method none) or the protein table.
    """

    protein: Prepared
    level: Values
    precursor: Prepared
    proteins: Proteins
    rows_fitted: bool
    precursors: tuple[str, ...]
    runs: tuple[str, ...]
    is_sample: Mask

    def rows(self) -> pd.DataFrame:
        """Long frame `protein, peptide, run, value` of the kept proteins, samples only: the ragged fit's."""
        frame = rollup.long_rows(
            self.precursor.value, self.proteins, self.precursors, self.runs, self.is_sample
        )
        kept = set(np.asarray(self.proteins.ids, dtype=object)[self.protein.kept])
        return frame[frame["protein"].isin(kept)].reset_index(drop=True)


def prepare_proteins(
    values: Values,
    scale: str,
    config: Mapping[str, Any],
    annotation: pd.DataFrame,
    *,
    features: Sequence[str],
    samples: Sequence[str],
    is_sample: Mask | None = None,
    is_reference: Mask | None = None,
    sheet: pd.DataFrame | None = None,
    unit: str | None = None,
) -> PreparedProteins:
    """Transform, normalise, scale by references, meet the proteins, roll up, filter: in this order.

    ``values`` (precursor, run) as read; ``config`` the key `preprocess` with `summarise`; ``annotation`` rows
    as ``values``, with the column that names the proteins; ``is_reference`` (run,) role is `reference`;
    ``sheet`` sample columns (rows as ``samples``). The filters look at the proteins. Raises MixflowError for
    what does not fit.
    """
    role = np.ones(values.shape[1], dtype=bool) if is_sample is None else np.asarray(is_sample, dtype=bool)
    steps = {**config, "filters": {"near_zero_variance": False}, "summarise": None}
    roles = {"is_sample": role, "is_reference": is_reference}
    ready = prepare(values, scale, steps, **roles, sheet=sheet, unit=unit, features=features, samples=samples)
    rollup.check(config, ready.scale)
    proteins = rollup.assign(annotation, ready.value, config, role)
    level = rollup.polished(ready.value, proteins)
    protein = _filtered(ready, level, proteins, config, role, sheet)
    precursor = _precursors(ready, proteins, protein)
    method = (config.get("summarise") or {}).get("method", "median-polish")
    return PreparedProteins(
        protein, level, precursor, proteins, method == "none", tuple(features), tuple(samples), role
    )


def _precursors(ready: Prepared, proteins: Proteins, protein: Prepared) -> Prepared:
    """The precursors, each kept with its protein or dropped by what dropped it."""
    kept = proteins.of >= 0
    kept[kept] = protein.kept[proteins.of[kept]]
    by_protein = (proteins.dropped_by == "") & ~kept
    reason = proteins.dropped_by.copy()
    reason[by_protein] = protein.dropped_by[proteins.of[by_protein]]
    return replace(ready, kept=kept, dropped_by=reason, dropped=_counts(reason[~kept]))


def _filtered(
    ready: Prepared,
    level: Values,
    proteins: Proteins,
    config: Mapping[str, Any],
    is_sample: Mask,
    sheet: pd.DataFrame | None,
) -> Prepared:
    """The protein table with the filters that look at any feature; those by precursors are done."""
    filters = {k: v for k, v in (config.get("filters") or {}).items() if k not in rollup.COUNTED}
    found = apply_filters(level, level, ready.scale, filters, is_sample, sheet)
    dropped = {name: len(ids) for name, ids in proteins.dropped.items()} | found.counts
    notes = [*ready.notes, *proteins.notes, _note(level, proteins)]
    value = np.where(found.kept[:, None], level, np.nan)
    return replace(
        ready, value=value, kept=found.kept, dropped_by=found.dropped_by, dropped=dropped, notes=notes
    )


def _note(level: Values, proteins: Proteins) -> str:
    single = int((proteins.table["n_precursors"] == 1).sum())
    return (
        f"{int((proteins.of >= 0).sum())} precursors were summarised to {len(level)} proteins by Tukey's "
        f"median polish ({single} of them have a single precursor)."
    )


def _counts(reasons: np.ndarray) -> dict[str, int]:
    names, numbers = np.unique(reasons.astype(str), return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))
