"""The made-up study with counts for values: a negative binomial headline, presence by a logistic model beside it."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from mixflow.status import Status
from tests.report.synthetic import study

SEPARATED, SIMPLER = 1, 2
"""Features (rows of the fits) whose coefficient, or whose dispersion, has no finite estimate."""


def counts() -> xr.DataTree:
    """A study.zarr as a DataTree whose models are generalised ones."""
    made = study(n_features=40, n_subjects=12)
    groups = {
        node.path.strip("/"): node.to_dataset(inherit=False) for node in made.subtree if node.path != "/"
    }
    raw = np.round(np.exp2(np.nan_to_num(groups["data"]["value"].values - 14, nan=-9.0)))
    groups["data"] = groups["data"].assign(
        raw=(("feature", "sample"), raw), value=(("feature", "sample"), raw)
    )
    groups["data"] = groups["data"].assign_attrs(
        scale="count", unit="count", transform="none", normalise="none"
    )
    size = ("sample", 1000.0 + np.arange(raw.shape[1]) * 10, {"kind": "number", "label": "library size"})
    groups["data/samples"] = groups["data/samples"].assign(library_size=size)
    groups["fits/mixed"], groups["tests/mixed"] = _nbinom(groups["fits/mixed"], groups["tests/mixed"])
    groups["fits/site-fixed"] = _presence(groups["fits/site-fixed"])
    kept = ("provenance", "batch", "fits/mixed", "tests/mixed", "fits/site-fixed", "tests/site-fixed")
    return xr.DataTree.from_dict({k: v for k, v in groups.items() if k in kept or k.startswith("data")})


def _nbinom(fit: xr.Dataset, tests: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    n = fit.sizes["feature"]
    beta, status, matrix = 0.1 * fit["beta"].values, fit["status"].values.copy(), tests["matrix"].values
    high = [str(c) for c in fit["coef"].values].index("dose[high]")
    beta[SEPARATED, high], status[SEPARATED], status[SIMPLER] = (
        np.nan,
        Status.SEPARATION,
        Status.SIMPLER_FAMILY,
    )
    more, more_cov = np.linspace(-1.0, 3.0, n)[:, None], np.full((n, 1, 1), 0.04)
    more[SIMPLER], more_cov[SIMPLER] = 25.0, np.nan
    fit = fit.assign(
        beta=(("feature", "coef"), beta), status=("feature", status),
        share=(("feature", "component"), np.full(fit["share"].shape, np.nan)),
        more=(("feature", "more_par"), more), more_cov=(("feature", "more_par", "more_par_2"), more_cov),
        free=(("feature", "free_par"), np.zeros((n, 0))),
    ).assign_coords(
        more_component=("more_par", np.array(["dispersion"], object)),
        more_term=("more_par", np.array(["(Intercept)"], object)),
    )  # fmt: skip
    formula = "~ dose + time + age + sex + offset(log(library_size)) + (1 | site) + (1 | subject)"
    fit = fit.assign_attrs(family="nbinom2", link="log", nodes=1, reml=False, formula=formula)
    estimate = np.where(
        (matrix[:, high] != 0)[None], beta @ np.nan_to_num(matrix).T, np.nan_to_num(beta) @ matrix.T
    )
    shift = np.nan_to_num(estimate) * (1 + 0 * tests["estimate"].values)
    shift[SEPARATED, matrix[:, high] != 0] = np.nan
    error = np.sqrt(0.01 + 0 * shift)
    tests = tests.assign({
        name: (("feature", "contrast"), value)
        for name, value in {
            "estimate": shift, "std_error": error, "df": np.inf + 0 * shift, "conf_low": shift - 1.96 * error,
            "conf_high": shift + 1.96 * error,
        }.items()
    })  # fmt: skip
    return fit, tests.assign_attrs(df_method="z")


def _presence(fit: xr.Dataset) -> xr.Dataset:
    told = dict(
        family="binomial", link="logit", nodes=9, reml=False, response="presence", few_levels=json.dumps([])
    )
    free = (("feature", "free_par"), np.zeros((fit.sizes["feature"], 0)))
    return fit.assign(beta=(("feature", "coef"), 0.1 * fit["beta"].values), free=free).assign_attrs(told)
