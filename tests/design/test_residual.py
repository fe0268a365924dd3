"""The residual side met with data: what sigma belongs to, what counts as a parameter, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api import fit_values
from mixflow.errors import MixflowError


def _frame(n: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(11)
    frame = pd.DataFrame({"g": np.arange(n) // 6, "visit": np.arange(n) % 6, "x": random.normal(size=n)})
    frame["year"] = 2000 + 5 * frame["visit"]
    frame["site"] = np.array(["p", "q", "r"])[frame["g"] % 3]
    frame["y"] = 1 + frame["x"] + np.exp(0.05 * (frame["year"] - 2012)) * random.normal(size=n)
    return frame


def test_the_unit_of_a_dispersion_column_does_not_matter() -> None:
    """sigma belongs to a row at the mean of the column, so that a year is as good as years since the start."""
    frame = _frame()
    fit = mixflow.fit("y ~ x", frame, dispersion="~ year")
    since = mixflow.fit("y ~ x", frame.assign(year=frame["year"] - 2000), dispersion="~ year")
    assert fit.status.item() == "ok"
    assert fit.loglik.item() == pytest.approx(since.loglik.item(), abs=1e-8)
    assert fit.model.sigma[0] == pytest.approx(since.model.sigma[0], rel=1e-6)
    assert fit.structure["estimate"].item() == pytest.approx(np.exp(0.05), rel=0.05)


def test_a_parameter_that_no_row_speaks_of_is_not_counted() -> None:
    frame = _frame()
    values = np.stack([frame["y"], np.where(frame["site"] == "r", np.nan, frame["y"])])
    fit = fit_values(values, frame, "~ x", dispersion="~ site")
    np.testing.assert_array_equal(fit.n_parameters, [5, 4])
    alone = mixflow.fit("y ~ x", frame[frame["site"] != "r"], dispersion="~ site")
    assert fit.loglik[1] == pytest.approx(alone.loglik.item(), abs=1e-7)
    assert fit.aic[1] == pytest.approx(alone.aic.item(), abs=1e-7)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"residual": "ar1(site | g)"}, "same position"),
        ({"residual": "ar2(visit | g)"}, "no residual structure"),
        ({"residual": "us(1 | g)"}, "needs the column"),
        ({"residual": "cs(1 | x)"}, "one row only"),
        ({"residual": "ar1(visit | g/site)"}, "one unit"),
        ({"dispersion": "~ 1"}, "names no column"),
        ({"dispersion": "~ 0 + site"}, "intercept"),
    ],
)
def test_refused_with_the_way_out(options: dict, part: str) -> None:
    with pytest.raises(MixflowError) as refused:
        mixflow.fit("y ~ x", _frame(), **options)
    problem = refused.value.problems[0]
    assert part in problem.message and problem.remedy
