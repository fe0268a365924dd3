"""MSstats' long table: what is missing, what is shared, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mixflow.store import readers

Write = Callable[..., Path]
HEAD = (
    "ProteinName\tPeptideSequence\tPrecursorCharge\tFragmentIon\tProductCharge\tIsotopeLabelType\t"
    "Condition\tBioReplicate\tRun\tIntensity\n"
)


def row(protein: str, peptide: str, run: str, value: str, label: str = "L", charge: str = "2") -> str:
    return f"{protein}\t{peptide}\t{charge}\t\t\t{label}\tc{run[-1]}\tb{run[-1]}\t{run}\t{value}\n"


def test_missing_codes_and_annotation(write: Write) -> None:
    lines = [row("P1", "AAK", "r1", "5"), row("P1", "AAK", "r2", "0"), row("P2", "CCK", "r1", ""),
             row("P2", "CCK", "r2", "NA"), row("P2", "CCK", "r3", "7")]  # fmt: skip
    path = write(HEAD + "".join(lines))
    assert readers.sniff(path) == "msstats"
    raw = readers.read([path])
    assert raw.feature_ids == ("AAK_2", "CCK_2") and raw.sample_ids == ("r1", "r2", "r3")
    np.testing.assert_array_equal(raw.values, [[5, np.nan, np.nan], [np.nan, np.nan, 7]])
    assert list(raw.features.columns) == ["name", "protein", "peptide", "charge"]
    assert raw.samples["Condition"].tolist() == ["c1", "c2", "c3"]
    assert any("1 zeros mean missing" in note for note in raw.notes)


def test_a_precursor_listed_for_each_of_its_proteins_is_shared(write: Write) -> None:
    lines = [row(p, "AAK", run, value) for p in ("P1", "P2") for run, value in (("r1", "5"), ("r2", "6"))]
    raw = readers.read([write(HEAD + "".join(lines) + row("P1", "CCK", "r1", "3"))])
    assert raw.features["protein"].tolist() == ["P1;P2", "P1"]
    np.testing.assert_array_equal(raw.values, [[5, 6], [3, np.nan]])
    assert any("1 precursor(s) are listed under several proteins" in note for note in raw.notes)


def test_a_precursor_with_two_intensities_in_a_run_is_refused(write: Write, refused: Callable) -> None:
    problem = refused(write(HEAD + row("P1", "AAK", "r1", "5") + row("P2", "AAK", "r1", "6")))
    assert problem.row == 3 and problem.value == "6" and "AAK_2" in problem.message
    problem = refused(write(HEAD + row("P1", "AAK", "r1", "5") + row("P1", "AAK", "r1", "5"), "same.tsv"))
    assert problem.row == 3 and "already" in problem.message


def test_decoys_and_contaminants(write: Write) -> None:
    proteins = ["P1", "REV__P2", "P3;REV__P4", "P5;CON__P6", "CON__P7"]
    path = write(HEAD + "".join(row(p, f"{c}AK", "r1", "5") for p, c in zip(proteins, "ACDEF", strict=True)))
    raw = readers.read([path])
    assert raw.feature_ids == ("AAK_2", "DAK_2")
    assert raw.dropped == {"decoy": ["CAK_2"], "contaminant": ["EAK_2", "FAK_2"]}
    kept = readers.read([path], options={"contaminants": {"drop": False}})
    assert kept.feature_ids == ("AAK_2", "DAK_2", "EAK_2", "FAK_2") and kept.dropped == {"decoy": ["CAK_2"]}


def test_nothing_but_decoys_is_refused(write: Write, refused: Callable) -> None:
    problem = refused(write(HEAD + row("REV__P1", "AAK", "r1", "5")))
    assert "every row" in problem.message and problem.column == "ProteinName"


def test_one_isotope_label_is_read(write: Write, refused: Callable) -> None:
    path = write(HEAD + row("P1", "AAK", "r1", "5") + row("P1", "AAK", "r1", "9", "H"))
    problem = refused(path)
    assert problem.column == "IsotopeLabelType" and "H, L" in str(problem.remedy)
    assert refused(path, label="M").value == "M"
    np.testing.assert_array_equal(readers.read([path], options={"label": "H"}).values, [[9]])


def test_fractions_are_refused(write: Write, refused: Callable) -> None:
    lines = [row("P1", "AAK", "r1", "5").rstrip() + "\t1\n", row("P1", "AAK", "r2", "5").rstrip() + "\t2\n"]
    problem = refused(write(HEAD.rstrip() + "\tFraction\n" + "".join(lines)))
    assert problem.column == "Fraction" and problem.value == "1, 2"


@pytest.mark.parametrize("fragment", ["y4", "y5"])
def test_fragments_are_features_of_their_own(write: Write, fragment: str) -> None:
    text = row("P1", "AAK", "r1", "5").replace("\t\t\tL", "\ty4\t1\tL")
    text += row("P1", "AAK", "r1", "6").replace("\t\t\tL", "\ty5\t1\tL")
    raw = readers.read([write(HEAD + text)])
    assert f"AAK_2_{fragment}_1" in raw.feature_ids
    assert raw.features.loc[f"AAK_2_{fragment}_1", ["peptide", "fragment"]].tolist() == ["AAK", fragment]
