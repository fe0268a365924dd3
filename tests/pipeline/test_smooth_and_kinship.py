"""A study whose model has a smooth by a factor, a relationship matrix and their analyses, from files to report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.pipeline import report
from mixflow.pipeline.paths import Paths
from mixflow.store import verify, zarr_io
from tests.pipeline import steps, tiny

PATHS = Paths("tiny")
MODEL = {
    "formula": "~ group + s(age, k = 4, by = group) + (1 | site)",
    "contrasts": {"case vs control": {"group": ["case", "control"]}},
    "relationship": {"site": "near.tsv"},
    "analyses": {"smooths": {"points": 5}, "smooth_edf": None},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smooth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = tiny.write(folder, models={"mixed": MODEL})
        names = [f"site {i}" for i in range(6)]
        near = 0.5 ** np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
        pd.DataFrame(near, index=names, columns=names).to_csv(
            folder / "near.tsv", sep="\t", index_label="site"
        )
        steps.run(study)
        report.run(PATHS.store, PATHS.results)
    return folder


def test_the_store_holds_smooths_relationship_and_their_tables(folder: Path) -> None:
    assert verify.verify(folder / PATHS.store) == []
    tree = zarr_io.load(folder / PATHS.store)
    fit = tree["fits/mixed"].to_dataset()
    pairs = list(zip(fit["component_group"].values, fit["component_term"].values, strict=True))
    assert pairs == [("s(age):group", "smooth"), ("site", "(Intercept)"), ("Residual", "")]
    np.testing.assert_allclose(fit["share"].sum("component"), 1.0)
    assert {"s(age):group[case].linear", "s(age):group[control].linear"} <= set(fit["coef"].values)
    edf = tree["analyses/mixed/smooth_edf"].to_dataset()
    assert set(edf["level"].values) == {"case", "control"}
    assert edf.sizes["row"] == 2 * fit.sizes["feature"]
    assert tree["analyses/mixed/smooths"].sizes["row"] == 10 * fit.sizes["feature"]


def test_the_report_tells_of_the_curve_and_counts_no_levels_of_it(folder: Path) -> None:
    text = (folder / PATHS.report).read_text(encoding="utf-8")
    assert "a smooth curve of age by group" in text
    assert "observed levels of s(age)" not in text
