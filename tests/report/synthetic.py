"""A made-up study as mixflow/store/schema.py declares it: the report is tested without the engine.

Paired subjects, three doses, four sites of which one has only controls that are younger (so that there is
something to doubt), QC samples, missing values that grow as the intensity falls, and every status somewhere.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from mixflow.status import Status
from tests.report.synthetic_data import DOSES, SITES, batch_dataset, data_datasets, provenance

PAIRS = [("dose", "high", "control"), ("dose", "low", "control"), ("time", "week 4", "baseline")]


def _text(values: Any) -> np.ndarray:
    return np.asarray(list(values), dtype=object)


def sheet(n_subjects: int, rng: np.random.Generator) -> pd.DataFrame:
    """Two time points a subject and six QC samples; `Delft` has only young controls."""
    site = rng.choice(4, n_subjects, p=[0.35, 0.3, 0.22, 0.13])
    dose = np.where(site == 3, 0, rng.integers(0, 3, n_subjects))
    age = np.where(site == 3, rng.normal(36, 5, n_subjects), rng.normal(66, 8, n_subjects)).round()
    rows = [
        {
            "sample": f"run_{2 * i + t:03d}",
            "dose": DOSES[dose[i]],
            "time": ["baseline", "week 4"][t],
            "age": age[i],
            "sex": ["female", "male"][i % 2],
            "site": SITES[site[i]],
            "subject": f"P{i:03d}",
            "role": "sample",
        }
        for i in range(n_subjects)
        for t in range(2)
    ]
    empty = {"dose": "", "time": "", "age": np.nan, "sex": "", "subject": "", "role": "qc"}
    rows += [{"sample": f"QC_{i}", "site": SITES[i % 4], **empty} for i in range(6)]
    return pd.DataFrame(rows).set_index("sample")


def measurements(frame: pd.DataFrame, n_features: int, rng: np.random.Generator) -> np.ndarray:
    """Values, feature x sample: dose effects in one of eight, site shifts, paired subjects, gaps."""
    n = len(frame)
    level = rng.normal(18, 2.2, (n_features, 1))
    effect = np.where(np.arange(n_features) % 8 == 0, rng.normal(0.9, 0.5, n_features), 0.0)[:, None]
    weight = frame["dose"].map({"control": 0.0, "low": 0.4, "high": 1.0}).fillna(0.5).to_numpy()
    site = rng.normal(0, 0.6, (n_features, 4))[:, pd.Categorical(frame["site"], SITES).codes]
    subject_code = pd.factorize(frame["subject"])[0]
    subject = rng.normal(0, 0.35, (n_features, subject_code.max() + 1))[:, subject_code]
    late = (
        np.where(np.arange(n_features) % 17 == 4, 0.6, 0.0)[:, None] * (frame["time"] == "week 4").to_numpy()
    )
    value = level + effect * weight + late + site + subject + rng.normal(0, 0.4, (n_features, n))
    value[rng.random(value.shape) < 1 / (1 + np.exp(0.9 * (value - 14.5)))] = np.nan
    value[5, (frame["dose"] != "high").to_numpy()] = np.nan
    return value


def dummies(frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Coefficient names and design of `~ dose + time + age + sex`."""
    columns = {
        "(Intercept)": np.ones(len(frame)),
        "dose[low]": (frame["dose"] == "low").to_numpy(float),
        "dose[high]": (frame["dose"] == "high").to_numpy(float),
        "time[week 4]": (frame["time"] == "week 4").to_numpy(float),
        "age": frame["age"].to_numpy(float),
        "sex[male]": (frame["sex"] == "male").to_numpy(float),
    }
    return list(columns), np.column_stack(list(columns.values()))


