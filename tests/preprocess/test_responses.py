"""Presence and values that are not zero, as models ask for them."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.errors import MixflowError
from mixflow.preprocess import prepare
from mixflow.preprocess.responses import response_of

RAW = np.array([[0.0, 3.0, np.nan, 1.0], [2.0, 0.0, 0.0, np.nan]])


@pytest.mark.parametrize("scale", ["count", "proportion"])
def test_a_missing_count_was_not_looked_at(scale: str) -> None:
    found = response_of("presence", RAW, RAW, scale)
    assert np.array_equal(found, [[0, 1, np.nan, 1], [1, 0, 0, np.nan]], equal_nan=True)


def test_a_missing_intensity_was_not_found() -> None:
    assert np.array_equal(response_of("presence", RAW, RAW, "intensity"), [[0, 1, 0, 1], [1, 0, 0, 0]])
    assert np.array_equal(response_of("presence", RAW, RAW, "log2"), [[1, 1, 0, 1], [1, 1, 1, 0]])


def test_nonzero_values_are_those_whose_raw_value_is_not_zero() -> None:
    clr = RAW - 1.0
    found = response_of("nonzero", clr, RAW, "count")
    assert np.array_equal(found, [[np.nan, 2, np.nan, 0], [1, np.nan, np.nan, np.nan]], equal_nan=True)


def test_zeros_as_missing_values_let_log2_take_counts() -> None:
    counts = np.array([[0.0, 4.0, 8.0, 2.0], [1.0, 2.0, 0.0, 16.0]])
    config = {"transform": "log2", "zero": {"missing": True}}
    found = prepare(counts, "count", config)
    assert np.array_equal(found.value, [[np.nan, 2, 3, 1], [0, 1, np.nan, 4]], equal_nan=True)
    assert any("preprocess.zero.missing" in note for note in found.notes)
    with pytest.raises(MixflowError, match="missing: true"):
        prepare(counts, "count", {"transform": "log2"})
