"""TMT from Proteome Discoverer's PSMs to tests: 10 background proteins, every contrast is null (issue 3).

The same steps by R alone (tests/reference/tmt.R: its own choice of PSMs, medians, medpolish, lmerTest) are
the reference for the protein values and for every test.
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
from mixflow.preprocess import PreparedProteins, prepare_proteins
from mixflow.store import readers
from tests.acceptance import study

pytestmark = pytest.mark.acceptance
FORMULA = "~ Condition + (1 | Mixture) + (1 | Mixture:TechRepMixture)"
CONFIG = {
    "transform": "log2",
    "normalise": "median",
    "reference": {"within": "Run"},
    "summarise": {"to": "protein"},
}


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> readers.RawTable:
    path = shared_data / "proteomics/tmt_ups1_pd_psms.tsv.gz"
    return readers.read([path], options={"channels": "tmt_ups1_pd_annotation.tsv"})


def prepared(raw: readers.RawTable, **changed: object) -> PreparedProteins:
    reference = (raw.samples["Condition"] == "Norm").to_numpy()
    return prepare_proteins(
        raw.values,
        "intensity",
        {**CONFIG, **changed},
        raw.features,
        features=raw.feature_ids,
        samples=raw.sample_ids,
        is_sample=~reference,
        is_reference=reference,
        sheet=raw.samples,
    )


def all_pairs(found: PreparedProteins, samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All pairs of conditions, and variance components, of every protein."""
    frame = samples[found.is_sample]
    values = found.protein.value[:, found.is_sample]
    fit = fit_values(values, frame, FORMULA, feature_ids=found.proteins.ids)
    result = Result(fit, build(parse(FORMULA), frame), values)
    pairs = result.contrast({"pair": {"Condition": "all pairs"}})
    return pairs.assign(contrast=pairs["contrast"].str.removeprefix("pair: ")), result.variance_components


def test_proteins_are_those_of_r(raw: readers.RawTable, reference: Path) -> None:
    found = prepared(raw)
    ours = pd.DataFrame(found.protein.value, index=found.proteins.ids, columns=raw.sample_ids)
    theirs = pd.read_csv(reference / "tmt/proteins.csv.gz").pivot(
        index="protein", columns="sample", values="value"
    )
    assert theirs.shape == (10, 150) and set(found.proteins.ids) == set(theirs.index)
    np.testing.assert_allclose(ours.loc[theirs.index, theirs.columns], theirs, atol=1e-10)


def agree(ours: pd.DataFrame, reference: Path, file: str) -> None:
    """Estimates within 1e-4 standard errors of lmerTest's, df and p within 1e-3, the 60 tests of ``file``."""
    theirs = pd.read_csv(reference / "tmt" / file).rename(columns={"protein": "feature"})
    both = ours.merge(theirs, on=["feature", "contrast"], suffixes=("", "_r"))
    assert len(both) == len(ours) == 60
    assert ((both["estimate"] - both["estimate_r"]).abs() / both["se"]).max() < 1e-4
    assert (both["std_error"] / both["se"] - 1).abs().max() < 1e-4
    assert (both["df"] / both["df_r"] - 1).abs().max() < 1e-3
    assert (both["p_value"] / both["p"] - 1).abs().max() < 1e-3


def test_tests_are_those_of_lmertest(raw: readers.RawTable, reference: Path) -> None:
    ours, components = all_pairs(prepared(raw), raw.samples)
    agree(ours, reference, "contrasts.csv")
    fits = pd.read_csv(reference / "tmt/fits.csv").set_index("protein")
    variance = components.pivot(index="feature", columns="group", values="variance").loc[fits.index]
    names = {"mixture": "Mixture", "techrep": "Mixture:TechRepMixture", "residual": "Residual"}
    for theirs_, ours_ in names.items():
        np.testing.assert_allclose(variance[ours_], fits[theirs_], rtol=1e-3, atol=1e-6)


def test_null_contrasts_are_not_called(raw: readers.RawTable) -> None:
    """60 null tests: 3 at p < 0.05 (5 % of 60), none at a false discovery rate of 5 %."""
    found, _ = all_pairs(prepared(raw), raw.samples)
    assert len(found) == 60 and found["p_value"].notna().all()
    assert int((found["p_value"] < 0.05).sum()) == 3
    assert int((found["q_value"] < 0.05).sum()) == 0


def test_the_reference_channel_takes_the_runs_away(raw: readers.RawTable) -> None:
    """Without it technical replicates vary 23 times as much, and standard errors are 1.4 times as large."""
    scaled, components = all_pairs(prepared(raw), raw.samples)
    plain, plain_components = all_pairs(prepared(raw, reference=None), raw.samples)
    of = [
        c.query("group == 'Mixture:TechRepMixture'")["variance"].median()
        for c in (components, plain_components)
    ]
    assert of[1] / of[0] > 20
    assert plain["std_error"].median() / scaled["std_error"].median() > 1.3


def test_the_study_by_its_config_gives_the_same(reference: Path, shared_data: Path, tmp_path: Path) -> None:
    """The protein table, and beside it the rows of each protein: 2 of 60 at p < 0.05 there, 1 false call."""
    tree = study.run("tmt", tmp_path)
    for model, file, at_p, called in (("polished", "contrasts.csv", 3, 0), ("ions", "ions.csv", 2, 1)):
        found = study.tests(tree, model)
        found = found.assign(contrast=found["contrast"].str.removeprefix("dilution: "))
        agree(found, reference, file)
        assert int((found["p_value"] < 0.05).sum()) == at_p
        assert int((found["q_value"] < 0.05).sum()) == called
