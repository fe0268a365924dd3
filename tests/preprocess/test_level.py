"""Tables summed to a level: names, what has none, totals by sample, missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixflow.errors import MixflowError
from mixflow.preprocess import level, prepare
from mixflow.store import readers
from mixflow.store.readers.taxa import levels, taxa_at

LINEAGES = [
    "k__Bacteria;p__Firmicutes;c__Clostridia;o__Clostridiales;f__Lachnospiraceae;g__Clostridium;s__",
    "k__Bacteria;p__Firmicutes;c__Clostridia;o__Clostridiales;f__Clostridiaceae;g__Clostridium;s__butyricum",
    "k__Bacteria;p__Firmicutes;c__Clostridia;o__Clostridiales;f__Lachnospiraceae;g__;s__",
    "k__Bacteria;p__Firmicutes;c__Clostridia;o__Clostridiales;f__Lachnospiraceae;g__uncultured;s__",
    "Unassigned;__;__;__;__;__;__",
    "k__Bacteria;p__Bacteroidetes;c__Bacteroidia;o__Bacteroidales;f__Bacteroidaceae;g__Bacteroides;s__ovatus",
]
TABLE = pd.DataFrame({"lineage": LINEAGES, "domain": ["a", "b"] * 3}, index=[f"f{i}" for i in range(6)])


def test_genera_of_one_name_in_two_families_stay_two_and_what_has_no_name_is_named_by_what_it_has() -> None:
    taxa = taxa_at(TABLE, "genus")
    assert taxa.names == (
        "Clostridium (Lachnospiraceae)",
        "Clostridium (Clostridiaceae)",
        "Lachnospiraceae (unclassified genus)",
        "unclassified genus",
        "Bacteroides",
    )
    assert taxa.of == [0, 1, 2, 2, 3, 4] and taxa.known == [True, True, False, False, True]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("phylum", {"Firmicutes", "Bacteroidetes", "unclassified phylum"}),
        ("Phylum", {"Firmicutes", "Bacteroidetes", "unclassified Phylum"}),
        ("domain", {"a", "b"}),
    ],
)
def test_ranks_of_the_lineage_and_columns_are_levels(wanted: str, names: set[str]) -> None:
    assert set(taxa_at(TABLE, wanted).names) == names
    assert {"domain", "lineage", "kingdom", "species"} <= set(levels(TABLE))


def test_a_species_keeps_its_genus() -> None:
    assert {"Clostridium butyricum", "Bacteroides ovatus"} <= set(taxa_at(TABLE, "species").names)


@pytest.mark.parametrize(
    "lineages",
    [
        ["Bacteria;Firmicutes;Bacilli;NA", "Bacteria;Firmicutes;Bacilli;Lactobacillales"],
        ["D_0__Bacteria;D_1__Firmicutes;D_2__Bacilli;D_3__uncultured",
         "D_0__Bacteria;D_1__Firmicutes;D_2__Bacilli;D_3__Lactobacillales"],
        ["k__Bacteria|p__Firmicutes|c__Bacilli", "k__Bacteria|p__Firmicutes|c__Bacilli|o__Lactobacillales"],
    ],
)  # fmt: skip
def test_lineages_as_silva_rdp_and_metaphlan_write_them(lineages: list[str]) -> None:
    found = taxa_at(pd.DataFrame({"Taxon": lineages}), "order").names
    assert found == ("Bacilli (unclassified order)", "Lactobacillales")


def test_columns_of_ranks_as_phyloseq_has_them() -> None:
    table = pd.DataFrame(
        {"Family": ["Prevotellaceae", "Prevotellaceae", "Rikenellaceae"], "Genus": ["Prevotella", "", None]}
    )
    found = taxa_at(table, "genus")
    assert found.names == (
        "Prevotella", "Prevotellaceae (unclassified genus)", "Rikenellaceae (unclassified genus)"
    )  # fmt: skip


@given(
    arrays(np.float64, (6, 4), elements=st.integers(0, 10**9).map(float)),
    st.sampled_from(["kingdom", "phylum", "genus", "species", "domain"]),
)
def test_nothing_is_lost(counts: np.ndarray, wanted: str) -> None:
    taxa = taxa_at(TABLE, wanted)
    total = level.summed(counts, taxa.of, len(taxa.names))
    assert total.shape == (len(taxa.names), 4)
    np.testing.assert_array_equal(total.sum(axis=0), counts.sum(axis=0))


def test_missing_values_add_nothing_and_a_sum_of_them_is_missing() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [5.0, np.nan]])
    np.testing.assert_array_equal(level.summed(values, [0, 0, 1], 2), [[1.0, np.nan], [5.0, np.nan]])


def test_logarithms_cannot_be_added_and_proteins_are_another_thing() -> None:
    with pytest.raises(MixflowError, match="cannot be added") as caught:
        prepare(np.ones((2, 2)), "log2", {"level": "genus"})
    assert caught.value.problems[0].column == "preprocess.level"
    with pytest.raises(MixflowError, match="either summed"):
        prepare(np.ones((2, 2)), "intensity", {"level": "genus", "summarise": {"to": "protein"}})


def test_infant_stool_at_every_rank(shared_data) -> None:
    """ECAM: 561 taxa, 875 samples; q2-taxa collapse keeps blanks apart by their lineage as we do."""
    table = readers.read((shared_data / "microbiome" / "ecam-table-taxa.biom",), "auto", {})
    for rank, count in (("phylum", 24), ("genus", 410)):
        taxa = taxa_at(table.features, rank)
        total = level.summed(table.values, taxa.of, len(taxa.names))
        assert len(set(taxa.names)) == len(taxa.names) == count
        np.testing.assert_allclose(total.sum(axis=0), table.values.sum(axis=0), rtol=1e-12)
