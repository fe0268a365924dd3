"""Containment df against nlme, and the plain methods."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference import contrasts, df
from mixflow.inference.contrasts import Contrast
from mixflow.inference.tests import test as run_tests
from mixflow.optimise.fitting import fit_features
from tests.reference.cases import CASES, HERE, fitted

BY_NLME = {
    c["id"]: c["containment"]
    for c in json.loads((HERE / "kr.json").read_text())["cases"]
    if "containment" in c
}


@pytest.mark.parametrize("name", BY_NLME)
def test_containment_is_nlmes(name: str) -> None:
    got = fitted(next(case for case in CASES if case["id"] == name))
    found = [
        df.one(got.fit, row[None, :], "containment", got.design)[1][0]
        for row in np.eye(len(got.fit.coef_names))
    ]
    assert found == BY_NLME[name]["df"]


def _crossed() -> pd.DataFrame:
    """12 subjects by 8 items, twice; age is the subject's, length the item's."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([(s, i) for s in range(12) for i in range(8) for _ in range(2)], columns=["s", "i"])
    frame["age"], frame["length"] = rng.normal(size=12)[frame["s"]], rng.normal(size=8)[frame["i"]]
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = (
        rng.normal(size=len(frame)) + rng.normal(size=12)[frame["s"]] + rng.normal(size=8)[frame["i"]]
    )
    frame["s"], frame["i"] = (pd.Categorical(frame[c].map(lambda v, c=c: f"{c}{v}")) for c in ("s", "i"))
    return frame


def test_containment_of_crossed_groups() -> None:
    """Each column by the factor it is constant in; within all: rows less the rank of both factors and X."""
    frame = _crossed()
    design = build(parse("~ age + length + x + (1 | s) + (1 | i)"), frame)
    y = np.stack([frame["y"].to_numpy()] * 2)
    y[1, (frame["s"] == "s3").to_numpy()] = np.nan
    fit = fit_features(design, y, ["all", "less"])
    found = np.column_stack([df.one(fit, row[None, :], "containment", design)[1] for row in np.eye(4)])
    np.testing.assert_array_equal(
        found[:, 1:], [[12 - 2, 8 - 2, 192 - 19 - 1], [11 - 2, 8 - 2, 176 - 18 - 1]]
    )
    joint = df.several(fit, np.eye(4)[1:], "containment", design)
    np.testing.assert_array_equal(joint[2], [6, 6])
    with pytest.raises(MixflowError, match="need the design"):
        df.one(fit, np.eye(4)[:1], "containment")


def test_residual_and_z() -> None:
    frame = _crossed()
    design = build(parse("~ age + x + (1 | s)"), frame)
    fit = fit_features(design, frame["y"].to_numpy()[None], ["y"])
    rows = np.eye(3)[1:]
    assert df.one(fit, rows[:1], "residual")[1][0] == 192 - 3
    asked = [
        *contrasts.build_coefficients(design),
        Contrast("both", rows, "F", "", None, (), np.ones(192, dtype=bool)),
    ]
    found = run_tests(fit, asked, df="z")
    z = found["statistic"][0]
    np.testing.assert_allclose(found["p_value"][0], 2 * stats.norm.sf(np.abs(z)), rtol=1e-10)
    np.testing.assert_allclose(found["log10_p"][0], np.log10(found["p_value"][0]), rtol=1e-9)
    half = (found["conf_high"] - found["conf_low"])[0] / 2
    np.testing.assert_allclose(half, stats.norm.ppf(0.975) * found["std_error"][0], rtol=1e-10)
    assert np.isinf(found["df"]).all()
    f = found["f_statistic"][0, 0]
    assert found["f_p_value"][0, 0] == pytest.approx(special.chdtrc(2, 2 * f), rel=1e-12)


def test_log_of_a_normal_p_that_underflows() -> None:
    from mixflow.inference.tails import log10_p

    found = log10_p(np.array([50.0]), np.array([np.inf]))
    assert found[0] == pytest.approx((np.log(2) + stats.norm.logsf(50)) / np.log(10), rel=1e-12)
