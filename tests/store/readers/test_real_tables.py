"""Every table of ../shared/data that a reader claims: cells as awk sees them, counts, exclusions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.store import readers

ROWS = {"orientation": "samples_in_rows"}


@dataclass(frozen=True)
class Case:
    """A file, how it is read, and what is known of it from awk."""

    file: str
    format: str
    scale: str | None
    shape: tuple[int, int]
    missing: int
    cells: dict[tuple[str, str], float]
    options: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


ACTINO = "k__Bacteria;p__Actinobacteria;c__Actinobacteria;"
BIFIDO = ACTINO + "o__Bifidobacteriales;f__Bifidobacteriaceae;g__Bifidobacterium;"
STREPTO = "k__Bacteria;p__Firmicutes;c__Bacilli;o__Lactobacillales;f__Streptococcaceae;g__Streptococcus;s__"
TMT_ION = "gFQQILAGEYDHLPEQAFYMVGPIEEAVAk_N-Term(TMT6plex); K30(TMT6plex)_3"
TMT_RUN = "161117_SILAC_HeLa_UPS1_TMT10_Mixture1_03"

CASES = [
    Case(
        "proteomics/alzheimer_csf_proteins.csv", "wide", None, (100, 197), 1195,
        {("P36222", "Sample_001"): 21.083232264909235, ("Q6UX72", "Sample_000"): 16.04707247635549},
        {"sample_columns": ["AD", "age", "male"]},
    ),
    Case(
        "proteomics/cptac_study6_peptides200.txt.gz", "maxquant-peptides", "intensity", (1452, 45), 31147,
        {("AFTECCVVASQLR", "6E_9"): 28337000.0, ("AFTECCVVASQLR", "6A_1"): np.nan},
        names={"AFTECCVVASQLR": "AFTECCVVASQLR"}, dropped={"contaminant": 7},
    ),
    Case(
        "proteomics/francisella_peptides200.txt.gz", "maxquant-peptides", "intensity", (1465, 18), 12967,
        {("ADVDYATAEALTTYGVIGVK", "3D8_20_2h_n5_3"): 340700000.0}, dropped={"contaminant": 53},
    ),
    Case(
        "proteomics/latosinka_peptides.txt.gz", "maxquant-peptides", "intensity", (18880, 8), 70249,
        {("AAAAAAALQAK", "9_pT2+"): 3057400.0}, dropped={"decoy": 34},
    ),
    Case(
        "proteomics/latosinka_peptides.txt.gz", "maxquant-peptides", "intensity", (18880, 8), 70249,
        {("AAAAAAALQAK", "9_pT2+"): 2546900.0}, {"intensity": "LFQ intensity"}, dropped={"decoy": 34},
    ),
    Case(
        "proteomics/cptac_study6_ABC_proteinGroups.txt.gz", "maxquant-proteins", "intensity",
        (1460, 27), 18534,
        {("O00762ups", "6C_9"): 2644000.0, ("P00441ups", "6C_9"): 3330000.0},
        names={"A5Z2X5": "YPR010C-A", "O00762ups": "O00762ups"},
        dropped={"decoy": 17, "contaminant": 12, "only identified by site": 16},
    ),
    Case(
        "proteomics/heart_pxd006675_proteins_log2.tsv.gz", "wide", None, (8908, 18), 35145,
        {("Q01449;H7C243", "RA3"): 36.0799061185742, ("Q01449;H7C243", "SepV8"): 30.1446727889661,
         ("C9JEG4", "SepV8"): np.nan},
        {"id": "Majority protein IDs"}, names={"Q01449;H7C243": "MYL7"},
    ),
    Case(
        "proteomics/berg2019_ups_chlamy_peptides.tsv.gz", "wide", None, (10599, 12), 938,
        {("O00762ups|UBE2C_HUMAN_UPS--FLTPCYHPNVDTQGNICLDILKEK", "fmol25_1"): 31.37281021,
         ("O00762ups|UBE2C_HUMAN_UPS--FLTPCYHPNVDTQGNICLDILKEK", "fmol100_4"): 829.1326289},
    ),
    Case(
        "proteomics/staes2024_diann_ups2_yeast_pg_matrix.tsv", "diann-matrix", "intensity", (3694, 9), 1215,
        {("UPS|P00167ups|CYB5_HUMAN_UPS", "B000254_Ap_6883_EXT-765_DIA_Yeast_UPS2_ratio02_DIA"): 4.10051e08,
         ("UPS|P00167ups|CYB5_HUMAN_UPS", "B000310_Ap_6883_EXT-765_DIA_Yeast_UPS2_ratio08_DIA_3"): 1.9062e09},
        names={"A5Z2X5": "YPR010C-A"},
    ),
    Case(
        "proteomics/probatch_bxd_swath_peptides_long.tsv.gz", "long", None, (366, 233), 0,
        {("45853_NSLILGFR_2", "I171025_Run180_BXD32_HF_ET2030"): 46906.1},
    ),
    Case(
        "proteomics/cptac_study6_ABC_msstats.tsv.gz", "msstats", "intensity", (10203, 27), 132329,
        {("CETVAAARPVT_2", "20080311_CPTAC6_07_6A005"): 67371.0}, dropped={"contaminant": 21},
    ),
    Case(
        "proteomics/cptac_study6_ABC_msstats.tsv.gz", "msstats", "intensity", (10224, 27), 132721,
        {("CETVAAARPVT_2", "20080311_CPTAC6_07_6A005"): 67371.0}, {"contaminants": {"drop": False}},
    ),
    Case(
        "proteomics/cox2014_ups1_ups2_msstats.tsv.gz", "msstats", "intensity", (22502, 8), 24418,
        {("DPAATSVAAAR_2", "20130510_EXQ1_IgPa_QC_UPS1_01"): 1144800000.0}, dropped={"contaminant": 114},
    ),
    Case(
        "proteomics/cox2014_ups1_ups2_msstats.tsv.gz", "msstats", "intensity", (22616, 8), 22616 * 8 - 156165,
        {("DPAATSVAAAR_2", "20130510_EXQ1_IgPa_QC_UPS1_01"): 1144800000.0}, {"contaminants": {"drop": False}},
    ),
    Case(
        "proteomics/tmt_ups1_pd_psms.tsv.gz", "pd-psms", "intensity", (316, 150), 26821,
        {(TMT_ION, TMT_RUN + "|126"): 2548.32609197604, (TMT_ION, TMT_RUN + "|127N"): 3231.92942051277},
        {"channels": "tmt_ups1_pd_annotation.tsv"},
    ),
    Case(
        "microbiome/hmp2_maaslin2_taxonomy.tsv", "wide", None, (87, 1595), 0,
        {("Bacteroides caccae", "CSM5FZ4M"): 2.99e-05}, {"sample_ids": ["CSM5FZ4M", "not here"]},
    ),
    Case(
        "microbiome/hmp2_maaslin3_taxonomy.tsv.gz", "metaphlan", "proportion", (151, 1527), 0,
        {("Faecalibacterium_prausnitzii", "CSM5FZ3R_P"): 0.0073969042849551,
         ("Phocaeicola_vulgatus", "CSM5FZ3N_P"): 0.42652263580693},
    ),
    Case(
        "microbiome/dietswap_genus_counts.tsv", "wide", None, (130, 222), 0,
        {("Akkermansia", "Sample-1"): 18.0, ("Akkermansia", "Sample-222"): 45.0},
    ),
    Case(
        "microbiome/ecam-table-taxa.biom", "biom", "proportion", (561, 875), 0,
        {(STREPTO, "10249.C001.02SS"): 0.0013831258644536654},
        names={BIFIDO + "__": "Bifidobacterium (f__Bifidobacteriaceae)"},
    ),
    Case(
        "microbiome/ecam-table-maturity.biom", "biom", "count", (3117, 875), 0,
        {("e2c3ff4f647112723741aa72087f1bfa", "10249.C001.02SS"): 723.0},
    ),
    Case(
        "microbiome/ecam_genus_table.tsv.gz", "wide", None, (561, 875), 0,
        {(BIFIDO + "s__", "10249.C001.05SS"): 0.0}, names={"Unassigned;__;__;__;__;__;__": "Unassigned"},
    ),
    Case(
        "microbiome/romero_otu_counts.tsv.gz", "wide", None, (143, 900), 0,
        {("Lactobacillus.iners", "900"): 2004.0, ("Lactobacillus.crispatus", "1"): 2.0},
    ),
    Case(
        "radiomics/ccr1_ct_phantom_pyradiomics.csv.gz", "pyradiomics", "free", (91, 2080), 0,
        {("original_firstorder_Mean", "CCR1_GE7|020_05"): -814.123914,
         ("original_firstorder_Mean", "CCR1_S1|wood_15"): -513.8346037},
        names={"original_firstorder_Mean": "firstorder_Mean"},
    ),
    Case(
        "radiomics/nsclc_radiogenomics_captk_features.csv", "wide", None, (102, 206), 8,
        {("T1_ED_Intensity_Mean", "AMC-001"): -62.88434031,
         ("T1_ED_Morphologic_Eccentricity", "R01-159"): np.nan},
        {"na": ["#NAME?"]},
    ),
    Case(
        "singlecell/varpart_geneExpr.tsv", "wide", None, (200, 100), 0,
        {("gene200", "s1"): -5.91831855181627, ("gene200", "s100"): -7.07927563980924},
    ),
    Case(
        "singlecell/muscat_kang_pseudobulk_counts.tsv.gz", "wide", None, (1267, 20), 0,
        {("ISG15", "B_cells|ctrl101"): 12.0, ("ISG15", "FCGR3A+_Monocytes|stim107"): 2934.0},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{Path(case.file).name.split('.')[0]}-{case.format}"
)
def test_cells_and_counts(case: Case, shared_data: Path) -> None:
    path = shared_data / case.file
    assert readers.sniff(path) == case.format
    raw = readers.read([path], options=case.options)
    assert raw.format == case.format
    assert raw.scale == case.scale
    assert raw.values.shape == case.shape
    assert raw.values.dtype == np.float64
    assert len(set(raw.feature_ids)) == case.shape[0]
    assert len(set(raw.sample_ids)) == case.shape[1]
    assert int(np.isnan(raw.values).sum()) == case.missing
    assert not np.isinf(raw.values).any()
    for (feature, sample), value in case.cells.items():
        found = raw.values[raw.feature_ids.index(feature), raw.sample_ids.index(sample)]
        np.testing.assert_equal(found, value)
    assert tuple(raw.features.index) == raw.feature_ids
    assert tuple(raw.samples.index) == raw.sample_ids
    for feature, name in case.names.items():
        assert raw.features.loc[feature, "name"] == name
    assert {reason: len(ids) for reason, ids in raw.dropped.items()} == case.dropped


def test_totals_of_counts(shared_data: Path) -> None:
    totals = {
        "microbiome/dietswap_genus_counts.tsv": 2949085,
        "microbiome/romero_otu_counts.tsv.gz": 2946507,
        "singlecell/muscat_kang_pseudobulk_counts.tsv.gz": 2338396,
        "microbiome/ecam-table-maturity.biom": 18070970,
    }
    for file, total in totals.items():
        assert readers.read([shared_data / file]).values.sum() == total


def test_nonzero_abundances(shared_data: Path) -> None:
    two = readers.read([shared_data / "microbiome/hmp2_maaslin2_taxonomy.tsv"], options=ROWS)
    three = readers.read([shared_data / "microbiome/hmp2_maaslin3_taxonomy.tsv.gz"])
    assert (two.values > 0).sum() == 64100
    assert (three.values > 0).sum() == 74530


def test_alzheimer_metadata_travel_with_the_samples(shared_data: Path) -> None:
    options = {"sheet_columns": ["AD", "age", "male", "collection_site", "not in the file"]}
    raw = readers.read([shared_data / "proteomics/alzheimer_csf_proteins.csv"], options=options)
    assert list(raw.samples.columns) == ["AD", "age", "male", "collection_site"]
    assert raw.samples.loc["Sample_001"].tolist() == ["1", "77", "1", "Sweden"]
    counts = raw.samples["collection_site"].value_counts().to_dict()
    assert counts == {"Berlin": 83, "Sweden": 60, "Magdeburg": 38, "Kiel": 16}


def test_contaminants_can_be_kept(shared_data: Path) -> None:
    path = shared_data / "proteomics/cptac_study6_ABC_proteinGroups.txt.gz"
    raw = readers.read([path], options={"contaminants": {"drop": False}})
    assert raw.values.shape[0] == 1472
    assert "P02768ups;CON__P02768-1" in raw.feature_ids
    assert "contaminant" not in raw.dropped


def test_contaminants_by_prefix(shared_data: Path) -> None:
    path = shared_data / "proteomics/cptac_study6_peptides200.txt.gz"
    raw = readers.read([path], options={"contaminants": {"drop": True, "patterns": ["P01031ups"]}})
    assert "AFTECCVVASQLR" in raw.dropped["contaminant"]
    assert "AFTECCVVASQLR" not in raw.feature_ids
    assert len(raw.dropped["contaminant"]) > 7
    assert any("P01031ups" in note for note in raw.notes)


def test_diann_keeps_the_paths_of_runs(shared_data: Path) -> None:
    raw = readers.read([shared_data / "proteomics/staes2024_diann_ups2_yeast_pg_matrix.tsv"])
    assert raw.samples["path"].iloc[0] == (
        r"S:\Proteomics_Restored\6883\DIA\raw\B000254_Ap_6883_EXT-765_DIA_Yeast_UPS2_ratio02_DIA.raw"
    )


def test_msstats_columns_find_their_place(shared_data: Path) -> None:
    path = shared_data / "proteomics/cptac_study6_ABC_msstats.tsv.gz"
    raw = readers.read([path], options={"contaminants": {"drop": False}})
    assert list(raw.samples.columns) == ["Condition", "BioReplicate"]
    assert raw.samples["BioReplicate"].nunique() == 3
    row = raw.features.loc["CETVAAARPVT_2"]
    assert row.to_dict() == {
        "name": "CETVAAARPVT_2", "protein": "P01127ups", "peptide": "CETVAAARPVT", "charge": "2",
    }  # fmt: skip
    assert raw.features["protein"].nunique() == 1446
    assert raw.features["protein"].str.contains(";").sum() == 1099
    assert raw.features.loc["DIVGAVLK", ["protein", "charge"]].tolist() == ["P00330;P00331;P38113", ""]


def test_maxquant_peptides_know_their_proteins(shared_data: Path) -> None:
    raw = readers.read([shared_data / "proteomics/cptac_study6_peptides200.txt.gz"])
    row, ups = raw.features.loc["AFTECCVVASQLR"], "P01031ups|CO5_HUMAN_UPS"
    assert row[["peptide", "protein", "proteins"]].tolist() == ["AFTECCVVASQLR", ups, ups]
    assert raw.features["proteins"].str.contains(";").sum() == 162
    assert not (raw.features["proteins"] == "").any()


def test_phantom_ids_and_columns(shared_data: Path) -> None:
    raw = readers.read([shared_data / "radiomics/ccr1_ct_phantom_pyradiomics.csv.gz"])
    assert list(raw.samples.columns) == ["Patient", "ROI", "Scanner", "Batch"]
    assert raw.samples.loc["CCR1_S1|wood_15", "ROI"] == "wood_15"
    assert raw.features.loc["original_glcm_Id", ["filter", "class", "name"]].tolist() == [
        "original", "glcm", "glcm_Id",
    ]  # fmt: skip


def test_excel_errors_are_refused_with_their_place(shared_data: Path) -> None:
    path = shared_data / "radiomics/nsclc_radiogenomics_captk_features.csv"
    with pytest.raises(MixflowError) as caught:
        readers.read([path])
    assert len(caught.value.problems) == 8
    first = caught.value.problems[0]
    assert (first.file, first.row, first.column) == (str(path), 203, "T1_ED_Morphologic_Eccentricity")
    assert first.value == "#NAME?"
    assert first.remedy is not None and "Excel" in first.remedy


def test_gene_names_do_not_serve_as_ids(shared_data: Path) -> None:
    path = shared_data / "proteomics/heart_pxd006675_proteins_log2.tsv.gz"
    with pytest.raises(MixflowError) as caught:
        readers.read([path])
    first = caught.value.problems[0]
    assert (first.row, first.column, first.value) == (240, "Gene names", "")
    assert first.remedy is not None and "Majority protein IDs" in first.remedy


def test_tmt_channels_know_their_condition(shared_data: Path) -> None:
    path = shared_data / "proteomics/tmt_ups1_pd_psms.tsv.gz"
    raw = readers.read([path], options={"channels": "tmt_ups1_pd_annotation.tsv"})
    assert list(raw.samples.columns) == [
        "Run", "TechRepMixture", "Channel", "Condition", "Mixture", "BioReplicate",
    ]  # fmt: skip
    levels = raw.samples["Condition"].value_counts().to_dict()
    assert levels == dict.fromkeys(["Norm", "0.667", "0.125", "0.5", "1"], 30)
    assert raw.samples.loc[TMT_RUN + "|127C", ["Condition", "Mixture"]].tolist() == ["0.125", "Mixture1"]
    assert raw.features.loc[TMT_ION, ["protein", "charge"]].tolist() == ["P06576", "3"]
    assert raw.features["protein"].nunique() == 10
    alone = readers.read([path])
    order = [alone.sample_ids.index(name) for name in raw.sample_ids]
    np.testing.assert_array_equal(alone.values[:, order], raw.values)


def test_tmt_ions_have_their_best_psm(shared_data: Path) -> None:
    """Counted and chosen again by pandas, PSM by PSM, from the table itself."""
    path = shared_data / "proteomics/tmt_ups1_pd_psms.tsv.gz"
    table = pd.read_csv(path, sep="\t")
    channels = [name for name in table.columns if name.startswith("Abundance..")]
    table["measured"] = (table[channels] > 0).sum(axis=1)
    table["total"] = table[channels].sum(axis=1)
    enough = table[table["measured"] >= 3]
    best = ["measured", "Isolation.Interference....", "Ions.Score", "total"]
    key = ["Spectrum.File", "Annotated.Sequence", "Modifications", "Charge"]
    chosen = enough.sort_values(best, ascending=[False, True, False, False]).drop_duplicates(key)
    raw = readers.read([path])
    assert raw.notes[:3] == [
        "tmt_ups1_pd_psms.tsv.gz: 2858 PSMs, 10 channels.",
        f"{len(table) - len(enough)} PSMs with fewer than 3 channels.",
        f"{len(enough) - len(chosen)} PSMs of an ion that has a better one in the run.",
    ]
    sequence = chosen["Annotated.Sequence"].str.split(".").str[1]
    ions = sequence + "_" + chosen["Modifications"] + "_" + chosen["Charge"].astype(str)
    theirs = chosen[channels].mask(chosen[channels] == 0).to_numpy()
    for ion, file, row in zip(ions, chosen["Spectrum.File"], theirs, strict=True):
        samples = [f"{file.removesuffix('.raw')}|{name.split('..')[1]}" for name in channels]
        columns = [raw.sample_ids.index(name) for name in samples]
        np.testing.assert_array_equal(raw.values[raw.feature_ids.index(ion), columns], row)
    assert np.isfinite(raw.values).sum() == np.isfinite(theirs).sum()


def test_orientation_is_not_guessed(shared_data: Path) -> None:
    with pytest.raises(MixflowError) as caught:
        readers.read([shared_data / "microbiome/hmp2_maaslin2_taxonomy.tsv"])
    problem = caught.value.problems[0]
    assert problem.column == "ID"
    assert problem.remedy is not None and "data.options.orientation" in problem.remedy


def test_sheets_beside_the_data(shared_data: Path) -> None:
    """`read_table` serves the sample sheets too."""
    expected = {
        "microbiome/ecam_metadata.tsv": (875, 13, "#SampleID"),
        "microbiome/hmp2_maaslin3_metadata.tsv": (1527, 15, "id"),
        "radiomics/nsclc_radiogenomics_clinical.csv": (207, 22, "id"),
        "proteomics/probatch_bxd_sample_annotation.tsv": (233, 11, "FullRunName"),
        "singlecell/varpart_info.tsv": (100, 6, "ID"),
    }
    for file, (rows, columns, first) in expected.items():
        table = readers.read_table(shared_data / file)
        assert table.frame.shape == (rows, columns)
        assert table.frame.columns[0] == first
        assert table.line(0) == 2
    sheet = readers.read_table(shared_data / "microbiome/hmp2_maaslin3_metadata.tsv")
    assert sheet.header_short
    assert sheet.frame["education"].iloc[0] == "Bachelor's degree"
