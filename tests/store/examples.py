"""A small tree with every kind of group, for the tests of the store."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.store import frames, provenance


def samples(n: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "AD": pd.Categorical(["AD", "control"] * (n // 2), categories=["control", "AD"]),
            "age": np.linspace(60, 80, n),
            "a/b %": ["x"] * n,
        },
        index=[f"s{i}" for i in range(n)],
    )


def data(n_features: int = 5, n_samples: int = 6) -> dict[str, xr.Dataset]:
    rng = np.random.default_rng(1)
    raw = rng.normal(20, 1, (n_features, n_samples))
    raw[:1, 0] = np.nan
    ids = np.array([f"P{i:05d}" for i in range(n_features)], dtype=object)
    table = samples(n_samples)
    annotation = pd.DataFrame({"name": [f"GENE{i}" for i in range(n_features)]}, index=ids)
    return {
        "data": xr.Dataset(
            {
                "raw": (("feature", "sample"), raw, {"unit": "log2"}),
                "kept": ("feature", np.ones(n_features, bool)),
            },
            coords={"feature": ids, "sample": np.asarray(table.index, dtype=object)},
            attrs={"scale": "log2", "dropped": json.dumps({"decoy": ["REV1"]})},
        ),
        "data/samples": frames.dataset(table, "sample", {"age": {"unit": "years"}}),
        "data/features": frames.dataset(annotation, "feature"),
    }


def tree(n_features: int = 5, n_samples: int = 6) -> xr.DataTree:
    step = provenance.Clock().step("ingest", config_hash="abc", seed=1)
    groups = {
        **data(n_features, n_samples),
        "provenance": provenance.group([step], study="tiny", title="Tiny"),
    }
    return xr.DataTree.from_dict(groups)
