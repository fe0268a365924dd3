"""`mixflow.fit` as a statistician meets it, on sleepstudy; numbers by lme4 and lmerTest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.api import Result
from mixflow.errors import MixflowError

COLUMNS = ["feature", "term", "estimate", "std_error", "df", "statistic", "p_value", "q_value"]


@pytest.fixture(scope="module")
def sleepstudy(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "data" / "sleepstudy__lme4.csv").astype({"Subject": str})


@pytest.fixture(scope="module")
def fit(sleepstudy: pd.DataFrame) -> Result:
    return mixflow.fit("Reaction ~ Days + (Days | Subject)", data=sleepstudy)


def test_tidy_tables(fit: Result) -> None:
    table = fit.coefficients
    assert list(table.columns) == [*COLUMNS, "conf_low", "conf_high", "status"]
    assert list(table["term"]) == ["(Intercept)", "Days"]
    np.testing.assert_allclose(table["estimate"], [251.4051, 10.46729], rtol=1e-6)
    np.testing.assert_allclose(table["std_error"], [6.82456, 1.54579], rtol=1e-5)
    np.testing.assert_allclose(table["df"], 17, rtol=1e-5)
    components = fit.variance_components
    assert list(components.columns) == [
        "feature",
        "group",
        "term",
        "term_2",
        "variance",
        "std_dev",
        "correlation",
    ]
    np.testing.assert_allclose(components["std_dev"].dropna(), [24.7405, 5.9221, 25.5918], rtol=1e-4)
    assert components["correlation"].dropna().item() == pytest.approx(0.0656, abs=1e-4)
    assert len(fit.random_effects) == 36
    first = fit.random_effects.iloc[0]
    assert (first["level"], first["term"]) == ("308", "(Intercept)")
    assert first["estimate"] == pytest.approx(2.2586, abs=1e-3)
    assert first["std_error"] == pytest.approx(12.0708, abs=1e-3)


def test_facts(fit: Result) -> None:
    assert fit.loglik.item() == pytest.approx(-871.81414, abs=1e-5)
    assert fit.aic.item() == pytest.approx(1755.62827, abs=1e-4)
    assert fit.n_obs.item() == 180
    assert fit.status.item() == "ok"
    assert "REML" in repr(fit)


def test_contrasts_by_weights_and_words(fit: Result, sleepstudy: pd.DataFrame) -> None:
    table = fit.contrast({"Days": {"Days": 1}, "ten days": {"Days": 10}})
    np.testing.assert_allclose(table["estimate"], [10.46729, 104.6729], rtol=1e-6)
    phase = pd.cut(sleepstudy["Days"], [-1, 3, 6, 9], labels=["early", "mid", "late"])
    other = mixflow.fit("Reaction ~ phase + (1 | Subject)", data=sleepstudy.assign(phase=phase))
    means = other.means("phase").table
    raw = sleepstudy.groupby(phase, observed=True)["Reaction"].mean()
    np.testing.assert_allclose(means["estimate"], raw, rtol=1e-9)  # balanced: means are means
    pairs = other.means("phase").pairs()
    assert len(pairs) == 3
    assert pairs["estimate"].iloc[0] == pytest.approx(raw["mid"] - raw["early"])
    joint = other.contrast({"any": {"phase": "omnibus"}})
    assert joint["df_num"].item() == 2
    assert joint["p_value"].item() < 1e-10
    with pytest.raises(MixflowError) as refused:
        other.contrast({"x": {"phase": ["late", "later"]}})
    assert refused.value.problems[0].value == "later" or "later" in str(refused.value)
    with pytest.raises(MixflowError) as refused:
        other.contrast({"x": {"phase": "omnibus"}}, df="kenward-roger")
    assert refused.value.problems[0].column == "df"


def test_predictions(fit: Result, sleepstudy: pd.DataFrame) -> None:
    own = fit.predict().loc["Reaction"].to_numpy()
    again = fit.predict(sleepstudy).loc["Reaction"].to_numpy()
    np.testing.assert_allclose(own, again)
    residual = sleepstudy["Reaction"].to_numpy() - own
    assert residual.std() == pytest.approx(23.4, abs=0.3)
    new = pd.DataFrame({"Days": [0, 5], "Subject": ["nobody", "nobody"]})
    fixed = fit.coefficients["estimate"].to_numpy()
    np.testing.assert_allclose(fit.predict(new).loc["Reaction"], fixed[0] + fixed[1] * np.array([0, 5]))


def test_predictions_know_what_they_cannot_know_and_levels_written_as_numbers() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(list("ABC"), 12), "s": np.tile(np.arange(12), 3)})
    frame["y"] = np.where(frame["g"] == "C", np.nan, 10 + rng.normal(size=36)) + frame["s"] * 2.0
    fit = mixflow.fit("y ~ g + (1 | s)", data=frame.assign(s=frame["s"].astype("category")))
    assert fit.model.n_obs[0] == 24
    own = fit.predict().iloc[0].to_numpy()
    as_float = fit.predict(frame[frame["g"] != "C"].assign(s=lambda d: d["s"].astype(float))).iloc[0]
    np.testing.assert_allclose(own, as_float)


def test_save_and_open(fit: Result, tmp_path: Path) -> None:
    path = fit.save(tmp_path / "fit.zarr")
    opened = mixflow.open(path)
    stored = opened.tree["fits/model/beta"].values
    np.testing.assert_array_equal(stored, fit.model.beta)


@pytest.mark.parametrize(
    ("call", "column", "value"),
    [
        ({"formula": "~ Days + (1 | Subject)"}, "formula", "~ Days + (1 | Subject)"),
        ({"formula": "Reaction ~ Days + (1 | Subject)", "weights": "w"}, "w", None),
        ({"formula": "Reaction ~ Days + (1 | Subject)", "weights": "bad"}, "bad", -1.0),
    ],
)
def test_bad_calls_name_what_is_wrong(
    sleepstudy: pd.DataFrame, call: dict, column: str, value: object
) -> None:
    with pytest.raises(MixflowError) as refused:
        mixflow.fit(data=sleepstudy.assign(bad=-1.0), **call)
    problem = refused.value.problems[0]
    assert (problem.column, problem.value) == (column, value)
    assert problem.remedy


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = mixflow.nothing
