"""CPTAC A-C, peptides by protein: `~ condition + lab + (1 | run) + (1 | peptide)` next to lmerTest and pbkrtest.

1,262 proteins have at least 2 precursors and 4 runs. lmer fits 1,148 of them: it refuses 47 seen in one laboratory
(mixflow answers for their conditions, as lmer without `lab` does) and those with one value a run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

import mixflow
from mixflow.inference.contrasts import build
from mixflow.inference.moderation import moderated

pytestmark = pytest.mark.acceptance
FORMULA = "~ condition + lab + (1 | run) + (1 | peptide)"
PAIRS = {"B-A": ["6B", "6A"], "C-A": ["6C", "6A"], "C-B": ["6C", "6B"]}
CONTRASTS = {name: {"condition": pair} for name, pair in PAIRS.items()}


def prepared(folder: Path) -> pd.DataFrame:
    """log2 intensities by precursor and run (`raw`), and less their run's median over all proteins (`centred`)."""
    table = pd.read_csv(folder / "proteomics/cptac_study6_ABC_msstats.tsv.gz", sep="\t")
    table = table.dropna(subset="Intensity")
    charge = table["PrecursorCharge"].map(lambda c: "" if np.isnan(c) else str(int(c)))
    names = {"ProteinName": "protein", "Condition": "condition", "BioReplicate": "lab", "Run": "run"}
    table = table.assign(peptide=table["PeptideSequence"] + "_" + charge).rename(columns=names)
    table["raw"] = np.log2(table["Intensity"])
    table["centred"] = table["raw"] - table.groupby("run")["raw"].transform("median")
    by_protein = table.groupby("protein")
    enough = (by_protein["peptide"].nunique() >= 2) & (by_protein["run"].nunique() >= 4)
    return table[table["protein"].map(enough)]


@pytest.fixture(scope="module")
def table(shared_data: Path) -> pd.DataFrame:
    return prepared(shared_data)


@pytest.fixture(scope="module")
def result(table: pd.DataFrame) -> mixflow.Result:
    return mixflow.fit(FORMULA, data=table, feature="protein", response="centred", df="kenward-roger")


@pytest.fixture(scope="module")
def lmer_fits(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "cptac_abc" / "fits.csv.gz").set_index("feature")


def beside_lmer(result: mixflow.Result, reference: Path, df: str = "satterthwaite") -> pd.DataFrame:
    ours = result.contrast(CONTRASTS, df=df)
    lmer = pd.read_csv(reference / "cptac_abc" / "contrasts.csv.gz")
    return ours.merge(lmer, on=["feature", "contrast"], how="outer", suffixes=("", "_lmer"))


def calls(p: np.ndarray, ups: np.ndarray) -> tuple[int, int]:
    """Proteins called at 5 % FDR: spiked, and yeast."""
    seen = np.isfinite(p)
    called = np.zeros(len(p), dtype=bool)
    called[seen] = false_discovery_control(p[seen]) < 0.05
    return int((called & ups).sum()), int((called & ~ups).sum())


def counts(found: pd.DataFrame) -> dict[str, tuple[int, int]]:
    spiked = found["feature"].str.contains("ups", regex=False)
    of = {name: found["contrast"] == name for name in PAIRS}
    return {name: calls(found.loc[m, "p_value"].to_numpy(), spiked[m].to_numpy()) for name, m in of.items()}


def test_every_fit_reaches_lmers_optimum_or_a_lower_one(
    result: mixflow.Result, lmer_fits: pd.DataFrame
) -> None:
    fit, lmer = result.model, lmer_fits.loc[list(result.model.feature_ids)]
    status = result.status
    assert (status[lmer["status"] == "ok"] == "ok").all() and (
        status[lmer["status"] == "singular"] == "singular"
    ).all()
    assert set(status[lmer["status"] == "no fit"]) == {"as many random effects as observations"}
    assert status.value_counts().to_dict() == {
        "singular": 821,
        "ok": 374,
        "as many random effects as observations": 68,
    }
    difference = fit.loglik - lmer["loglik"].to_numpy()
    assert np.nanmin(difference) > -5e-7  # seen: -4e-9
    assert (
        np.nanmax(difference) < 2e-5
    )  # 1e-5: three proteins whose residual variance goes to zero, lmer stops before
    assert (fit.n_obs == lmer["n"]).all() and int(lmer["lmer"].sum()) == 1148


def test_estimates_errors_df_and_p_are_lmertests_feature_by_feature(
    result: mixflow.Result, reference: Path
) -> None:
    both = beside_lmer(result, reference)
    shown = both["estimate"].notna()
    assert (shown == both["estimate_lmer"].notna()).all() and int(shown.sum()) == 1195 + 1194 + 1194
    x = both[shown]
    assert ((x["estimate"] - x["estimate_lmer"]).abs() / x["se"]).max() < 1e-4  # seen: 1.2e-5
    assert (x["std_error"] / x["se"] - 1).abs().max() < 1e-5  # 1.9e-6
    assert (x["df"] / x["df_lmer"] - 1).abs().max() < 1e-3  # 1.9e-4, lmerTest's numerical derivatives
    assert (x["p_value"] / x["p"] - 1).abs().max() < 1e-4  # 2.5e-5