def least_squares(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, covariance and n of each feature (NaN where its rows cannot estimate them)."""
    n_coef = x.shape[1]
    beta = np.full((len(y), n_coef), np.nan)
    cov = np.full((len(y), n_coef, n_coef), np.nan)
    n_obs = np.isfinite(y).sum(axis=1)
    for i, row in enumerate(y):
        seen = np.isfinite(row)
        if seen.sum() <= n_coef or np.linalg.matrix_rank(x[seen]) < n_coef:
            continue
        inverse = np.linalg.inv(x[seen].T @ x[seen])
        beta[i] = inverse @ x[seen].T @ row[seen]
        residual = row[seen] - x[seen] @ beta[i]
        cov[i] = inverse * (residual @ residual) / (seen.sum() - n_coef)
    return beta, cov, n_obs


def q_values(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg over the finite p."""
    q = np.full(p.shape, np.nan)
    seen = np.isfinite(p)
    if seen.any():
        q[seen] = stats.false_discovery_control(p[seen])
    return q


def tests_dataset(
    beta: np.ndarray, cov: np.ndarray, n_obs: np.ndarray, ids: np.ndarray, names: list[str]
) -> xr.Dataset:
    """tests/<model>: two pairs of doses and the two time points from a fit by least squares."""
    rows = np.array([[(f"{f}[{a}]" == n) - float(f"{f}[{b}]" == n) for n in names] for f, a, b in PAIRS])
    estimate = beta @ rows.T
    error = np.sqrt(np.einsum("kc,fcd,kd->fk", rows, cov, rows))
    df = np.broadcast_to((n_obs - 6.0)[:, None], estimate.shape).copy()
    df[~np.isfinite(estimate)] = np.nan
    t = estimate / error
    p = 2 * stats.t.sf(np.abs(t), df)
    log10_p = (np.log(2) + stats.t.logsf(np.abs(t), df)) / np.log(10)
    half = stats.t.isf(0.025, df) * error
    status = np.where(np.isfinite(estimate), Status.OK, Status.NOT_ESTIMABLE).astype("int8")
    q = np.column_stack([q_values(column) for column in p.T])
    values = dict(
        estimate=estimate,
        std_error=error,
        df=df,
        statistic=t,
        p_value=p,
        log10_p=log10_p,
        q_value=q,
        conf_low=estimate - half,
        conf_high=estimate + half,
        status=status,
    )
    facts = [
        {"name": f"{a} vs {b}", "text": f"{f}: {a} minus {b}", "factor": f, "levels": [a, b], "reference": b}
        for f, a, b in PAIRS
    ]
    data = {name: (("feature", "contrast"), value) for name, value in values.items()}
    data["matrix"] = (("contrast", "coef"), rows)
    coords = {"feature": ids, "contrast": _text(f["name"] for f in facts), "coef": _text(names)}
    attrs = dict(contrasts=json.dumps(facts), adjust="within", alpha=0.05, df_method="satterthwaite")
    return xr.Dataset(data, coords, attrs)


def observed_levels(y: np.ndarray, groups: pd.DataFrame) -> np.ndarray:
    """How many levels of each grouping factor have a value of each feature, feature x group."""
    counts = [[groups[g].to_numpy()[np.isfinite(row)] for g in groups] for row in y]
    return np.array([[len(set(found)) for found in row] for row in counts], "int32").reshape(len(y), -1)


def fit_dataset(
    y: np.ndarray,
    frame: pd.DataFrame,
    ids: np.ndarray,
    mixed: bool,
    rng: np.random.Generator,
    attrs: dict[str, Any],
) -> tuple[xr.Dataset, xr.Dataset]:
    """fits/<model> and tests/<model> of a made-up model."""
    names, x = dummies(frame)
    beta, cov, n_obs = least_squares(y, x)
    n, c = beta.shape
    groups = ["site", "subject"] if mixed else []
    components = [*groups, "Residual"]
    draws = rng.dirichlet([1.2, 1.5, 3.0] if mixed else [1.0], n)
    singular = mixed & (np.arange(n) % 11 == 3)
    draws[singular, 0] = 0.0
    share = draws / draws.sum(axis=1, keepdims=True)
    failed = ~np.isfinite(beta).all(axis=1)
    status = np.where(failed, Status.NOT_ESTIMABLE, np.where(singular, Status.SINGULAR, Status.OK)).astype(
        "int8"
    )
    n_theta = len(groups)
    pars = n_theta + 1
    data: dict[str, Any] = {
        "beta": (("feature", "coef"), beta),
        "solution": (("feature", "coef"), np.nan_to_num(beta)),
        "beta_cov": (("feature", "coef", "coef_2"), cov),
        "beta_cov_deriv": (("feature", "par", "coef", "coef_2"), np.zeros((n, pars, c, c))),
        "par_cov": (("feature", "par", "par_2"), np.zeros((n, pars, pars))),
        "null_space": (("feature", "coef", "coef_2"), np.zeros((n, c, c))),
        "theta": (("feature", "par_theta"), share[:, :n_theta]),
        "sigma": ("feature", np.full(n, 0.4)),
        "loglik": ("feature", rng.normal(-80, 5, n)),
        "status": ("feature", status),
        "n_obs": ("feature", n_obs.astype("int32")),
        "rank": ("feature", np.full(n, c, "int32")),
        "n_levels": (("feature", "group"), observed_levels(y, frame[groups])),
        "iterations": ("feature", np.full(n, 5, "int32")),
        "variance": (("feature", "component"), share * 0.4),
        "share": (("feature", "component"), np.where(failed[:, None], np.nan, share)),
        "coefficient_p": (("feature", "coef"), np.full((n, c), 0.5)),
    }
    coords: dict[str, Any] = {
        "feature": ids,
        "coef": _text(names),
        "coef_2": _text(names),
        "group": _text(groups),
        "component_group": ("component", _text(components)),
        "component_term": ("component", _text(["(Intercept)"] * n_theta + [""])),
        "component_term_2": ("component", _text([""] * len(components))),
    }
    for group in groups:
        levels = sorted(frame[group].unique())
        coords[f"effect {group}"] = _text(levels)
        dims = ("feature", f"effect {group}")
        data[f"mode {group}"] = (dims, rng.normal(0, 0.4, (n, len(levels))))
        data[f"mode_sd {group}"] = (dims, np.full((n, len(levels)), 0.15))
    few = [{"group": "site", "levels": 4}] if mixed and frame["site"].nunique() < 5 else []
    told = dict(
        family="gaussian",
        reml=True,
        compare_to="",
        n_samples=len(frame),
        rows=json.dumps(list(frame.index)),
        dropped_rows=json.dumps({}),
        few_levels=json.dumps(few),
        references=json.dumps({"dose": "control", "time": "baseline", "sex": "female"}),
        **attrs,
    )
    return xr.Dataset(data, coords, told), tests_dataset(beta, cov, n_obs, ids, names)


def study(n_features: int = 160, n_subjects: int = 30, seed: int = 7) -> xr.DataTree:
    """A study.zarr as a DataTree: four models, three contrasts, 2 n_subjects samples and six QC samples."""
    rng = np.random.default_rng(seed)
    frame = sheet(n_subjects, rng)
    value = measurements(frame, n_features, rng)
    ids = _text(f"F{i:04d}" for i in range(n_features))
    kept = np.isfinite(value).mean(axis=1) > 0.15
    kept[:6] = True
    fitted = (frame["role"] == "sample").to_numpy()
    models = {
        "mixed": (
            True,
            fitted,
            dict(
                role="headline",
                title="sites and subjects random",
                formula="~ dose + time + age + sex + (1 | site) + (1 | subject)",
                words="dose, time, age and sex fixed; a random intercept for each site and subject",
            ),
        ),
        "site-fixed": (
            False,
            fitted,
            dict(
                role="companion",
                title="sites fixed",
                formula="~ dose + time + age + sex + site",
                words="dose, time, age, sex and site as fixed effects",
            ),
        ),
        "ignored": (
            False,
            fitted,
            dict(
                role="sensitivity",
                title="sites ignored",
                formula="~ dose + time + age + sex",
                words="dose, time, age and sex as fixed effects",
            ),
        ),
        "without-Delft": (
            True,
            fitted & (frame["site"] != "Delft").to_numpy(),
            dict(
                role="sensitivity",
                title="without Delft",
                formula="~ dose + time + age + sex + (1 | site) + (1 | subject)",
                words="as the headline, without Delft",
            ),
        ),
    }
    tree: dict[str, xr.Dataset] = data_datasets(value, frame, ids, kept)
    tree["batch"] = batch_dataset(value, frame, ids, rng)
    adjusted = value - rng.normal(0, 0.05, value.shape)
    for name, (mixed, rows, attrs) in models.items():
        y = (value if name == "mixed" else adjusted)[kept][:, rows]
        fit, tests = fit_dataset(y, frame[rows], ids[kept], mixed, rng, attrs)
        tree[f"fits/{name}"], tree[f"tests/{name}"] = fit, tests
    tree["provenance"] = provenance()
    return xr.DataTree.from_dict(tree)
