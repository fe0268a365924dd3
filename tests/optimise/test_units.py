"""The unit of an outcome changes no answer but by the unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixflow

RNG = np.random.default_rng(11)
GROUP = np.repeat(np.arange(12), 6)
TABLE = pd.DataFrame(
    {
        "x": RNG.normal(size=72),
        "arm": np.tile(["a", "b"], 36),
        "group": [f"g{i:02d}" for i in GROUP],
        "y": RNG.normal(size=12)[GROUP] + 0.6 * RNG.standard_t(4, size=72),
    }
)
TABLE["y"] += 0.5 * TABLE["x"]
TABLE["limit"] = np.quantile(TABLE["y"], 0.2)
FITS = {
    "t": ("y ~ x + (1 | group)", {"family": "t"}),
    "censored": ("below(y, limit) ~ x + (1 | group)", {"family": "censored"}),
    "by arm": ("below(y, limit) ~ x + (x | group)", {"family": "censored", "dispersion": "~ arm"}),
}


@pytest.mark.grid
@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("unit", [1e6, 1e-5])
def test_the_unit_changes_no_answer(kind: str, unit: float) -> None:
    formula, options = FITS[kind]
    plain = mixflow.fit(formula, TABLE, **options)
    other = mixflow.fit(formula, TABLE.assign(y=TABLE["y"] * unit, limit=TABLE["limit"] * unit), **options)
    assert (plain.status == other.status).all() and plain.status.iloc[0] in ("ok", "singular")
    seen = (TABLE["y"] > TABLE["limit"]).sum() if "censored" in options.values() else 72
    assert np.isclose(other.loglik.iloc[0], plain.loglik.iloc[0] - seen * np.log(unit), atol=1e-6)
    first, second = plain.coefficients, other.coefficients
    mu = (first["component"] == "mu").to_numpy()
    error = first["std_error"].to_numpy()
    np.testing.assert_allclose(
        second["estimate"][mu] / unit, first["estimate"][mu], atol=1e-4 * error[mu].min(), rtol=0
    )
    # a Hessian of differences has a relative error of its step, 1e-4
    np.testing.assert_allclose(second["std_error"][mu] / unit, error[mu], rtol=5e-4)
    np.testing.assert_allclose(second["std_error"][~mu], error[~mu], rtol=1e-3)
    moved = (second["estimate"] - first["estimate"])[~mu].to_numpy()
    assert np.isclose(moved[0], np.log(unit), atol=1e-3)
    np.testing.assert_allclose(moved[1:], 0.0, atol=1e-3 * error[~mu][1:].max(initial=1.0))
    np.testing.assert_allclose(
        other.variance_components["std_dev"].dropna() / unit,
        plain.variance_components["std_dev"].dropna(),
        rtol=1e-3,
        atol=1e-6,
    )
    modes = other.random_effects["estimate"] / unit
    np.testing.assert_allclose(modes, plain.random_effects["estimate"], atol=1e-5)
