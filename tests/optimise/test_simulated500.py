"""500 features with 20 % missing and two grouping factors: every one against lmerTest; bytes by shard."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from mixflow.inference import contrasts
from mixflow.inference.tests import test as run_tests
from mixflow.model import Fit
from mixflow.status import Status
from tests.optimise import simulated


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(simulated.FOLDER / name, keep_default_na=False, na_values=[""])


def test_every_coefficient_against_lmertest() -> None:
    fit = simulated.fit_all()
    asked = contrasts.build_coefficients(simulated.design())
    found = run_tests(fit, asked)
    by_r = _read("coefficients.csv.gz").pivot(index="feature", columns="name")
    fitted = np.isin(fit.feature_ids.astype(str), by_r.index.to_numpy(str))
    assert fitted.sum() >= 500
    by_r = by_r.loc[fit.feature_ids[fitted]]
    lone = np.flatnonzero(fit.feature_ids == "one_condition_only")[0]
    assert fit.rank[lone] == 2
    assert not fit.estimable[lone].any()  # only sums such as intercept + treated are, not one coefficient
    for i, contrast in enumerate(asked):
        r = {key: by_r[key][contrast.name].to_numpy(float) for key in ("estimate", "se", "df", "p")}
        numbers = np.isfinite(r["se"])
        assert (np.isfinite(found["std_error"][fitted, i]) == numbers).all()
        for key, name in {"estimate": "estimate", "se": "std_error"}.items():
            error = np.abs(found[name][fitted, i] - r[key])[numbers] / r["se"][numbers]
            assert error.max() < 1e-4, (contrast.name, key)
        df = found["df"][fitted, i][numbers]
        np.testing.assert_allclose(df, r["df"][numbers], rtol=1e-3, err_msg=contrast.name)
        assert np.median(np.abs(df / r["df"][numbers] - 1)) < 1e-5


def test_objective_is_not_above_lme4() -> None:
    fit, by_r = simulated.fit_all(), _read("fits.csv.gz").set_index("feature")
    by_r = by_r.loc[fit.feature_ids]
    ran = (by_r["status"] != "no fit").to_numpy()
    # lmer refuses a factor of which one level is left; here only its coefficients are not estimable.
    assert set(fit.feature_ids[fit.fitted != ran]) == {"one_condition_only"}
    np.testing.assert_allclose(fit.loglik[ran], by_r["loglik"].to_numpy(float)[ran], atol=5e-7)
    assert ((fit.status == Status.SINGULAR)[ran] == (by_r["status"] == "singular").to_numpy()[ran]).all()


def test_features_without_a_fit_have_a_status_that_says_why() -> None:
    fit, by_r = simulated.fit_all(), _read("fits.csv.gz").set_index("feature")
    status = dict(zip(fit.feature_ids, fit.status, strict=True))
    without = by_r.index[by_r["status"] == "no fit"]
    assert len(without) == 8
    for name in set(without) - {"one_condition_only"}:
        assert status[name] not in (Status.NOT_RUN, Status.OK, Status.SINGULAR)
    assert status["constant"] == Status.NO_VARIATION
    assert status["all_missing"] == Status.TOO_FEW_OBSERVATIONS


def _bytes(fit: Fit, row: int) -> bytes:
    arrays = [getattr(fit, f.name) for f in fields(fit)]
    parts = [a[row].tobytes() for a in arrays if isinstance(a, np.ndarray) and len(a) and a.dtype != object]
    return b"".join([*parts, *(m[row].tobytes() for m in (*fit.modes.values(), *fit.mode_sds.values()))])


@pytest.mark.parametrize("rows", [[7], [0, 499, 3], list(range(100, 160)), list(range(505, -1, -3))])
def test_bytes_do_not_depend_on_the_shard(rows: list[int]) -> None:
    everything, part = simulated.fit_all(), simulated.fit(np.array(rows))
    for place, row in enumerate(rows):
        assert _bytes(part, place) == _bytes(everything, row)
