"""The groups data, batch and provenance of the made-up study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

SITES = ["Aarhus", "Bergen", "Cork", "Delft"]
DOSES = ["control", "low", "high"]


def _text(values: Iterable[Any]) -> np.ndarray:
    return np.asarray(list(values), dtype=object)


def principal_components(value: np.ndarray, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Scores (sample x pc) and shares of the rows without missing values."""
    full = value[np.isfinite(value).all(axis=1)]
    centred = full - full.mean(axis=1, keepdims=True)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    return vt[:n].T * s[:n], (s**2 / (s**2).sum())[:n]


def batch_dataset(
    value: np.ndarray, frame: pd.DataFrame, ids: np.ndarray, rng: np.random.Generator
) -> xr.Dataset:
    """batch: shares and principal components before and after taking the site's means away."""
    after = value.copy()
    for site in SITES:
        members = (frame["site"] == site).to_numpy()
        own = np.ma.masked_invalid(value[:, members]).mean(axis=1, keepdims=True).filled(0)
        after[:, members] += np.ma.masked_invalid(value).mean(axis=1, keepdims=True).filled(0) - own
    before_scores, before_share = principal_components(value)
    after_scores, after_share = principal_components(after)
    share = rng.beta(2, 4, (len(value), 1))
    data = {
        "share": (("feature", "factor"), share),
        "share_after": (("feature", "factor"), share * 0.05),
        "pc_before": (("sample", "pc"), before_scores),
        "pc_after": (("sample", "pc"), after_scores),
        "pc_before_share": ("pc", before_share),
        "pc_after_share": ("pc", after_share),
        "association": (("batch_factor", "column"), np.array([[0.41, 0.78, 0.08]])),
        "association_p": (("batch_factor", "column"), np.array([[0.001, 1e-12, 0.7]])),
        "aliased": (("batch_factor", "column"), np.array([[False, False, False]])),
        "harmonised": (("feature", "sample"), after),
        "cv_before": ("feature", rng.gamma(6, 0.03, len(value))),
        "cv_after": ("feature", rng.gamma(6, 0.022, len(value))),
    }
    coords = {
        "feature": ids,
        "sample": _text(frame.index),
        "factor": _text(["site"]),
        "batch_factor": _text(["site"]),
        "column": _text(["dose", "age", "sex"]),
        "pc": np.arange(1, 4),
    }
    note = "site is partly associated with age (eta = 0.78): the two effects are hard to tell apart."
    attrs = dict(method="mixed", factors=json.dumps(["site"]), fit_on="raw", notes=json.dumps([note]))
    return xr.Dataset(data, coords, attrs)


def data_datasets(
    value: np.ndarray, frame: pd.DataFrame, ids: np.ndarray, kept: np.ndarray
) -> dict[str, xr.Dataset]:
    """data and its tables: sheet, annotation, features seen in one group only."""
    n = len(ids)
    fitted = np.where(kept[:, None], value, np.nan)
    reason = _text(np.where(kept, "", "min_observed"))
    dims = ("feature", "sample")
    data = xr.Dataset(
        {
            "raw": (dims, 2**value),
            "value": (dims, fitted),
            "kept": ("feature", kept),
            "dropped_by": ("feature", reason),
            "size_factor": ("sample", np.zeros(len(frame))),
        },
        {"feature": ids, "sample": _text(frame.index)},
        dict(
            scale="intensity",
            unit="log2 intensity",
            transform="log2",
            normalise="median",
            notes=json.dumps(["12 values of 0 were read as missing."]),
            dropped=json.dumps({"contaminant": ["CON_1", "CON_2"], "min_observed": list(ids[~kept])}),
        ),
    )
    kinds: dict[str, dict[str, Any]] = {
        "dose": dict(kind="factor", levels=json.dumps(DOSES), reference="control", label="dose"),
        "time": dict(kind="factor", levels=json.dumps(["baseline", "week 4"]), reference="baseline"),
        "age": dict(kind="number", unit="years"),
        "sex": dict(kind="factor", levels=json.dumps(["female", "male"]), reference="female"),
        "site": dict(kind="factor", levels=json.dumps(SITES)),
        "subject": dict(kind="factor"),
        "role": {},
    }
    samples = xr.Dataset()
    for name, attrs in kinds.items():
        column = frame[name].to_numpy(float) if name == "age" else _text(frame[name])
        samples[name] = xr.DataArray(column, dims="sample", attrs=attrs)
    names = _text(f"GENE{i}" for i in range(n))
    names[1], names[2] = "2-Mar", "=SUM(A1)"
    features = xr.Dataset(
        {"name": ("feature", names), "protein": ("feature", _text(f"Protein number {i}" for i in range(n)))}
    )
    only = xr.Dataset(
        {
            "feature_id": ("only", ids[5:6]),
            "factor": ("only", _text(["dose"])),
            "level": ("only", _text(["high"])),
            "n_observed": ("only", np.array([14])),
            "n_level": ("only", np.array([16])),
            "n_other": ("only", np.array([44])),
            "p_value": ("only", np.array([1e-9])),
        }
    )
    return {"data": data, "data/samples": samples, "data/features": features, "data/one_group": only}


CONFIG = """\
study: made-up
title: A made-up study of three doses
data: {data_root: /home/someone/secret, files: [table.tsv]}
samples: {unit: {column: subject, allow_repeats: true}}
report: {features: [F0007], top: 20}
"""


def provenance(study: str = "made-up", config: str = CONFIG) -> xr.Dataset:
    """provenance: steps with paths and commands, none of which may be in a copy to share."""
    steps = [
        {
            "step": step,
            "started": "2026-01-05T10:00:00+00:00",
            "seconds": seconds,
            "command": f"mixflow {step} /home/someone/secret/config.yaml",
            "versions": {
                "mixflow": "0.1.0",
                "python": "3.11.2",
                "jax": "0.9.2",
                "numpy": "2.4.0",
                "xarray": "2026.9.0",
            },
            "inputs": {"/home/someone/secret/table.tsv": {"sha256": "ab" * 32, "bytes": 1234}},
            "config_hash": "cd" * 8,
            "git_commit": "0123456789abcdef",
            "seed": 1,
        }
        for step, seconds in (("ingest", 1.5), ("fit", 12.25))
    ]
    attrs = dict(steps=json.dumps(steps), config=config, study=study, title="A made-up study of three doses")
    return xr.Dataset(attrs=attrs)
