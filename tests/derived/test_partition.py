"""Variance partition beside variancePartition's formula worked out by lme4 (tests/reference/derived.R)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError
from mixflow.inference.partition import COLUMNS
from tests.derived.subjects import of_frame, subject_of
from tests.inference.many_features import fitted

PARTITION = ANALYSES["partition"].run
FOLDER = Path(__file__).parents[1] / "reference"


def test_two_hundred_genes_as_variance_partition_has_them(shared_data: Path) -> None:
    """Maximum likelihood, as fitExtractVarPartModel: every share of every gene within 1e-5."""
    folder = shared_data / "singlecell"
    info = pd.read_csv(folder / "varpart_info.tsv", sep="\t")
    genes = pd.read_csv(folder / "varpart_geneExpr.tsv", sep="\t", index_col=0)[info["ID"]]
    frame = info.astype({"Individual": str, "Tissue": str, "Batch": str})
    formula = "~ Age + Height + (1 | Individual) + (1 | Tissue) + (1 | Batch)"
    subject = of_frame(formula, frame, genes.to_numpy(), reml=False, ids=list(genes.index))
    found = PARTITION(subject, roles={"biological": ["Individual", "Tissue", "Age"], "batch": ["Batch"]})
    expected = pd.read_csv(FOLDER / "partition.csv").set_index("feature")
    shares = found.pivot(index="feature", columns="source", values="share").loc[expected.index]
    for source in expected:
        np.testing.assert_allclose(shares[source], expected[source], atol=1e-5, err_msg=source)
    of_source = found.drop_duplicates("source").set_index("source")["role"].to_dict()
    assert of_source["Tissue"] == "biological" and of_source["Batch"] == "batch"
    assert of_source["Height"] == "" and of_source["Residual"] == "residual"


@pytest.fixture(scope="module")
def oats() -> Subject:
    """A factor of four levels, a random interaction; one feature whole, one with a tenth missing."""
    frame = pd.read_csv(FOLDER / "data" / "Oats__nlme.csv")
    frame["nitro"] = frame["nitro"].astype(str)
    values = np.repeat(frame["yield"].to_numpy(dtype=float)[None, :], 2, axis=0)
    values[1, ::10] = np.nan
    return of_frame("~ nitro + Variety + (1 | Block) + (1 | Block:Variety)", frame, values)


def test_a_factor_is_whole_and_parts_sum_to_the_variance_of_the_fixed_part(oats: Subject) -> None:
    found = PARTITION(oats, roles={"biological": ["nitro", "Variety"], "technical": ["Block:Variety"]})
    assert list(found) == list(COLUMNS)
    for feature, table in found.groupby("feature"):
        i, rows = int(str(feature)), np.isfinite(oats.values[int(str(feature))])
        part = table.set_index("source")["variance"]
        line = oats.design.X[rows] @ oats.fit.beta[i]
        np.testing.assert_allclose(part["nitro"] + part["Variety"], line.var(), rtol=1e-9)
        alone = [
            (oats.design.X[rows][:, own] @ oats.fit.beta[i][own]).var() for own in (slice(1, 4), slice(4, 6))
        ]
        np.testing.assert_allclose(part["nitro"] / part["Variety"], alone[0] / alone[1], rtol=1e-9)
        np.testing.assert_allclose(part["Residual"], oats.fit.sigma[i] ** 2, rtol=1e-12)
        np.testing.assert_allclose(
            part["Block"],
            oats.fit.variance[i, oats.fit.components.index(("Block", "(Intercept)", ""))],
            rtol=1e-9,
        )
        np.testing.assert_allclose(table["share"].sum(), 1)
    roles = found.drop_duplicates("source").set_index("source")["role"]
    assert roles["Block:Variety"] == "technical" and roles["Block"] == "" and roles["nitro"] == "biological"


def test_a_random_slope_counts_with_its_column_and_unfitted_features_have_no_numbers() -> None:
    whole = fitted("~ x + (x | subject)")
    table = PARTITION(subject_of(whole)).set_index(["feature", "source"])
    fit = whole.fit
    variance = dict(zip(fit.components, fit.variance[0], strict=True))
    x = whole.design.X[:, 1]
    expected = (
        variance["subject", "(Intercept)", ""]
        + variance["subject", "x", ""] * (x**2).mean()
        + 2 * variance["subject", "(Intercept)", "x"] * x.mean()
    )
    np.testing.assert_allclose(table.loc[("whole", "(1 + x | subject)"), "variance"], expected, rtol=1e-9)
    assert table.loc["constant", "share"].isna().all()
    assert PARTITION(subject_of(whole.take(np.zeros(0, dtype=int)))).empty


def test_a_role_of_something_else_is_told() -> None:
    with pytest.raises(MixflowError, match="does not have"):
        PARTITION(subject_of(fitted("~ x + (x | subject)", features=[])), roles={"batch": ["plate"]})


def test_a_smooth_is_named_as_in_the_formula_and_has_the_role_of_its_variable() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"day": np.tile(np.arange(12.0), 5), "dog": np.repeat(list("abcde"), 12)})
    values = np.sin(frame["day"].to_numpy() / 2) + rng.normal(0, 0.3, (2, 60))
    subject = of_frame("~ s(day, k=5) + (1 | dog)", frame, values)
    found = PARTITION(subject, roles={"technical": ["day"]}).head(4)
    assert list(found["source"]) == ["s(day).linear", "dog", "s(day).curved", "Residual"]
    assert list(found["role"]) == ["technical", "", "technical", "residual"]
    assert found["share"].sum() == pytest.approx(1) and found["share"].iloc[2] > 0.5
    with pytest.raises(MixflowError, match="model without smooths"):
        ANALYSES["icc"].run(subject, group="dog")
