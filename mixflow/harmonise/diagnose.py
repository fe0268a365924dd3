"""Diagnosis of batch effects: variance shares, principal components and association, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.harmonise.association import Association, associate, batches_tied, sentences
from mixflow.harmonise.columns import column_matrix, column_of
from mixflow.harmonise.masked import centred, fit
from mixflow.harmonise.pca import Components, principal_components
from mixflow.harmonise.quality import coefficient_of_variation
from mixflow.slices import Matrix, blocks

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


def variance_share(
    values: Matrix, factors: pd.DataFrame, is_sample: Mask | None = None
) -> tuple[Values, list[str]]:
    """Share of each feature's variance that only this factor explains (feature, factor), and notes.

    All factors (numbers as one column) enter one least-squares fit in the feature's own samples; a factor's
    share is the rise of the residual sum of squares when it alone is left out, over the total sum of
    squares: the squared semipartial correlation (Cohen, Cohen, West & Aiken 2003, Applied Multiple
    Regression), free of the order of factors. What two factors explain together belongs to neither. NaN
    where a feature has no residual degrees of freedom or no variation. Samples with a missing value in a
    factor are left out (a note says how many).
    """
    chosen = np.ones(values.shape[1], dtype=bool) if is_sample is None else np.asarray(is_sample, dtype=bool)
    whole = factors.notna().all(axis=1).to_numpy()
    rows = chosen & whole
    gone = int((chosen & ~whole).sum())
    notes = (
        [f"{gone} samples with a missing value in a declared factor are left out of the shares."]
        if gone
        else []
    )
    parts = [column_matrix(column_of(factors, name, rows)) for name in factors.columns]
    own = [_shares(values[block][:, rows], parts) for block in blocks(len(values), values.shape[1])]
    return np.concatenate(own), notes


def _shares(values: Values, parts: Sequence[Values]) -> Values:
    """Shares (feature, factor) of a block; ``parts``: the columns of each factor in the samples of values."""
    y = centred(values)[0]
    total = np.nansum(y * y, axis=1)
    ones = np.ones((values.shape[1], 1))
    full = fit(y, np.hstack([ones, *parts]))
    usable = (full.n_obs > full.rank) & (total > 0)
    share = np.full((len(values), len(parts)), np.nan)
    for k in range(len(parts)):
        reduced = fit(y, np.hstack([ones, *(part for i, part in enumerate(parts) if i != k)]))
        rise = np.divide(reduced.rss - full.rss, total, out=np.full(len(y), np.nan), where=usable)
        share[:, k] = np.clip(rise, 0.0, 1.0)
    return share


@dataclass(frozen=True)
class Diagnosis:
    """What the store's group `batch` holds; ``*_after`` and ``components_after`` are None without `after`.

    ``share`` (feature, factor) with ``factors`` as its labels, ``association`` with its own labels, ``cv_*``
    (feature,) of the QC samples (None without any), ``sentences`` for the report.
    """

    factors: list[str]
    share: Values
    share_after: Values | None
    before: Components
    after: Components | None
    association: Association
    cv_before: Values | None
    cv_after: Values | None
    sentences: list[str] = field(default_factory=list)


def diagnose(
    values: Matrix,
    sheet: pd.DataFrame,
    batch_factors: Sequence[str],
    keep: Sequence[str],
    *,
    scale: str,
    after: Matrix | None = None,
    is_sample: Mask | None = None,
    is_qc: Mask | None = None,
    columns: Sequence[str] | None = None,
) -> Diagnosis:
    """Diagnose ``values`` (feature, sample) and, where given, the harmonised values ``after``.

    Either may be read by slices (`mixflow.slices`).

    ``sheet`` has one row a sample; declared factors are ``batch_factors`` and ``keep``; association is
    worked out with ``columns`` (default: keep). ``scale`` is that of values, for the CV of the QC samples.
    """
    role = np.ones(values.shape[1], dtype=bool) if is_sample is None else np.asarray(is_sample, dtype=bool)
    factors = list(dict.fromkeys([*batch_factors, *keep]))
    declared = pd.DataFrame(sheet[factors])
    share, notes = variance_share(values, declared, role)
    others = [c for c in (keep if columns is None else columns) if c not in batch_factors]
    found = associate(sheet.loc[role, list(batch_factors)], sheet.loc[role, others])
    shown = role if is_qc is None else role | np.asarray(is_qc, dtype=bool)
    qc = None if is_qc is None or not np.any(is_qc) else np.asarray(is_qc, dtype=bool)
    return Diagnosis(
        factors,
        share,
        None if after is None else variance_share(after, declared, role)[0],
        _components(values, role, shown),
        None if after is None else _components(after, role, shown),
        found,
        None if qc is None else _variation(values, qc, scale),
        None if qc is None or after is None else _variation(after, qc, scale),
        [*sentences(found), *batches_tied(pd.DataFrame(sheet.loc[role, list(batch_factors)])), *notes],
    )


def _components(values: Matrix, role: Mask, shown: Mask) -> Components:
    """Components with axes from role `sample`, QC samples projected, all other samples NaN."""
    return principal_components(values, role, shown=shown)


def _variation(values: Matrix, qc: Mask, scale: str) -> Values:
    parts = blocks(len(values), values.shape[1])
    return np.concatenate([coefficient_of_variation(values[part], qc, scale) for part in parts])
