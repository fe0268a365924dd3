"""Drift within a batch, simulated: found where it is, not where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.harmonise.drift import COLUMNS, TooFewSamples, drift


@pytest.fixture(scope="module")
def study() -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """120 features, 3 batches of 40 injections, every fifth a QC; the first 40 features drift."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"run": np.arange(1, 121), "plate": np.repeat(["a", "b", "c"], 40)})
    place = np.tile(np.arange(40.0), 3)
    is_qc = place % 5 == 0
    y = rng.normal(size=(120, 120)) + rng.normal(size=(120, 3))[:, np.repeat([0, 1, 2], 40)]
    bend = np.repeat([1.0, -1.0, 0.5], 40) * np.exp(-place / 10)
    y[:40] += 6 * bend
    y[:, ~is_qc] += rng.normal(size=(120, 96))  # people differ, the pooled sample does not
    return y, frame, is_qc


def test_drift_is_found_in_qc_samples_and_nowhere_else(study) -> None:
    y, frame, is_qc = study
    table = drift(y, frame, "run", "plate", is_qc=is_qc).table()
    assert list(table.columns) == list(COLUMNS)
    assert (table["used"] == "QC samples").all()
    assert (table["n_obs"] == 24).all()
    drifting, still = table.iloc[:40], table.iloc[40:]
    assert (drifting["p_value"] < 0.01).mean() > 0.9
    assert drifting["share"].median() > 0.5
    assert still["share"].median() < 0.1
    assert (still["p_value"] < 0.05).mean() < 0.13  # 5 %, three standard errors of 80 features and a little


def test_all_samples_where_there_are_too_few_qc(study) -> None:
    y, frame, is_qc = study
    few = is_qc & ~((frame["plate"] == "c").to_numpy() & (frame["run"].to_numpy() > 95))
    table = drift(y, frame, "run", "plate", is_qc=few).table()
    assert (table["used"] == "all samples").all()
    assert (table.iloc[:40]["p_value"] < 0.01).mean() > 0.9
    assert (table.iloc[40:]["p_value"] < 0.05).mean() < 0.13


def test_curve_is_the_drift_simulated(study) -> None:
    y, frame, _ = study
    found = drift(y[:1], frame, "run", "plate")
    assert found.used == "all samples"
    found = found.curve(0, points=40)
    truth = np.repeat([6.0, -6.0, 3.0], 40) * np.tile(np.exp(-np.arange(40) / 10), 3)
    for label in ("a", "b", "c"):
        own = (found["batch"] == label).to_numpy()
        want = truth[own] - truth[own].mean()
        inside = np.abs(found["estimate"][own] - want) < 3 * found["std_error"][own]
        assert inside.mean() > 0.9


def test_limits_of_a_short_batch_rest_on_its_own_samples(study) -> None:
    """Centred over the places of all samples they would be those of an extrapolation, many times as wide."""
    y, frame, _ = study
    short = frame[(frame["plate"] != "b") | (frame["run"] <= 50)]
    found = drift(y[:1, short.index], short, "run", "plate").curve(0)
    wide = found.groupby("batch")["std_error"].mean()
    assert wide["b"] < 3 * wide["a"]
    assert found.loc[found["batch"] == "b", "order"].max() == 9


def test_one_batch_missing_values_and_gaps_in_the_sheet(study) -> None:
    y, frame, _ = study
    gaps = y[:3].copy()
    gaps[1, ::2] = np.nan
    gaps[2] = np.nan
    sheet = frame.assign(run=frame["run"].astype(float).where(frame["run"] != 7))
    found = drift(gaps, sheet, "run", None)
    assert set(found.curve(0, points=3)["batch"]) == set(found.batches)
    table = found.table()
    assert list(table["n_obs"]) == [119, 60, 0]  # injection 7 is among those missing already
    assert np.isnan(table["p_value"].iloc[2])


def test_small_batches_are_left_out_and_named(study) -> None:
    y, frame, is_qc = study
    small = frame["plate"].where(frame["run"] > 4, "first")
    found = drift(y[:2], frame.assign(plate=small), "run", "plate", is_qc=is_qc)
    assert (found.left_out, found.used) == (("first",), "QC samples")
    assert found.batches == ("a", "b", "c")


def test_a_feature_not_seen_in_a_batch_is_tested_in_the_others(study) -> None:
    y, frame, _ = study
    gaps = y[[0, 80]].copy()
    gaps[:, :40] = np.nan
    table = drift(gaps, frame, "run", "plate").table()
    assert table["p_value"].iloc[0] < 0.01 and 0.01 < table["p_value"].iloc[1] <= 1
    assert list(table["n_obs"]) == [80, 80]


def test_spiked_peptides_drift_and_do_not_once_the_order_is_shuffled(shared_data: Path) -> None:
    """Bovine proteins spiked equally into 233 SWATH runs in four batches (Cuklina 2021): drift is no biology."""
    folder = shared_data / "proteomics"
    sheet = pd.read_csv(folder / "probatch_bxd_sample_annotation.tsv", sep="\t")
    long = pd.read_csv(folder / "probatch_bxd_swath_peptides_long.tsv.gz", sep="\t")
    genes = pd.read_csv(folder / "probatch_bxd_peptide_annotation.tsv", sep="\t")
    spiked = genes.loc[genes["Gene"].isin(["BOVINE_A1ag", "BOVINE_FetuinB"]), "peptide_group_label"]
    wide = long.pivot_table(index="peptide_group_label", columns="FullRunName", values="Intensity")
    y = np.log2(wide[sheet["FullRunName"]].replace(0, np.nan))
    y = (y - y.median())[y.index.isin(spiked)].to_numpy()
    found = drift(y, sheet, "order", "MS_batch").table()
    assert len(found) == 29 and (found["q_value"] < 0.05).sum() >= 24 and found["share"].median() > 0.15
    rng = np.random.default_rng(0)
    shuffled = sheet.groupby("MS_batch")["order"].transform(lambda own: rng.permutation(own.to_numpy()))
    still = drift(y, sheet.assign(order=shuffled), "order", "MS_batch").table()
    assert (still["q_value"] < 0.05).sum() == 0


def test_refused(study) -> None:
    y, frame, _ = study
    with pytest.raises(MixflowError, match="no column of this name"):
        drift(y, frame, "injection", "plate")
    with pytest.raises(MixflowError, match="is a number"):
        drift(y, frame, "plate", None)
    with pytest.raises(TooFewSamples, match="No batch has enough"):
        drift(y, frame.assign(plate=frame["run"] // 3), "run", "plate")
