"""A large made-up study: numbers at random, in the shape of 20,000 features x 20 contrasts."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from scipy import stats

from mixflow.status import Status
from tests.report.synthetic import fit_dataset, q_values, study
from tests.report.synthetic_data import provenance


def big(n_features: int = 20_000, n_contrasts: int = 20, seed: int = 3) -> xr.DataTree:
    """The made-up study with its features repeated and ``n_contrasts`` random contrasts of one model."""
    small = study(n_features=400, n_subjects=50)
    rng = np.random.default_rng(seed)
    ids = np.array([f"ENSG{i:011d}.{i % 9}" for i in range(n_features)], dtype=object)
    take = np.arange(n_features) % 400
    raw = small["data"]["raw"].values[take] * rng.lognormal(0, 0.1, (n_features, 1))
    value = np.log2(raw)
    sample = small["data"]["sample"].values
    dims = ("feature", "sample")
    kept = np.ones(n_features, bool)
    data = xr.Dataset(
        {"raw": (dims, raw), "value": (dims, value), "kept": ("feature", kept)},
        {"feature": ids, "sample": sample},
        small["data"].attrs,
    )
    names = np.array([f"LOC{rng.integers(1e5, 1e6)}" for _ in ids], dtype=object)
    frame = small["data/samples"].to_dataset(inherit=False).to_dataframe()
    frame.index = [str(s) for s in sample]
    rows = frame[frame["role"] == "sample"]
    told = {
        "role": "headline",
        "title": "mixed",
        "formula": "~ dose + time + age + sex + (1 | site)",
        "words": "words",
    }
    few = fit_dataset(
        value[:400][:, (frame["role"] == "sample").to_numpy()], rows, ids[:400], True, rng, told
    )[0]
    fit = few.isel(feature=take).assign_coords(feature=ids)
    fit["share"] = fit["share"] * rng.uniform(0.9, 1.0, (n_features, 1))
    tree = {
        "data": data,
        "data/samples": small["data/samples"].to_dataset(inherit=False),
        "data/features": xr.Dataset({"name": ("feature", names)}),
        "fits/mixed": fit,
        "tests/mixed": random_tests(ids, n_contrasts, fit["coef"].values, rng),
        "provenance": provenance(config="study: big"),
    }
    return xr.DataTree.from_dict(tree)


def random_tests(ids: np.ndarray, n: int, coef: np.ndarray, rng: np.random.Generator) -> xr.Dataset:
    """tests/<model> with estimates, errors and Satterthwaite-like df that differ in every cell."""
    shape = (len(ids), n)
    error = rng.gamma(8, 0.03, shape)
    t = rng.normal(0, 1, shape) + np.where(rng.random(shape) < 0.05, rng.normal(0, 5, shape), 0)
    df = rng.uniform(60, 95, shape)
    p = 2 * stats.t.sf(np.abs(t), df)
    half = stats.t.isf(0.025, df) * error
    q = np.column_stack([q_values(column) for column in p.T])
    values = dict(
        estimate=t * error,
        std_error=error,
        df=df,
        statistic=t,
        p_value=p,
        log10_p=np.log10(p),
        q_value=q,
        conf_low=t * error - half,
        conf_high=t * error + half,
        status=np.full(shape, Status.OK, dtype="int8"),
    )
    facts = [
        {
            "name": f"contrast {i}",
            "text": f"dose: contrast {i}",
            "factor": "dose",
            "levels": ["high", "control"],
            "reference": "control",
        }
        for i in range(n)
    ]
    data = {name: (("feature", "contrast"), value) for name, value in values.items()}
    data["matrix"] = (("contrast", "coef"), rng.normal(size=(n, len(coef))))
    names = np.array([f["name"] for f in facts], dtype=object)
    coords = {"feature": ids, "contrast": names, "coef": coef}
    return xr.Dataset(
        data,
        coords,
        dict(contrasts=json.dumps(facts), adjust="within", alpha=0.05, df_method="satterthwaite"),
    )
