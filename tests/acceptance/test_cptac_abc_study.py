"""CPTAC A to C by config, from the store: what the workflow makes of it, next to lmerTest, moderated, by KR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.store import analyses
from tests.acceptance import study

pytestmark = pytest.mark.acceptance
KEYS = ["feature", "contrast"]


@pytest.fixture(scope="module")
def tree(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    return study.run("cptac-abc", tmp_path_factory.mktemp("cptac-abc"))


def calls(table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Spiked and yeast proteins below 5 % FDR, by contrast."""
    ups, hit = table["feature"].str.contains("ups", regex=False), table["q_value"] < 0.05
    names = sorted(set(table["contrast"]))
    return {n: tuple(int((hit & one & (table["contrast"] == n)).sum()) for one in (ups, ~ups)) for n in names}


def test_the_store_holds_the_proteins_of_the_reference(tree: xr.DataTree, reference: Path) -> None:
    by_r = pd.read_csv(reference / "cptac_abc" / "fits.csv.gz")
    n_obs = study.fits(tree, "precursors")["n_obs"].to_series()
    assert set(by_r["feature"]) <= set(n_obs.index)
    np.testing.assert_array_equal(n_obs[by_r["feature"]], by_r["n"])


def test_every_contrast_is_that_of_lmertest(tree: xr.DataTree, reference: Path) -> None:
    lmer = pd.read_csv(reference / "cptac_abc" / "contrasts.csv.gz").dropna(subset=["p"])
    ours = study.tests(tree, "precursors")
    both = ours[ours["status"].isin(["OK", "SINGULAR"])].merge(lmer, on=KEYS, suffixes=("", "_lmer"))
    assert len(both) >= 2 * 1148
    assert ((both["estimate"] - both["estimate_lmer"]).abs() / both["se"]).quantile(0.999) < 1e-4
    assert (both["std_error"] / both["se"] - 1).abs().quantile(0.999) < 1e-4
    assert (both["df"] / both["df_lmer"] - 1).abs().quantile(0.999) < 1e-3


def test_the_calls_of_docs_studies(tree: xr.DataTree) -> None:
    moderated = analyses.from_dataset(analyses.tables(tree)["precursors"]["moderated"])
    ours = study.tests(tree, "precursors")
    assert calls(ours) == {"B-A": (26, 3), "C-A": (30, 21)}
    assert calls(moderated) == {"B-A": (27, 2), "C-A": (30, 19)}
    assert calls(study.tests(tree, "kenward_roger")) == {"B-A": (26, 0), "C-A": (30, 3)}
    assert calls(study.tests(tree, "polished")) == {"B-A": (24, 1), "C-A": (31, 7)}
    assert tree["tests/kenward_roger"].attrs["df_method"] == "Kenward-Roger"
    median = ours[ours["feature"].str.contains("ups", regex=False)].groupby("contrast")["estimate"].median()
    np.testing.assert_allclose(median[["B-A", "C-A"]], [1.429, 3.064], atol=1e-3)
