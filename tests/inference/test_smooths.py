"""Curves, effective df and tests of smooths, next to mgcv's (tests/reference/smooth.R) and by simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api import Result
from mixflow.derived.analysis import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.joint import Henderson
from mixflow.inference.refit import Fitted
from mixflow.inference.smooth_test import smooth_test, tail
from mixflow.inference.smooths import CURVE_COLUMNS, EDF_COLUMNS, curves, parts, rows_at, smooth_edf
from mixflow.optimise.fitting import fit_features

FOLDER = Path(__file__).parents[1] / "reference"
CASES = {case["id"]: case for case in json.loads((FOLDER / "smooth_cases.json").read_text())["cases"]}
MGCV = {case["id"]: case for case in json.loads((FOLDER / "smooth.json").read_text())["cases"]}


@pytest.fixture(scope="module")
def fits() -> dict[str, Result]:
    found = {}
    for name, case in CASES.items():
        frame = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv")
        if "drop" in case:
            frame = frame[np.arange(1, len(frame) + 1) % case["drop"] != 0].reset_index(drop=True)
        found[name] = mixflow.fit(
            case["formula"], frame.assign(**{f: frame[f].astype(str) for f in case["factors"]})
        )
    return found


@pytest.mark.parametrize("name", CASES)
def test_edf_curves_and_standard_errors_are_mgcvs(name: str, fits: dict[str, Result]) -> None:
    fit, r = fits[name], MGCV[name]
    effects = Henderson(fit.fitted).joint(0)
    frame = fit.design.frame.iloc[np.array(r["rows"]) - 1]
    for part, theirs in zip(parts(fit.design), r["smooths"], strict=True):
        rows = rows_at(part, effects, part.basis.value(frame))
        by = np.ones(len(frame))
        if part.label:
            by = (frame[part.basis.term.by] == part.label).to_numpy(dtype=float)
        elif part.basis.by_number:
            by = frame[part.basis.term.by].to_numpy()
        rows = rows * by[:, None]
        np.testing.assert_allclose(rows @ effects.effects, theirs["fit"], atol=1e-7 * np.ptp(r["fitted"]))
        se = np.sqrt(np.einsum("ij,jk,ik->i", rows, effects.cov, rows))
        np.testing.assert_allclose(se, theirs["se"], rtol=1e-6, atol=1e-7 * np.sqrt(r["sigma2"]))


def _edf(fit: Result, part, effects) -> tuple[float, float]:
    """Trace of the block of a smooth, and mgcv's p with its rounded residual df."""
    own = np.concatenate([part.fixed, effects.place[part.basis.name][part.level]])
    edf = effects.gain[own, own].sum()
    rank = 2 * edf - (effects.gain @ effects.gain)[own, own].sum()
    df = round(effects.n_obs - np.trace(effects.gain))
    cov = effects.cov[np.ix_(own, own)]
    return edf, smooth_test(effects.root[:, own], effects.effects[own], cov, rank, df)[1]


@pytest.mark.parametrize("name", CASES)
def test_edf_and_p_are_mgcvs(name: str, fits: dict[str, Result]) -> None:
    """mgcv rounds the residual df and computes p to 2e-5 (Davies): df is rounded here, ours is exact."""
    fit, r = fits[name], MGCV[name]
    effects = Henderson(fit.fitted).joint(0)
    for part, theirs in zip(parts(fit.design), r["smooths"], strict=True):
        edf, p = _edf(fit, part, effects)
        np.testing.assert_allclose(edf, theirs["edf"], rtol=1e-6)
        np.testing.assert_allclose(p, theirs["p_overall"], atol=2.1e-5)


def test_tail_is_that_of_the_weighted_sum() -> None:
    rng = np.random.default_rng(1)
    for k, nu, df, statistic in ((1, 0.3, 20.0, 5.0), (2, 0.5, 43.2, 8.0), (5, 0.05, 200.0, 14.0)):
        total = 1 + nu
        first = (total + np.sqrt(total * (2 - total))) / 2
        q = first * rng.chisquare(1, 400_000) + (total - first) * rng.chisquare(1, 400_000)
        q += rng.chisquare(k - 1, 400_000) if k > 1 else 0.0
        p = np.mean(q > statistic * rng.chisquare(df, 400_000) / df)
        assert abs(tail(statistic, k, nu, df) - p) < 4 * np.sqrt(p / 400_000)
    assert 0 < tail(2000.0, 3, 0.5, 300.0) < 1e-100


