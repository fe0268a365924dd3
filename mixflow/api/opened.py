"""A store opened for fitting: its kept values beside its sample sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.design import Design
from mixflow.store import frames, zarr_io


@dataclass(frozen=True)
class Opened:
    """A study's store; ``tree`` holds everything, the properties what a fit needs."""

    tree: xr.DataTree
    path: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Rows of the sample sheet that are fitted (role 'sample')."""
        table = frames.frame(self.tree)
        return table[table["role"].astype(str) == "sample"] if "role" in table else table

    @cached_property
    def feature_ids(self) -> np.ndarray:
        """Features that passed all filters."""
        data = zarr_io.group(self.tree, "data")
        kept = data["kept"].values if "kept" in data else np.ones(data.sizes["feature"], dtype=bool)
        return np.asarray(data["feature"].values[kept], dtype=object)

    @cached_property
    def values(self) -> np.ndarray:
        """What is fitted: (kept features, rows of ``frame``), NaN where missing."""
        data = zarr_io.group(self.tree, "data")
        name = "value" if "value" in data else "raw"
        return data[name].sel(feature=self.feature_ids, sample=self.frame.index.to_numpy()).values

    def __repr__(self) -> str:
        return f"<mixflow store '{self.path}': {len(self.feature_ids)} features x {len(self.frame)} samples>"


def outcomes(data: pd.DataFrame | Opened, design: Design, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is fitted (N, n) on these ``rows``, and its names: the features of a store, or the one response."""
    if isinstance(data, Opened):
        return data.values[:, rows], np.asarray(data.feature_ids, dtype=object)
    values = np.asarray(design.response, dtype=float)[None, :]
    return values, np.array([design.terms.response], dtype=object)


def open_store(path: str | Path) -> Opened:
    """Open a store that mixflow wrote; raises MixflowError where it is none or does not fit its schema."""
    return Opened(zarr_io.open(Path(path)), Path(path))
