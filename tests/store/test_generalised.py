"""A Fit of a generalised model survives the store whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixflow.model.fit import Fit
from mixflow.store import fits, zarr_io
from tests.store.test_fits import assert_same, example

NAMES = (("dispersion", "(Intercept)"), ("zi", "(Intercept)"), ("zi", "x"), ("family", "df"))


def generalised(n: int) -> Fit:
    rng = np.random.default_rng(5)
    gaussian = example(n)
    joint = len(gaussian.coef_names) + len(NAMES) - 1 + gaussian.theta.shape[1] + 1
    return replace(
        gaussian,
        family="t",
        link="log",
        nodes=7,
        more_names=NAMES,
        more=rng.normal(size=(n, len(NAMES))),
        more_cov=rng.normal(size=(n, len(NAMES), len(NAMES))),
        more_rank=rng.integers(1, 4, n).astype("int32"),
        nodes_of_feature=rng.integers(1, 9, n).astype("int32"),
        free=rng.normal(size=(n, 1)),
        joint_cov=rng.normal(size=(n, joint, joint)),
    )


@pytest.mark.parametrize("n", [4, 0])
def test_a_generalised_fit_comes_back_whole(tmp_path: Path, n: int) -> None:
    fit = generalised(n)
    path = zarr_io.write(fits.to_dataset(fit), tmp_path / "s.zarr", "fits/main")
    group = zarr_io.group(zarr_io.load(path), "fits/main")
    assert_same(fits.from_dataset(group), fit)
    assert list(group["more_component"].values) == ["dispersion", "zi", "zi", "family"]
    assert group["joint_par"].values[-1] == "free 1"


def test_shards_of_a_generalised_fit_join_to_one() -> None:
    fit = fits.to_dataset(generalised(4))
    parts = [fit.isel(feature=slice(0, 3)), fit.isel(feature=slice(3, 4))]
    assert fits.join(parts).identical(fit)


def test_a_gaussian_fit_holds_none_of_it() -> None:
    assert not {"more", "free", "joint_cov"} & set(fits.to_dataset(example(2)))
