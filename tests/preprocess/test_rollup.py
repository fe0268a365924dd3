"""Precursors to proteins: shared ones, filters, long rows, the roll-up against R, and the one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.preprocess import prepare, prepare_proteins, rollup
from mixflow.preprocess.normalise import median
from mixflow.store import readers

N = np.nan
IDS = ("a", "b", "c", "d", "e", "f")
PROTEIN = ["P1", "P2", "P1; P2", "P1", "P2;P1", ""]
VALUE = np.array(
    [[1.0, 2, N], [5, N, N], [3, 4, 3], [N, 4, N], [7, 8, N], [9, 9, 9]],
)


def annotation(column: str = "protein", **more: list[str]) -> pd.DataFrame:
    return pd.DataFrame({column: PROTEIN, **more}, index=pd.Index(IDS, dtype=object))


def config(shared: str = "drop", **filters: int) -> dict[str, Any]:
    return {"summarise": {"to": "protein", "shared": shared}, "filters": filters}


def test_shared_precursors_are_dropped_and_counted() -> None:
    found = rollup.assign(annotation(), VALUE, config())
    assert found.ids == ("P1", "P2")
    assert found.of.tolist() == [0, 1, -1, 0, -1, -1]
    assert found.dropped_by.tolist() == ["", "", rollup.SHARED, "", rollup.SHARED, rollup.UNKNOWN]
    assert found.table[["n_precursors", "n_runs"]].to_numpy().tolist() == [[2, 2], [1, 1]]
    assert found.notes[0] == "2 of 6 precursors (33.3 %) belong to several proteins and were set aside."
    assert found.notes[1].startswith("1 precursors without a protein")


def test_a_set_of_proteins_is_a_feature_whatever_its_order() -> None:
    found = rollup.assign(annotation(), VALUE, config("group"))
    assert found.ids == ("P1", "P2", "P1;P2")
    assert found.of.tolist() == [0, 1, 2, 0, 2, -1]
    assert "form features of their own" in found.notes[0]


def test_the_column_of_all_proteins_comes_before_that_of_the_leading_one() -> None:
    both = annotation("proteins", protein=["P1"] * 6, gene=["G1;X", "", "", "", "", ""])
    assert rollup.assign(both, VALUE, config()).of.tolist() == [0, 1, -1, 0, -1, -1]
    razor = {"summarise": {"to": "protein", "column": "protein"}}
    found = rollup.assign(both, VALUE, razor)
    assert found.ids == ("P1",) and found.table.loc["P1", ["name", "gene"]].tolist() == ["G1", "G1;X"]
    with pytest.raises(MixflowError) as caught:
        rollup.assign(both, VALUE, {"summarise": {"to": "protein", "column": "no"}})
    assert caught.value.problems[0].column == "preprocess.summarise.column"
    assert "proteins, protein, gene" in str(caught.value.problems[0].remedy)


def test_filters_count_precursors_and_runs_with_a_value_in_a_sample() -> None:
    found = rollup.assign(annotation(), VALUE, config("group", min_precursors=2))
    assert found.ids == ("P1", "P1;P2") and found.dropped == {"min_precursors": ["P2"]}
    assert found.of.tolist() == [0, -1, 1, 0, 1, -1] and found.dropped_by[1] == "min_precursors"
    found = rollup.assign(annotation(), VALUE, config("group", min_runs=3))
    assert found.ids == ("P1;P2",) and found.dropped == {"min_runs": ["P1", "P2"]}
    samples = np.array([True, False, True])
    found = rollup.assign(annotation(), VALUE, config("group", min_precursors=2, min_runs=2), samples)
    assert found.ids == ("P1;P2",) and found.dropped == {"min_precursors": ["P1", "P2"]}


def test_rows_are_the_values_of_kept_proteins_in_order() -> None:
    found = rollup.assign(annotation(), VALUE, config())
    rows = rollup.long_rows(VALUE, found, IDS, ("r1", "r2", "r3"))
    assert rows.to_numpy().tolist() == [
        ["P1", "a", "r1", 1.0], ["P1", "a", "r2", 2.0], ["P1", "d", "r2", 4.0], ["P2", "b", "r1", 5.0],
    ]  # fmt: skip
    only = rollup.long_rows(VALUE, found, IDS, ("r1", "r2", "r3"), np.array([True, False, True]))
    assert only["run"].tolist() == ["r1", "r1"]


def test_a_single_precursor_is_its_protein() -> None:
    found = rollup.assign(annotation(), VALUE, config())
    np.testing.assert_array_equal(rollup.polished(VALUE, found)[1], [5, N, N])


def test_a_permutation_of_precursors_changes_no_protein() -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=(40, 9))
    value[rng.random(value.shape) < 0.4] = N
    names = pd.DataFrame({"protein": [f"P{i % 7}" for i in range(40)]})
    order = rng.permutation(40)
    straight, turned = (
        rollup.assign(n, v, config()) for n, v in ((names, value), (names.iloc[order], value[order]))
    )
    ours = pd.DataFrame(rollup.polished(value, straight), index=straight.ids)
    theirs = pd.DataFrame(rollup.polished(value[order], turned), index=turned.ids).loc[list(straight.ids)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "column"),
    [
        ({"summarise": {"to": "gene"}}, "preprocess.summarise.to"),
        ({"summarise": {"to": "protein", "method": "mean"}}, "preprocess.summarise.method"),
        ({"summarise": {"to": "protein", "shared": "razor"}}, "preprocess.summarise.shared"),
        ({"summarise": {"to": "protein"}, "filters": {"min_runs": 0}}, "preprocess.filters.min_runs"),
        ({"filters": {"min_precursors": 2}}, "preprocess.filters.min_precursors"),
    ],
)
def test_what_makes_no_sense_is_refused(spec: dict[str, Any], column: str) -> None:
    with pytest.raises(MixflowError) as caught:
        rollup.check(spec, "log2")
    assert caught.value.problems[0].column == column and caught.value.problems[0].remedy


def test_raw_intensities_are_not_rolled_up() -> None:
    with pytest.raises(MixflowError) as caught:
        prepare_proteins(
            np.exp(VALUE), "intensity", config(), annotation(), features=IDS, samples=("r1", "r2", "r3")
        )
    assert "log" in caught.value.problems[0].message


def test_the_one_call_does_all_and_says_what_it_did() -> None:
    value = np.exp2(VALUE)
    spec = {**config("group", min_precursors=2), "transform": "log2", "normalise": "none"}
    spec["summarise"]["method"] = "none"
    spec["filters"]["min_observed"] = 0.9
    found = prepare_proteins(value, "intensity", spec, annotation(), features=IDS, samples=("r1", "r2", "r3"))
    assert found.proteins.ids == ("P1", "P1;P2") and found.rows_fitted
    assert found.protein.kept.tolist() == [False, True]
    assert found.protein.dropped == {"min_precursors": 1, "min_observed": 1}
    np.testing.assert_allclose(found.level[1], [5, 6, 5])  # e lies 4 above c, also where it is missing
    assert found.precursor.kept.tolist() == [False, False, True, False, True, False]
    assert found.precursor.dropped_by.tolist() == [
        "min_observed", "min_precursors", "", "min_observed", "", rollup.UNKNOWN,
    ]  # fmt: skip
    rows = found.rows()
    assert rows["protein"].unique().tolist() == ["P1;P2"] and len(rows) == 5
    assert any("median polish" in note for note in found.protein.notes)
    np.testing.assert_allclose(found.precursor.value, VALUE)


def test_precursors_alone_are_prepared_as_before() -> None:
    spec = {"transform": "log2", "normalise": "median"}
    alone = prepare(np.exp2(VALUE), "intensity", {**spec, "filters": {"near_zero_variance": False}})
    both = prepare_proteins(
        np.exp2(VALUE),
        "intensity",
        {**spec, **config()},
        annotation(),
        features=IDS,
        samples=("r1", "r2", "r3"),
    )
    np.testing.assert_array_equal(alone.value, both.precursor.value)


@pytest.fixture(scope="module")
def cptac(shared_data: Path) -> readers.RawTable:
    path = shared_data / "proteomics/cptac_study6_ABC_msstats.tsv.gz"
    return readers.read([path], options={"contaminants": {"drop": False}})


def test_cptac_proteins_are_those_of_medpolish(cptac: readers.RawTable, reference: Path) -> None:
    value, _ = median(np.log2(cptac.values), "log2", np.ones(27, dtype=bool))
    found = rollup.assign(cptac.features, value, config("group"))
    ours = pd.DataFrame(rollup.polished(value, found), index=found.ids, columns=cptac.sample_ids)
    theirs = pd.read_csv(reference / "cptac_abc_polished.csv.gz").pivot(
        index="protein", columns="run", values="value"
    )
    assert theirs.shape == (58, 27)
    np.testing.assert_allclose(ours.loc[theirs.index, theirs.columns], theirs, atol=1e-10)


def test_cptac_counts(cptac: readers.RawTable) -> None:
    """1,099 of 10,224 precursors are shared; lmer can fit 1,148 of the protein groups (issue's number)."""
    value = np.log2(cptac.values)
    enough = {"min_precursors": 2, "min_runs": 4}
    dropped = rollup.assign(cptac.features, value, config("drop", **enough))
    assert dropped.notes == [
        "1099 of 10224 precursors (10.7 %) belong to several proteins and were set aside."
    ]
    assert (len(dropped.ids), sum("ups" in name for name in dropped.ids)) == (1171, 30)
    grouped = rollup.assign(cptac.features, value, config("group", **enough))
    assert (len(grouped.ids), sum("ups" in name for name in grouped.ids)) == (1263, 35)
    rows = rollup.long_rows(value, grouped, cptac.feature_ids, cptac.sample_ids)
    lab = rows["run"].map(cptac.samples["BioReplicate"])
    by_protein = rows.assign(lab=lab).groupby("protein")
    fits = (by_protein.size() > by_protein["run"].nunique()) & (by_protein["lab"].nunique() > 1)
    assert int(fits.sum()) == 1148
    assert int(fits[fits.index.str.contains("ups")].sum()) == 34
