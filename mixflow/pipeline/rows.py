"""Models that read the rows of each protein (see mixflow.study.rows): from the store to the ragged fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from mixflow.design import Design
from mixflow.model import Fit
from mixflow.pipeline.proteins import PRECURSORS
from mixflow.store import zarr_io
from mixflow.study.rows import PEPTIDE, frame_of

if TYPE_CHECKING:
    from mixflow.pipeline.fit import Task


def load(
    tree: xr.DataTree, data: Path, kept: np.ndarray, samples: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Values (n,), the number in ``kept`` of each one's protein (n,), and the frame of the n rows.

    One row for each value of a precursor of the proteins ``kept`` (ids) in one of ``samples``, ordered by
    protein, precursor and sample. ``tree``: the store ``data``.
    """
    group = zarr_io.group(tree, PRECURSORS)
    columns = pd.Index(group["sample"].values.astype(str)).get_indexer(samples.index)
    value = zarr_io.values(group["value"], data)[:, columns]
    protein = pd.Index(kept).get_indexer(group["protein"].values)
    i, j = np.nonzero(~np.isnan(value) & (protein >= 0)[:, None])
    order = np.argsort(protein[i], kind="stable")
    i, j = i[order], j[order]
    return value[i, j], protein[i], frame_of(samples, j, group["precursor"].values[i])


def fit(
    task: Task, design: Design, part: slice, options: dict[str, Any], progress: Callable[[int, int], None]
) -> Fit:
    """Fit the proteins ``part`` of the task.

    The design is that of all rows whatever the shard, so that every shard has the same coefficients; rows of
    other proteins are missing.
    """
    from mixflow.optimise.ragged import fit_ragged

    assert task.feature_of_row is not None
    feature = task.feature_of_row[design.rows]
    own = (feature >= part.start) & (feature < part.stop)
    found = fit_ragged(
        design,
        np.where(own, task.values[design.rows], np.nan),
        np.where(own, feature - part.start, 0),
        task.feature_ids[part],
        reml=task.plan.reml,
        progress=progress,
        **options,
    )
    return with_modes_of_samples(found, design)


def with_modes_of_samples(found: Fit, design: Design) -> Fit:
    """Conditional modes of the groups that samples make, not of peptides, in every shard alike."""
    names: dict[str, list[Any]] = {}
    for term in design.random:
        if PEPTIDE not in term.factors:
            names.setdefault(term.group, []).append(term)
    effects = {
        group: tuple((level, column) for level in terms[0].levels for t in terms for column in t.terms)
        for group, terms in names.items()
    }
    n = len(found.feature_ids)
    lost = {group: np.full((n, len(pairs)), np.nan) for group, pairs in effects.items()}
    return replace(
        found,
        effect_names=effects,
        modes={group: found.modes.get(group, lost[group]) for group in effects},
        mode_sds={group: found.mode_sds.get(group, lost[group]) for group in effects},
    )


def observed(task: Task, design: Design) -> Any:
    """Which rows of the design are values of which feature: sparse (N, n)."""
    assert task.feature_of_row is not None
    feature = task.feature_of_row[design.rows]
    ones = np.ones(len(feature), dtype=np.int32)
    shape = (len(task.feature_ids), len(feature))
    return sparse.csr_array((ones, (feature, np.arange(len(feature)))), shape=shape)