def test_calls_are_lmertests(result: mixflow.Result, reference: Path, lmer_fits: pd.DataFrame) -> None:
    of_lmer = set(lmer_fits.index[lmer_fits["lmer"]])
    ours = result.contrast(CONTRASTS, df="satterthwaite")
    found = counts(ours[ours["feature"].isin(of_lmer)])
    assert found == {"B-A": (26, 3), "C-A": (30, 20), "C-B": (28, 0)}
    lmer = (
        pd.read_csv(reference / "cptac_abc" / "calls.csv").query("variant == 'centred'").set_index("contrast")
    )
    assert found == {k: (lmer.loc[k, "called_ups"], lmer.loc[k, "called_yeast"]) for k in PAIRS}
    # With the proteins of one laboratory, which lmer refuses: one more yeast protein.
    assert counts(ours) == {"B-A": (26, 3), "C-A": (30, 21), "C-B": (28, 0)}


def test_fold_changes_beside_the_truth(result: mixflow.Result) -> None:
    found = result.contrast(CONTRASTS)
    ups = found["feature"].str.contains("ups", regex=False)
    median = found[ups].groupby("contrast")["estimate"].median()
    # 0.25, 0.74 and 2.22 fmol/ul: log2 of the ratios. The spiked proteins come out smaller, as peptides near the
    # detection limit are missing more often in the lower concentration (values not missing at random).
    truth = {"B-A": np.log2(0.74 / 0.25), "C-A": np.log2(2.22 / 0.25)}
    assert {k: round(v, 3) for k, v in truth.items()} == {"B-A": 1.566, "C-A": 3.151}
    assert round(median["B-A"], 3) == 1.429 and round(median["C-A"], 3) == 3.064


def test_kenward_roger_is_pbkrtests_and_takes_most_false_calls_away(
    result: mixflow.Result, reference: Path, lmer_fits: pd.DataFrame
) -> None:
    ours = result.contrast(CONTRASTS, df="kenward-roger")
    theirs = pd.read_csv(reference / "cptac_abc" / "kenward_roger.csv.gz")
    x = ours.merge(theirs, on=["feature", "contrast"], suffixes=("", "_r"))
    # Where the residual variance goes to zero the adjustment is that of where each stopped.
    sound = x["feature"].map(lmer_fits["residual"]) > 1e-5
    x = x[sound & x["estimate"].notna()]
    assert len(x) == 657
    assert (x["std_error"] / x["se"] - 1).abs().max() < 1e-5  # seen: 1e-7
    assert (x["df"] / x["df_r"] - 1).abs().max() < 1e-5  # 3e-7
    of_lmer = set(lmer_fits.index[lmer_fits["lmer"]])
    assert counts(ours[ours["feature"].isin(of_lmer)]) == {"B-A": (26, 0), "C-A": (30, 6), "C-B": (30, 0)}


def test_moderation_and_both_together(
    result: mixflow.Result, lmer_fits: pd.DataFrame, table: pd.DataFrame
) -> None:
    of_lmer = table[table["protein"].map(lmer_fits["lmer"])]
    own = mixflow.fit(FORMULA, data=of_lmer, feature="protein", response="centred", df="kenward-roger")
    asked = build(CONTRASTS, own.design)
    ups = np.array(["ups" in name for name in own.model.feature_ids])

    def found(**options) -> dict[str, tuple[int, int]]:
        p = moderated(own.model, asked, likelihood=True, **options)["p_value"]
        return {name: calls(p[:, k], ups) for k, name in enumerate(PAIRS)}

    assert found() == {"B-A": (27, 3), "C-A": (30, 18), "C-B": (29, 0)}
    assert found(df="kenward-roger") == {"B-A": (26, 0), "C-A": (30, 3), "C-B": (29, 0)}
    # By moments (limma's own way) the prior breaks down: three residual variances near zero, on 1e-6 df.
    assert np.isinf(np.nanmedian(moderated(own.model, asked)["df_prior"]))


def test_runs_that_are_not_centred_give_false_calls(
    table: pd.DataFrame, reference: Path, lmer_fits: pd.DataFrame
) -> None:
    of_lmer = table[table["protein"].map(lmer_fits["lmer"])]
    raw = mixflow.fit(FORMULA, data=of_lmer, feature="protein", response="raw").contrast(CONTRASTS)
    assert counts(raw) == {"B-A": (26, 431), "C-A": (30, 41), "C-B": (30, 0)}
    lmer = pd.read_csv(reference / "cptac_abc" / "uncentred.csv.gz")
    x = raw.merge(lmer, on=["feature", "contrast"], suffixes=("", "_lmer")).dropna(subset="estimate")
    assert ((x["estimate"] - x["estimate_lmer"]).abs() / x["se"]).max() < 1e-4
    # Lab and run take up a shift of all peptides of a run only in part: it is the same for all proteins.
    assert raw.loc[raw["contrast"] == "B-A", "estimate"].median() == pytest.approx(-0.40, abs=0.15)
