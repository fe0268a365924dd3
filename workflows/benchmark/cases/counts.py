"""Data of the generalised cases: features bootstrapped from Romero's vaginal microbiome, and NEBULA's example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SHARED = Path("../shared/data")
ROMERO = [SHARED / "microbiome" / name for name in ("romero_metadata.tsv", "romero_otu_counts.tsv.gz")]
NEBULA = SHARED / "singlecell" / "nebula_sample_data.tsv.gz"
PREVALENT = 0.1
"""Taxa seen in a smaller share of the samples are left out."""


def table(data: dict[str, Any], seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Sample sheet and outcomes (feature, sample): counts, presence (0, 1), or ordered grades from 0."""
    if data["kind"] == "nebula":
        cells = pd.read_csv(NEBULA, sep="\t").sort_values("sid", kind="stable")
        sheet = cells[["X1", "X2"]].assign(
            sid="s" + cells["sid"].astype(str), case=1.0 * (cells["cc"] == "case"), reads=cells["offset"]
        )
        return sheet.reset_index(drop=True), cells.loc[:, "A":"J"].to_numpy(float).T
    sheet, counts = romero(data["features"], np.random.default_rng(seed))
    if data["outcome"] == "presence":
        return sheet, (counts > 0).astype(float)
    return sheet, grades(counts / sheet["reads"].to_numpy()) if data["outcome"] == "grade" else counts


def romero(features: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Each feature: a taxon drawn at random, the samples of each subject drawn with replacement.

    A drawn sample gives its share of reads; the count is redrawn at the depth of the sample whose place it takes.
    """
    meta = pd.read_csv(ROMERO[0], sep="\t")
    counts = pd.read_csv(ROMERO[1], sep="\t").drop(columns="sample").to_numpy(float)
    reads = meta["Total.Read.Counts"].to_numpy()
    share = counts[:, (counts > 0).mean(axis=0) >= PREVALENT] / reads[:, None]
    place = np.tile(np.arange(len(meta)), (features, 1))
    for rows in meta.groupby("Subect_ID").indices.values():
        place[:, rows] = rng.choice(rows, (features, len(rows)))
    taxon = rng.integers(0, share.shape[1], features)
    drawn = rng.binomial(reads, share[place, taxon[:, None]]).astype(float)
    depth = np.log(reads) - np.log(reads).mean()
    sheet = {"subject": meta["Subect_ID"].astype(str), "pregnant": meta["pregnant"].astype(float)}
    return pd.DataFrame(sheet | {"reads": reads.astype(float), "depth": depth}), drawn


def grades(share: np.ndarray) -> np.ndarray:
    """0 absent, 1 to 3 by thirds of the shares above zero of the feature. (feature, sample)."""
    some = np.where(share > 0, share, np.nan)
    cuts = np.nanquantile(some, [1 / 3, 2 / 3], axis=1)
    return (share > 0) + (share > cuts[0][:, None]) * 1.0 + (share > cuts[1][:, None])
