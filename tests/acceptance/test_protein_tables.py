"""MSstats' tables rolled up to proteins by median polish: calls beside the truth of the spike.

The rows of the same table are fitted by the acceptance test of CPTAC A-C; here it is the protein table, one
value a protein and run, so fixed effects only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.api import fit_values
from mixflow.api.result import Result
from mixflow.design import build
from mixflow.formula import parse
from mixflow.preprocess import prepare_proteins
from mixflow.store import readers

pytestmark = pytest.mark.acceptance
SPEC = {"transform": "log2", "filters": {"min_precursors": 2, "min_runs": 4}}


def pairs(raw: readers.RawTable, formula: str, shared: str, normalise: str) -> pd.DataFrame:
    spec = {**SPEC, "normalise": normalise, "summarise": {"to": "protein", "shared": shared}}
    found = prepare_proteins(
        raw.values,
        "intensity",
        spec,
        raw.features,
        features=raw.feature_ids,
        samples=raw.sample_ids,
        sheet=raw.samples,
    )
    ids = np.asarray(found.proteins.ids, dtype=object)[found.protein.kept]
    values = found.protein.value[found.protein.kept]
    fit = fit_values(values, raw.samples, formula, feature_ids=ids)
    table = Result(fit, build(parse(formula), raw.samples), values).contrast(
        {"c": {"Condition": "all pairs"}}
    )
    called = (table["q_value"] < 0.05).to_numpy()
    return table.assign(
        ups=table["feature"].str.contains("ups"), called=called, pair=table["contrast"].str[3:]
    )


def counts(table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Pair -> spiked proteins called, others called."""
    return {
        str(pair): (int((g["called"] & g["ups"]).sum()), int((g["called"] & ~g["ups"]).sum()))
        for pair, g in table.groupby("pair")
    }


@pytest.fixture(scope="module")
def cptac(shared_data: Path) -> readers.RawTable:
    path = shared_data / "proteomics/cptac_study6_ABC_msstats.tsv.gz"
    return readers.read([path], options={"contaminants": {"drop": False}})


def test_cptac_rolled_up_finds_the_spike_and_little_yeast(cptac: readers.RawTable) -> None:
    table = pairs(cptac, "~ Condition + BioReplicate", "group", "median")
    assert counts(table) == {"6B vs 6A": (24, 1), "6C vs 6A": (31, 7), "6C vs 6B": (29, 1)}
    spiked = table[table["ups"]].groupby("pair")["estimate"].median()
    assert spiked[["6B vs 6A", "6C vs 6A"]].to_numpy() == pytest.approx([1.566, 3.151], abs=0.25)
    yeast = table[~table["ups"]].groupby("pair")["estimate"].median()
    assert yeast.abs().max() < 0.1


def test_without_centring_yeast_moves(cptac: readers.RawTable) -> None:
    table = pairs(cptac, "~ Condition + BioReplicate", "group", "none")
    assert counts(table) == {"6B vs 6A": (23, 254), "6C vs 6A": (30, 33), "6C vs 6B": (31, 0)}
    yeast = table[~table["ups"]].groupby("pair")["estimate"].median()
    assert yeast["6B vs 6A"] == pytest.approx(-0.344, abs=0.002)


def test_without_shared_precursors_the_spike_is_found_as_well(cptac: readers.RawTable) -> None:
    table = pairs(cptac, "~ Condition + BioReplicate", "drop", "median")
    assert counts(table) == {"6B vs 6A": (24, 1), "6C vs 6A": (27, 7), "6C vs 6B": (26, 1)}
    assert int(table.query("pair == '6B vs 6A' and ups").shape[0]) == 30


def test_cox_estimates_follow_the_true_ratios(shared_data: Path) -> None:
    """UPS2 against UPS1 by true ratio: a factor of ten is seen as 6 to 9; all lie one log2 unit low."""
    raw = readers.read([shared_data / "proteomics/cox2014_ups1_ups2_msstats.tsv.gz"])
    table = pairs(raw, "~ Condition", "drop", "median")
    assert counts(table) == {"UPS2 vs UPS1": (29, 2)}
    truth = pd.read_csv(shared_data / "proteomics/cox2014_truth_ups2_over_ups1.tsv", sep="\t")
    ratio = truth.set_index("Protein IDs")["UPS2/1 ratio"]
    both = table[table["feature"].isin(ratio.index)].assign(ratio=lambda t: t["feature"].map(ratio))
    median = both.groupby("ratio")["estimate"].median()
    assert median[[10, 1, 0.1]].to_numpy() == pytest.approx([1.775, -0.854, -4.001], abs=2e-3)
    assert -np.diff(median[[10, 1, 0.1]]) == pytest.approx(np.log2(10), abs=0.75)
    assert (median[[0.01, 0.001, 0.0001]] < median[0.1]).all()  # and compressed: near the limit of detection
