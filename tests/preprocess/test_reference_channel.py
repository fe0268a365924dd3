"""Scaling by reference channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.preprocess import prepare
from mixflow.preprocess.reference_channel import check, scale_by_reference

N = np.nan
RUNS = ["r1", "r1", "r1", "r2", "r2", "r2", "r3", "r3"]
REFERENCE = np.array([True, True, False, True, False, False, True, False])
VALUE = np.array([[1.0, 3, 5, 10, 12, N, 7, 8], [1, N, 4, N, 6, 7, 2, 3], [N, N, N, N, 5, 5, N, 1]])


def test_references_of_all_runs_come_together_at_their_median_level() -> None:
    scaled, notes = scale_by_reference(VALUE, RUNS, REFERENCE)
    np.testing.assert_allclose(scaled[0], [6, 8, 10, 7, 9, N, 7, 8])  # levels 2, 10, 7; median 7
    np.testing.assert_allclose(scaled[1], [1.5, N, 4.5, N, N, N, 1.5, 2.5])  # levels 1, none, 2; median 1.5
    assert np.isnan(scaled[2]).all()
    assert notes[0].startswith("Each feature was scaled within 3 runs by its mean over the 4 reference")
    assert notes[1].startswith("5 values stand in a run without a reference value")


def test_a_shift_of_a_run_changes_no_difference() -> None:
    rng = np.random.default_rng(3)
    value = rng.normal(size=(20, 8))
    shift = rng.normal(size=(20, 3))[:, [0, 0, 0, 1, 1, 1, 2, 2]]
    plain, shifted = (scale_by_reference(v, RUNS, REFERENCE)[0] for v in (value, value + shift))
    moved = shifted - plain
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-12)


def test_a_run_without_references_is_refused() -> None:
    with pytest.raises(MixflowError) as caught:
        scale_by_reference(VALUE, RUNS, np.arange(8) < 3)
    assert "2 run(s) have no reference channel: r2, r3" in caught.value.problems[0].message
    nobody = pd.Series([None, *RUNS[1:]], dtype=object).to_list()
    with pytest.raises(MixflowError) as caught:
        scale_by_reference(VALUE, nobody, REFERENCE, list("abcdefgh"))
    assert "sample a" in caught.value.problems[0].message


@pytest.mark.parametrize(("spec", "scale"), [({}, "intensity"), ({"reference": {"within": "Run"}}, "log2")])
def test_what_fits_passes(spec: dict[str, Any], scale: str) -> None:
    check(spec, scale)


@pytest.mark.parametrize(
    ("spec", "scale", "word"),
    [
        ({"reference": {"within": "Run"}}, "intensity", "log"),
        ({"reference": {"column": "x"}}, "log2", "within"),
    ],
)
def test_what_does_not_fit_is_refused(spec: dict[str, Any], scale: str, word: str) -> None:
    with pytest.raises(MixflowError) as caught:
        check(spec, scale)
    assert word in caught.value.problems[0].message and caught.value.problems[0].remedy


def test_by_config() -> None:
    spec = {"transform": "log2", "reference": {"within": "Run"}, "filters": {"near_zero_variance": False}}
    sheet = pd.DataFrame({"Run": RUNS})
    found = prepare(
        np.exp2(VALUE), "intensity", spec, is_sample=~REFERENCE, is_reference=REFERENCE, sheet=sheet
    )
    np.testing.assert_allclose(found.value, scale_by_reference(VALUE, RUNS, REFERENCE)[0])
    with pytest.raises(MixflowError) as caught:
        prepare(np.exp2(VALUE), "intensity", {**spec, "reference": {"within": "run"}}, sheet=sheet)
    assert caught.value.problems[0].remedy == "Known: Run."
