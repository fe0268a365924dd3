"""CPTAC peptides from MaxQuant's table by config: contrasts, calls, what cannot be tested (acceptance 6)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.store import frames
from tests.acceptance import study

pytestmark = pytest.mark.acceptance
FITTED = {"OK", "SINGULAR"}


@pytest.fixture(scope="module")
def tree(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    return study.run("cptac", tmp_path_factory.mktemp("cptac"))


@pytest.fixture(scope="module")
def lmer_fits(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "cptac" / "fits.csv.gz").set_index("feature")


@pytest.fixture(scope="module")
def tested(tree: xr.DataTree) -> pd.DataFrame:
    """Tests of the headline, with `ups`: whether the peptide is of a spiked protein."""
    found = study.tests(tree, "peptides")
    ups = frames.features(tree)["proteins"].str.contains("ups", regex=False)
    pair = found["contrast"].str.removeprefix("condition: ")
    return found.assign(pair=pair, ups=found["feature"].map(ups).astype(bool))


def test_statuses_say_why_a_peptide_has_no_fit(tree: xr.DataTree, lmer_fits: pd.DataFrame) -> None:
    ours = study.statuses(study.fits(tree, "peptides"))
    lmer = lmer_fits.loc[ours.index]
    assert set(lmer_fits.index) - set(ours.index) == set(lmer_fits.index[lmer_fits["n"] == 1])
    both = lmer["status"] != "no fit"
    sure = both & lmer["identifiable"]
    assert ours[sure].to_dict() == lmer["status"][sure].str.upper().to_dict()
    assert set(ours[both & ~lmer["identifiable"]]) == {"NO_CURVATURE"}
    assert ours.value_counts().to_dict() == {
        "OK": 1095,
        "TOO_FEW_LEVELS": 147,
        "SINGULAR": 140,
        "TOO_FEW_OBSERVATIONS": 25,
        "NO_CURVATURE": 14,
    }
    assert (lmer["labs"][ours == "TOO_FEW_LEVELS"] == 1).all()


def test_contrasts_are_those_of_lmertest_or_say_that_there_is_none(
    tested: pd.DataFrame, lmer_fits: pd.DataFrame, reference: Path
) -> None:
    lmer = pd.read_csv(reference / "cptac" / "contrasts.csv.gz").rename(columns={"contrast": "pair"})
    both = tested.merge(lmer, on=["feature", "pair"], how="left", suffixes=("", "_lmer"))
    sure = both["feature"].map(lmer_fits["identifiable"])
    shown = both["status"].isin(FITTED)
    assert (shown[sure] == both["tested"].eq(True)[sure]).all()
    # Of the 14 peptides that cannot tell laboratory from noise, the pairs compared within laboratories.
    assert int((shown & ~sure).sum()) == 20 and both["tested"].eq(True)[shown].all()
    x = both[shown]
    assert len(x) == 10986 + 20
    assert ((x["estimate"] - x["estimate_lmer"]).abs() / x["se"]).max() < 1e-6  # seen: 3e-8
    assert (x["std_error"] / x["se"] - 1).abs().max() < 1e-6  # 8e-8
    assert (x["df"] / x["df_lmer"] - 1).abs().max() < 1e-5  # 2e-7
    assert (x["p_value"] / x["p"] - 1).abs().max() < 1e-5  # 6e-7
    hidden = both[~shown]
    assert hidden[["estimate", "std_error", "df", "p_value", "q_value"]].isna().all(axis=None)
    unseen = hidden[hidden["status"] == "NOT_ESTIMABLE"]
    assert len(unseen) == 1133 and unseen["tested"].isna().all()  # lmerTest has no such contrast either
    few = hidden[hidden["status"] == "TOO_FEW_VALUES_IN_CONTRAST"]
    assert len(few) == 266 and (few["n_pair"] < 4).all()


def test_calls_are_within_one_of_lmertests(tested: pd.DataFrame, reference: Path) -> None:
    calls = pd.read_csv(reference / "cptac" / "calls.csv").query("variant == 'lmer'").set_index("contrast")
    called = tested[tested["q_value"] < 0.05]
    ups = called[called["ups"]].groupby("pair").size()
    yeast = called[~called["ups"]].groupby("pair").size()
    assert set(ups.index) == set(calls.index)
    assert (ups - calls["called_ups"]).abs().max() <= 1  # 63 of 64 in 6E vs 6A: a pair between laboratories
    assert (yeast - calls["called_yeast"]).abs().max() == 0
    assert int(ups.sum()) == 805 and int(yeast.sum()) == 2001


def test_spiked_peptides_rise_by_the_known_amounts_and_yeast_sinks(tested: pd.DataFrame) -> None:
    """Yeast should not move; it sinks because spiked peptides lift the run medians (docs/studies.md)."""
    known = np.diff(np.log2([0.25, 0.74, 2.22, 6.67, 20.0]))
    steps = [f"6{b} vs 6{a}" for a, b in zip("ABCD", "BCDE", strict=True)]
    median = tested[tested["ups"]].groupby("pair")["estimate"].median()[steps]
    assert np.abs(median - known).max() < 0.25
    background = tested[~tested["ups"]].groupby("pair")["estimate"].median()[steps]
    assert background.to_numpy() == pytest.approx([-0.118, -0.024, -0.069, -0.322], abs=1e-3)


def test_what_was_seen_in_one_condition_only_and_how_much_was_seen(
    tree: xr.DataTree, reference: Path
) -> None:
    lmer = pd.read_csv(reference / "cptac" / "one_group.csv").set_index("feature")
    found = tree["data/one_group"].to_dataset(inherit=False).to_dataframe()
    found = found[found["factor"] == "condition"].set_index("feature_id")
    assert set(found.index) == set(lmer.index) and len(found) == 48
    counts = lmer.loc[found.index, ["6A", "6B", "6C", "6D", "6E"]]
    assert (counts.idxmax(axis=1) == found["level"]).all()
    assert (counts.max(axis=1) == found["n_observed"]).all()
    assert (found["n_level"] == 9).all() and (found["n_other"] == 36).all()
    assert found["p_value"].between(0, 1).all()
    data, sheet = tree["data"], frames.frame(tree)
    ups = frames.features(tree)["proteins"].str.contains("ups", regex=False).to_numpy()
    seen = np.isfinite(data["raw"].values[ups])
    share = {name: seen[:, (sheet["condition"] == name).to_numpy()].mean() for name in ("6A", "6E")}
    assert share == pytest.approx({"6A": 0.1277, "6E": 0.7273}, abs=5e-5)


def test_three_labs_are_few_and_their_fixed_effects_stand_beside(tree: xr.DataTree) -> None:
    assert study.fits(tree, "peptides").attrs["few_levels"] == '[{"group": "lab", "levels": 3}]'
    beside = study.fits(tree, "peptides.lab-fixed")
    assert (beside.attrs["role"], beside.attrs["compare_to"]) == ("companion", "peptides")
    assert study.statuses(beside).eq("OK").sum() == 1389
