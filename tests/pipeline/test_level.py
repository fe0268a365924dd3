"""`preprocess.level` through the steps: what the store holds, and what the check refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mixflow.pipeline import report
from mixflow.pipeline.paths import Paths
from mixflow.report import methods
from mixflow.report.view import View
from mixflow.store import zarr_io
from mixflow.study import config
from mixflow.study.validate import validate
from tests.pipeline import steps

LINEAGE = "k__Bacteria;p__{};c__C;o__O;f__F{};g__{};s__"
GENERA = ["Dialister", "Dialister", "Blautia", "", "", "Roseburia"]


def write(folder: Path, wanted: str, **shown: object) -> Path:
    """Counts of six features in 12 samples, their lineages in a table of their own."""
    rng = np.random.default_rng(1)
    ids = [f"s{i}" for i in range(12)]
    names = [f"asv{i}" for i in range(6)]
    pd.DataFrame(rng.poisson(20, (6, 12)), index=names, columns=ids).to_csv(
        folder / "counts.tsv", sep="\t", index_label="asv"
    )
    lineages = [LINEAGE.format("Firmicutes", i // 4, g) for i, g in enumerate(GENERA)]
    pd.DataFrame({"asv": names, "Taxon": lineages}).to_csv(folder / "taxa.tsv", sep="\t", index=False)
    pd.DataFrame({"sample": ids, "arm": ["a", "b"] * 6}).to_csv(folder / "s.tsv", sep="\t", index=False)
    text = {
        "study": "level",
        "data": {"files": "counts.tsv", "format": "wide", "scale": "count", "features": "taxa.tsv"},
        "samples": {"file": "s.tsv", "columns": {"arm": {"type": "factor"}}},
        "preprocess": {"level": wanted, "transform": "log1p"},
        "models": {"main": {"formula": "~ arm", "contrasts": {"b vs a": {"arm": ["b", "a"]}}}},
        "report": shown,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    return folder / "config.yaml"


def test_the_store_holds_the_sums_and_what_was_summed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, "genus", features=["Dialister"])
    assert validate(path, data=True) == []
    steps.run(path, analyse=False)
    report.run(Paths("level").store, Paths("level").results)
    tree = zarr_io.load(Paths("level").store)
    counts = pd.read_csv("counts.tsv", sep="\t", index_col=0)
    assert list(tree["data/feature"].values) == [
        "Dialister", "Blautia", "F0 (unclassified genus)", "F1 (unclassified genus)", "Roseburia"
    ]  # fmt: skip
    np.testing.assert_array_equal(tree["data/raw"].values[0], counts.iloc[:2].sum())
    np.testing.assert_array_equal(tree["data/raw"].values.sum(axis=0), counts.sum())
    np.testing.assert_allclose(tree["data/value"].values[0], np.log1p(counts.iloc[:2].sum()))
    assert list(tree["data/members/summed_to"].values[:2]) == ["Dialister", "Dialister"]
    assert list(tree["data/features/n_summed"].values) == [2, 1, 1, 1, 1]
    text, _ = methods.methods(View(tree))
    assert "Raw values of 6 features were summed to their genus first." in text
    page = Paths("level").report.read_text(encoding="utf-8")
    assert "6 features were summed to 5 at level genus; 2 of them without a name there" in page


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("genuses", "`genus`"),
        ("genera", "class, order, family, genus"),
        ("taxon_", "`Taxon`"),
        ("subclade", "there are: Taxon"),
    ],
)
def test_a_level_that_is_not_there_is_answered_with_the_nearest(tmp_path, wanted: str, told: str) -> None:
    (problem,) = validate(write(tmp_path, wanted), data=True)
    assert problem.column == "preprocess.level" and problem.value == wanted and told in str(problem.remedy)


def test_features_of_the_report_are_those_of_the_level(tmp_path: Path) -> None:
    (problem,) = validate(write(tmp_path, "genus", features=["Dialistr", "Blautia"]), data=True)
    assert problem.value == "Dialistr" and "`Dialister`" in str(problem.remedy)


def test_the_level_is_a_setting_of_the_preprocessing(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, "genus")).preprocess.level == "genus"
