"""A Fit survives the store whole, and shards join to what one fit would have written."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mixflow.model.fit import Fit
from mixflow.store import fits, zarr_io


def example(n: int = 4) -> Fit:
    rng = np.random.default_rng(n)
    p, q, groups, components = 2, 3, ("subject", "a:b"), 5
    counts = {name: rng.integers(1, 9, (n,)).astype("int32") for name in ("n_obs", "rank", "iterations")}
    return Fit(
        feature_ids=np.array([f"f{i}" for i in range(n)], dtype=object),
        formula="~ x + (x | subject) + (1 | a:b)",
        reml=True,
        coef_names=("(Intercept)", "x"),
        theta_names=("subject.(Intercept)", "subject.x.(Intercept)", "subject.x"),
        groups=groups,
        components=(
            ("subject", "(Intercept)", ""),
            ("subject", "(Intercept)", "x"),
            ("subject", "x", ""),
            ("a:b", "(Intercept)", ""),
            ("Residual", "", ""),
        ),
        effect_names={
            "subject": (("s1", "(Intercept)"), ("s1", "x")),
            "a:b": (("1:2", "(Intercept)"),),
        },
        solution=rng.normal(size=(n, p)),
        beta_cov=rng.normal(size=(n, p, p)),
        beta_cov_deriv=rng.normal(size=(n, q + 1, p, p)),
        par_cov=rng.normal(size=(n, q + 1, q + 1)),
        null_space=np.zeros((n, p, p)),
        theta=rng.normal(size=(n, q)),
        sigma=rng.normal(size=n),
        loglik=rng.normal(size=n),
        status=np.ones(n, "int8"),
        n_levels=rng.integers(1, 9, (n, 2)).astype("int32"),
        variance=rng.normal(size=(n, components)),
        share=rng.normal(size=(n, components)),
        modes={"subject": rng.normal(size=(n, 2)), "a:b": rng.normal(size=(n, 1))},
        mode_sds={"subject": rng.normal(size=(n, 2)), "a:b": rng.normal(size=(n, 1))},
        structure_names=("Residual.rho",),
        structure=rng.normal(size=(n, 1)),
        n_unseen=rng.integers(0, 2, n).astype("int32"),
        **counts,
    )


def assert_same(left: Fit, right: Fit) -> None:
    for field in fields(Fit):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[key], other[key]) for key in one), field.name
        else:
            assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


@pytest.mark.parametrize("n", [4, 0])
def test_a_fit_comes_back_whole(tmp_path: Path, n: int) -> None:
    fit = example(n)
    zarr_io.write(fits.to_dataset(fit, title="t"), tmp_path / "m.zarr", group="fits/mixed")
    group = zarr_io.load(tmp_path / "m.zarr")["fits/mixed"].to_dataset()
    assert_same(fits.from_dataset(group), fit)
    assert group.attrs["title"] == "t"
    assert list(group["effect subject"].values) == ["s1", "s1:x"]
    assert list(group["par"].values)[-1] == "sigma"


def test_a_coefficient_that_is_not_estimable_is_missing_in_beta_only() -> None:
    fit = example()
    fit.null_space[1, 1, 1] = 1.0
    group = fits.to_dataset(fit)
    assert np.isnan(group["beta"].values[1, 1]) and np.isfinite(group["solution"].values).all()


def test_shards_join_to_the_whole() -> None:
    whole = fits.to_dataset(example())
    parts = [
        whole.isel(feature=slice(0, 3)),
        whole.isel(feature=slice(3, 3)),
        whole.isel(feature=slice(3, 4)),
    ]
    xr.testing.assert_identical(fits.join(parts), whole)


def test_shards_of_different_settings_do_not_join() -> None:
    whole = fits.to_dataset(example())
    with pytest.raises(ValueError, match="different settings"):
        fits.join([whole, whole.assign_attrs(formula="~ 1")])
