"""Proteome Discoverer's PSMs: which PSM is taken, what is missing, fractions, and the table of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from mixflow.store import readers

Write = Callable[..., Path]
N = np.nan
COLUMNS = ("Annotated Sequence", "Modifications", "Charge", "Spectrum File", "Master Protein Accessions",
           "Protein Accessions", "Contaminant", "Isolation Interference [%]", "Ions Score", "Abundance: 126",
           "Abundance: 127N", "Abundance: 127C")  # fmt: skip
ALL = {"min_channels": 1}


def table(*rows: Mapping[str, object], mangled: bool = False) -> str:
    """Rows of PSMs; what a row does not say is that of a sound PSM of AAK in run a.raw."""
    sound = ["[K].AAK.[C]", "", 2, "a.raw", "P1", "P1", "False", 10, 50, 1, 2, 3]
    keys = ("sequence", "modifications", "charge", "file", "protein", "proteins", "contaminant",
            "interference", "score", "x", "y", "z")  # fmt: skip
    header = [
        name.replace(" ", ".").replace(":", ".").replace("[%]", "...") if mangled else name
        for name in COLUMNS
    ]
    lines = ["\t".join(header)]
    for row in rows:
        cells = {**dict(zip(keys, sound, strict=True)), **row}
        lines.append("\t".join(map(str, cells.values())))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("mangled", [False, True])
def test_ions_runs_and_missing_codes(write: Write, mangled: bool) -> None:
    path = write(
        table({"z": 0}, {"charge": 3, "y": ""}, {"file": "b.raw", "modifications": "M(Ox)"}, mangled=mangled)
    )
    assert readers.sniff(path) == "pd-psms"
    raw = readers.read([path], options=ALL)
    assert raw.feature_ids == ("AAK_2", "AAK_3", "AAK_M(Ox)_2")
    assert raw.sample_ids == ("a|126", "a|127N", "a|127C", "b|126", "b|127N", "b|127C")
    np.testing.assert_array_equal(
        raw.values, [[1, 2, N, N, N, N], [1, N, 3, N, N, N], [N, N, N, 1, 2, 3]]
    )  # fmt: skip
    assert raw.features.loc["AAK_3", ["protein", "peptide", "charge"]].tolist() == ["P1", "AAK", "3"]
    assert raw.scale == "intensity" and raw.samples.loc["b|127N"].tolist() == ["b", "127N"]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"z": 0, "interference": 0, "score": 99}, {}),
        ({"interference": 11, "score": 99}, {}),
        ({"interference": "", "score": 99}, {}),
        ({"score": 49, "z": 99}, {}),
        ({}, {"z": 4}),
    ],
)
def test_the_best_psm_of_an_ion_is_taken(write: Write, worse: dict, better: dict) -> None:
    better = {"x": 7, "y": 7, **better}
    for rows in ((worse, better), (better, worse)):
        raw = readers.read([write(table(*rows))], options=ALL)
        assert raw.values[0, 0] == 7
        assert any(note.startswith("1 PSMs of an ion") for note in raw.notes)


def test_the_first_of_equal_psms_is_taken(write: Write) -> None:
    raw = readers.read([write(table({"x": 2, "y": 1}, {"x": 1, "y": 2}))])
    np.testing.assert_array_equal(raw.values, [[2, 1, 3]])


def test_psms_with_few_channels_are_set_aside(write: Write, refused: Callable) -> None:
    path = write(table({}, {"charge": 3, "z": ""}))
    raw = readers.read([path])
    assert raw.feature_ids == ("AAK_2",) and "1 PSMs with fewer than 3 channels." in raw.notes
    assert refused(write(table({"z": ""}), "few.tsv")).message == "no PSM is left"
    assert refused(path, min_channels=0).column == "data.options.min_channels"


def test_contaminants_decoys_and_shared_psms(write: Write) -> None:
    rows = [{"proteins": "P1; P2"}, {"sequence": "CCK", "contaminant": "True"}]
    rows += [{"sequence": "DDK", "proteins": "REV__P3"}, {"sequence": "EEK", "proteins": "CON__P3"}]
    path = write(table(*rows))
    raw = readers.read([path])
    assert raw.feature_ids == ("AAK_2",) and raw.features["proteins"].tolist() == ["P1; P2"]
    assert raw.dropped == {"decoy": ["DDK_2"], "contaminant": ["CCK_2", "EEK_2"]}
    assert len(readers.read([path], options={"contaminants": {"drop": False}}).feature_ids) == 3


CHANNELS = "Run\tFraction\tTechRepMixture\tChannel\tCondition\tMixture\n"


def channels(*rows: tuple[str, int, int, str]) -> str:
    lines = [f"{run}\t{fraction}\t{rep}\t{c}\tc{i}\t{mixture}\n" for run, fraction, rep, mixture in rows
             for i, c in enumerate(("126", "127N", "127C"))]  # fmt: skip
    return CHANNELS + "".join(lines)


def test_fractions_of_a_mixture_are_one_run(write: Write) -> None:
    write(channels(("a.raw", 1, 1, "M1"), ("b.raw", 2, 1, "M1"), ("c.raw", 1, 2, "M1")), "channels.tsv")
    rows = [
        {},
        {"file": "b.raw", "x": 5, "interference": 1},
        {"file": "c.raw", "charge": 3},
        {"file": "b.raw", "charge": 4},
    ]
    raw = readers.read([write(table(*rows))], options={"channels": "channels.tsv"})
    assert raw.sample_ids == tuple(f"{run}|{c}" for run in ("M1_1", "c") for c in ("126", "127N", "127C"))
    np.testing.assert_array_equal(raw.values, [[5, 2, 3, N, N, N], [N, N, N, 1, 2, 3], [1, 2, 3, N, N, N]])
    assert raw.samples.loc["c|127N", ["Condition", "TechRepMixture"]].tolist() == ["c1", "2"]
    assert "Fraction" not in raw.samples


def test_a_channel_that_is_not_described_is_refused(write: Write, refused: Callable) -> None:
    write(channels(("b.raw", 1, 1, "M1")), "channels.tsv")
    problem = refused(write(table({})), channels="channels.tsv")
    assert problem.value == "a.raw" and "channel 126" in problem.message
    write(channels(*[("a.raw", 1, 1, "M1")] * 2), "channels.tsv")
    problem = refused(write(table({})), channels="channels.tsv")
    assert (problem.row, problem.column, problem.value) == (
        5,
        "Channel",
        "126",
    ) and "twice" in problem.message
    write("run\tchannel\na.raw\t126\n", "channels.tsv")
    assert refused(write(table({})), channels="channels.tsv").column == "Run"


def test_a_table_without_charges_is_refused(write: Write, refused: Callable) -> None:
    problem = refused(write(table({}).replace("Charge", "charged")))
    assert "charge" in problem.message
