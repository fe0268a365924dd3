"""Penalised splines: the basis itself, and fits next to mgcv's (tests/reference/smooth.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api import Result
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse

FOLDER = Path(__file__).parents[1] / "reference"
CASES = {case["id"]: case for case in json.loads((FOLDER / "smooth_cases.json").read_text())["cases"]}
MGCV = {case["id"]: case for case in json.loads((FOLDER / "smooth.json").read_text())["cases"]}


def table(case: dict[str, Any]) -> pd.DataFrame:
    """The rows and factors that the script in R used."""
    frame = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv")
    if "drop" in case:
        frame = frame[np.arange(1, len(frame) + 1) % case["drop"] != 0].reset_index(drop=True)
    return frame.assign(**{name: frame[name].astype(str) for name in case["factors"]})


@pytest.fixture(scope="module")
def fits() -> dict[str, Result]:
    return {name: mixflow.fit(case["formula"], table(case)) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_fitted_values_and_variances_are_mgcvs(name: str, fits: dict[str, Result]) -> None:
    fit, r = fits[name], MGCV[name]
    assert fit.n_obs.iloc[0] == r["n"]
    # mgcv bounds smoothing parameters, so a straight line has a variance of 1e-9 there, not zero
    spread = np.std(r["fitted"])
    np.testing.assert_allclose(fit.predict().to_numpy()[0], r["fitted"], atol=1e-6 * spread)
    np.testing.assert_allclose(fit.model.sigma[0] ** 2, r["sigma2"], rtol=1e-7)
    names = [group for group, _, _ in fit.model.components]
    for basis in fit.design.smooths:
        sd = np.sqrt(fit.model.variance[0, names.index(basis.name)] / basis.penalty_unit)
        theirs = next(value for key, value in r["std_dev"].items() if key.startswith(basis.name))
        np.testing.assert_allclose(sd, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_restricted_likelihood_moves_with_the_smoothing_parameter_as_mgcvs(name: str) -> None:
    """Constants differ (mgcv takes another basis of the same null space), so differences are compared."""
    case, r = CASES[name], MGCV[name]
    design = build(parse(case["formula"]), table(case))
    y = np.asarray(design.response)
    scale, first = [], True
    for term in (*design.random[-len(design.smooths) :], *design.random[: -len(design.smooths)]):
        key = term.group if term.within is not None else f"s({term.group})"
        sd = next(value for label, value in r["std_dev"].items() if label.startswith(key))
        unit = term.encoding.penalty_unit if term.within is not None else 1.0
        own = sd**2 * unit / r["sigma2"]
        scale.append((term, own, first))
        first = False
    ours = [
        _dense_criterion(design.X, y, [(t, v / (f if one else 1.0)) for t, v, one in scale])
        for f in (1, 10, 0.1)
    ]
    theirs = [2 * r[key] for key in ("reml", "reml_first_sp_times_10", "reml_first_sp_tenth")]
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), atol=2e-6)


def _dense_criterion(x: np.ndarray, y: np.ndarray, terms: list) -> float:
    """-2 restricted log-likelihood with sigma profiled, by the n x n covariance."""
    n, p = x.shape
    v = np.eye(n)
    for term, ratio in terms:
        same = np.equal.outer(term.index, term.index)
        v += ratio * same * (term.Z @ term.Z.T)
    inverse = np.linalg.inv(v)
    xvx = x.T @ inverse @ x
    residual = y - x @ np.linalg.solve(xvx, x.T @ inverse @ y)
    rss = residual @ inverse @ residual
    logdet = np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1]
    return float(logdet + (n - p) * (1 + np.log(2 * np.pi * rss / (n - p))))


def test_prediction_at_new_values_is_the_same_curve(fits: dict[str, Result]) -> None:
    for name in ("ovary", "chickweight_by_diet", "columb_by_number", "columb_log"):
        fit, frame = fits[name], table(CASES[name])
        np.testing.assert_allclose(fit.predict(frame), fit.predict(), atol=1e-8)
    fit = fits["ovary"]
    line = pd.DataFrame({"Time": [1.2, 1.3, 1.4], "Mare": "9"})  # beyond the data: a straight line
    assert abs(np.diff(fit.predict(line).to_numpy()[0], 2)) < 1e-8


def test_the_basis_does_not_depend_on_the_unit_of_x_nor_on_the_order_of_rows() -> None:
    frame = table(CASES["columb_log"])
    one = mixflow.fit("crime ~ s(income, k = 8)", frame)
    moved = frame.assign(income=1e3 * frame["income"] + 1e6).sample(frac=1, random_state=1)
    other = mixflow.fit("crime ~ s(income, k = 8)", moved)
    np.testing.assert_allclose(one.model.variance, other.model.variance, rtol=1e-6)
    np.testing.assert_allclose(
        one.predict().iloc[0].sort_index(), other.predict().iloc[0].sort_index(), rtol=1e-7
    )
    np.testing.assert_allclose(one.model.loglik, other.model.loglik + np.log(1e3), atol=1e-6)


def test_simulate_then_fit() -> None:
    """The mean of the estimated variance over 300 features is the variance simulated from."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.uniform(0, 10, 150), "subject": np.repeat(np.arange(30), 5).astype(str)})
    design = build(parse("~ s(x) + (1 | subject)"), frame)
    smooth = next(term for term in design.random if term.group == "s(x)")
    b, u = rng.normal(size=(300, 8)) * 1.5, rng.normal(size=(300, 30)) * 0.7
    y = 1 + 0.3 * frame["x"].to_numpy() + b @ smooth.Z.T + u[:, np.repeat(np.arange(30), 5)]
    fit = mixflow.api.fit_values(y + rng.normal(size=y.shape), frame, "~ s(x) + (1 | subject)")
    found = dict(zip(fit.components, fit.variance.T, strict=True))
    for key, truth in ((("s(x)", "smooth", ""), 2.25), (("subject", "(Intercept)", ""), 0.49)):
        error = found[key].std() / np.sqrt(300)
        assert abs(found[key].mean() - truth) < 4 * error
    np.testing.assert_allclose(fit.share.sum(axis=1), 1.0)