def _simulated(n: int, bend: float, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": np.sort(rng.uniform(0, 1, 60)), "g": np.tile(["a", "b"], 30)})
    curve = bend * np.sin(2 * np.pi * frame["x"].to_numpy())
    return curve + rng.normal(size=(n, 60)), frame


def fitted(formula: str, y: np.ndarray, frame: pd.DataFrame, weights: np.ndarray | None = None) -> Fitted:
    from mixflow.inference.refit import Recipe

    design = build(parse(formula), frame)
    fit = fit_features(design, y, [f"f{i}" for i in range(len(y))], weights=weights)
    return Fitted(fit, design, y, Recipe(weights))


def test_null_features_are_called_at_the_nominal_rate() -> None:
    y, frame = _simulated(400, 0.0, 2)
    table = smooth_edf(fitted("~ s(x, k = 8)", y, frame))
    rate = (table["p_value"] < 0.05).mean()
    assert 0.02 < rate < 0.09  # the test is approximate: 0.05 +- 3 standard errors, and a little
    assert (table["p_curved"] < 0.05).mean() < 0.075  # on the safe side


def test_intervals_cover_on_average_along_the_curve() -> None:
    y, frame = _simulated(200, 1.5, 3)
    table = curves(fitted("~ s(x, k = 10)", y, frame), points=20)
    assert list(table.columns) == list(CURVE_COLUMNS)
    x = table["x"].to_numpy()
    truth = 1.5 * np.sin(2 * np.pi * x) - 1.5 * np.sin(2 * np.pi * frame["x"].to_numpy()).mean()
    covered = ((table["conf_low"] < truth) & (truth < table["conf_high"])).mean()
    assert 0.92 < covered < 0.98


def test_features_by_level_with_missing_values() -> None:
    y, frame = _simulated(5, 2.0, 4)
    y[1, ::3] = np.nan
    y[2, (frame["g"] == "b").to_numpy()] = np.nan  # nothing of b: no curve there
    y[3] = 1.0  # constant: not fitted
    subject = fitted("~ g + s(x, k = 6, by = g)", y, frame)
    table = smooth_edf(subject)
    assert list(table.columns) == list(EDF_COLUMNS)
    assert list(table["feature"]) == [f"f{i}" for i in range(5) for _ in range(2)]
    f2 = table[table["feature"] == "f2"]
    assert np.isfinite(f2["edf"].iloc[0])
    assert np.isnan(f2["edf"].iloc[1])
    assert np.isnan(f2["p_value"].iloc[1])
    assert table.loc[table["feature"] == "f3", "edf"].isna().all()
    assert (table.loc[table["feature"] == "f3", "status"] == "no variation").all()
    drawn = curves(subject, points=5)
    assert set(drawn["feature"]) == {"f0", "f1", "f2", "f4"}
    assert drawn.loc[(drawn["feature"] == "f2") & (drawn["level"] == "b"), "estimate"].isna().all()


def test_the_joint_effects_are_those_of_the_fit_also_with_weights_and_correlated_residuals() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({
        "t": np.tile(np.arange(8.0), 12), "subject": np.repeat([f"s{i}" for i in range(12)], 8)
    })  # fmt: skip
    y = np.sin(frame["t"].to_numpy()) + np.repeat(rng.normal(size=12), 8) + rng.normal(size=96)
    y[rng.choice(96, 15, replace=False)] = np.nan
    weights = rng.uniform(0.5, 2, 96)
    weighted = fitted("~ s(t) + (1 | subject)", y[None], frame, weights)
    _same_as_fit(weighted)
    correlated = mixflow.fit("y ~ s(t) + (1 | subject)", frame.assign(y=y), residual="ar1(t | subject)")
    _same_as_fit(correlated.fitted)


def _same_as_fit(subject: Fitted) -> None:
    effects, fit = Henderson(subject).joint(0), subject.fit
    p = len(fit.coef_names)
    np.testing.assert_allclose(effects.effects[:p], fit.solution[0], atol=1e-8)
    np.testing.assert_allclose(effects.cov[:p, :p], fit.beta_cov[0], rtol=1e-7, atol=1e-12)
    for group, place in effects.place.items():
        b = effects.effects[place] @ effects.factor[group].T
        np.testing.assert_allclose(b.ravel(), fit.modes[group][0], atol=1e-7)


def test_analyses_are_registered_and_refuse_a_model_without_a_smooth() -> None:
    y, frame = _simulated(2, 1.0, 6)
    subject = fitted("~ s(x, k = 5)", y, frame)
    given = Subject(subject.fit, subject.design, subject.values)
    assert list(ANALYSES["smooths"].run(given, points=4).columns) == list(ANALYSES["smooths"].columns)
    assert list(ANALYSES["smooth_edf"].run(given).columns) == list(ANALYSES["smooth_edf"].columns)
    plain = fitted("~ x", y, frame)
    with pytest.raises(MixflowError, match="no smooth"):
        smooth_edf(plain)