def test_means_of_a_factor_beside_a_smooth() -> None:
    """The smooth averages to zero over the samples; a factor's comparison does not see it."""
    case = CASES["chickweight_by_diet"]
    fit = mixflow.fit("weight ~ Diet + s(Time, k = 6) + (1 | Chick)", table(case))
    means = fit.means("Diet").table
    diet = fit.coefficients.set_index("term").loc["Diet[2]", "estimate"]
    np.testing.assert_allclose(means["estimate"].iloc[1] - means["estimate"].iloc[0], diet)
    for spec in ({"Time": {"Time": 5}}, {"diet": {"Diet": ["1", "2"], "at": {"Time": 3}}}):
        with pytest.raises(MixflowError, match="smooths this variable"):
            fit.contrast(spec)
    assert set(fit.random_effects["group"]) == {"Chick"}


def test_a_stored_fit_with_smooths_comes_back(tmp_path: Path, fits: dict[str, Result]) -> None:
    from mixflow.store import fits as stored
    from mixflow.store import zarr_io

    fit = fits["chickweight_by_diet"]
    back = stored.from_dataset(zarr_io.group(zarr_io.open(fit.save(tmp_path / "fit.zarr")), "fits/model"))
    assert back.effect_names == fit.model.effect_names
    assert back.components == fit.model.components
    np.testing.assert_array_equal(back.modes["s(Time):Diet"], fit.model.modes["s(Time):Diet"])


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("crime ~ s(income, k = 60)", "more columns than there are different values"),
        ("crime ~ s(side)", "is of a number"),
        ("crime ~ s(two)", "at least 3 different values"),
        ("crime ~ s(log(two - 2))", "not a finite number"),
        ("crime ~ s(nothing)", "no column of this name"),
        ("crime ~ s(income, by = nothing)", "no column of this name"),
    ],
)
def test_what_data_cannot_smooth_is_refused(formula: str, words: str) -> None:
    frame = table(CASES["columb_log"])
    frame = frame.assign(side=np.where(frame["x"] > 8, "east", "west"), two=(frame["x"] > 8) + 1.0)
    with pytest.raises(MixflowError, match=words):
        mixflow.fit(formula, frame)


def test_names() -> None:
    frame = table(CASES["chickweight_by_diet"])
    design = build(parse("weight ~ Diet + s(Time, k = 6, by = Diet) + s(Time, k = 5)"), frame)
    assert design.coef_names[4:6] == ("s(Time):Diet[1].linear", "s(Time):Diet[2].linear")
    assert design.coef_names[-1] == "s(Time).linear"
    assert [(t.group, len(t.levels), t.Z.shape[1]) for t in design.random] == [
        ("s(Time):Diet", 4, 4),
        ("s(Time)", 1, 3),
    ]
    assert design.dependent == ("s(Time).linear",)  # the lines by diet add up to it


def test_a_feature_with_few_levels_of_by_is_fitted() -> None:
    """The checks of grouping factors do not apply to smooths."""
    frame = table(CASES["chickweight_by_diet"])
    y = np.tile(frame["weight"].to_numpy(dtype=float), (2, 1))
    y[1, (frame["Diet"] != "1").to_numpy()] = np.nan
    fit = mixflow.api.fit_values(y, frame, "~ Diet + s(Time, k = 6, by = Diet)")
    assert list(fit.status) == [1, 1]
    alone = mixflow.fit("weight ~ s(Time, k = 6, by = Diet)", frame.assign(Diet="1"))
    assert alone.status.iloc[0] == "ok"
