"""The pipeline from raw values: order of its steps, normalisation, invariances, hostile input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixflow.errors import MixflowError
from mixflow.preprocess import prepare

COUNTS = arrays(np.float64, (5, 6), elements=st.integers(1, 10**6).map(float))
CONFIGS = st.sampled_from(
    [
        {"transform": "log2", "normalise": "median"},
        {"transform": "asin_sqrt", "normalise": "total_sum"},
        {"transform": "clr"},
        {"transform": "log1p", "filters": {"min_prevalence": 0.5}},
    ]
)


@given(COUNTS, CONFIGS, st.permutations(range(5)), st.permutations(range(6)))
def test_order_of_features_and_samples_does_not_matter(x, config, features, samples):
    whole = prepare(x, "count", config)
    mixed = prepare(x[features][:, samples], "count", config)
    np.testing.assert_allclose(mixed.value, whole.value[features][:, samples], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mixed.size_factor, whole.size_factor[list(samples)], rtol=1e-9, atol=1e-9)
    assert mixed.dropped_by.tolist() == whole.dropped_by[features].tolist()


@given(COUNTS, arrays(np.float64, 6, elements=st.floats(0.1, 10)))
def test_normalisation_takes_out_the_depth_of_a_sample(x, depth):
    for scale, config in (
        ("count", {"transform": "none", "normalise": "total_sum"}),
        ("intensity", {"transform": "none", "normalise": "median"}),
        ("intensity", {"transform": "log2", "normalise": "median"}),
    ):
        a, b = (prepare(y, scale, config).value for y in (x, x * depth))
        ratio = b - a if config["transform"] == "log2" else b / a
        spread = ratio - ratio[:, [0]] if config["transform"] == "log2" else ratio / ratio[:, [0]] - 1
        np.testing.assert_allclose(spread[~np.isnan(spread)], 0, atol=1e-9)


def test_total_sum_comes_before_the_transform():
    x = np.array([[10.0, 1.0], [30.0, 3.0]])
    done = prepare(
        x,
        "count",
        {"transform": "asin_sqrt", "normalise": "total_sum", "filters": {"near_zero_variance": False}},
    )
    np.testing.assert_allclose(done.value, np.arcsin(np.sqrt([[0.25, 0.25], [0.75, 0.75]])))
    assert done.size_factor.tolist() == [40.0, 4.0]
    assert (done.scale, done.unit) == ("asin_sqrt", "arcsine square root of proportion")


def test_median_comes_after_the_transform_and_keeps_the_level():
    x = np.array([[2.0, 8.0], [4.0, 16.0], [8.0, 64.0]])
    done = prepare(x, "intensity", {"transform": "log2", "normalise": "median"})
    assert done.size_factor.tolist() == [-1.0, 1.0]
    assert done.dropped == {"near_zero_variance": 2}  # these two differ by the sample's median only
    config = {"transform": "log2", "normalise": "median", "filters": {"near_zero_variance": False}}
    np.testing.assert_allclose(prepare(x, "intensity", config).value, [[2, 2], [3, 3], [4, 5]])


def test_the_reference_level_ignores_blanks():
    x = np.array([[2.0, 8.0, 1.0], [4.0, 16.0, 1.0], [8.0, 64.0, 1.0]])
    role = np.array([True, True, False])
    done = prepare(x, "intensity", {"transform": "log2", "normalise": "median"}, is_sample=role)
    assert done.size_factor.tolist() == [-1.0, 1.0, -3.0]


def test_none_changes_nothing_and_imputes_nothing():
    x = np.array([[1.5, np.nan, 2.0], [-3.0, 0.0, 4.0]])
    done = prepare(x, "free", {})
    np.testing.assert_array_equal(done.value, x)
    assert (done.scale, done.unit, done.notes) == ("free", "value", [])
    assert done.size_factor.tolist() == [1.0, 1.0, 1.0]


def test_input_is_not_changed():
    x = np.array([[0.0, 2.0, 4.0], [1.0, 2.0, 3.0]])
    before = x.copy()
    prepare(x, "intensity", {"transform": "log2", "normalise": "median"})
    np.testing.assert_array_equal(x, before)


def test_notes_say_what_was_done():
    x = np.array([[0.0, 2.0, 4.0], [1.0, 2.0, 3.0]])
    assert "1 values of 0 were taken as missing" in prepare(x, "intensity", {"transform": "log2"}).notes[0]
    assert "pseudocount of 0.5" in prepare(x, "count", {"transform": "clr"}).notes[0]
    assert "median" in prepare(x, "intensity", {"transform": "log2", "normalise": "median"}).notes[1]


@pytest.mark.parametrize(
    ("scale", "config", "column"),
    [
        ("log2", {"transform": "log2"}, "preprocess.transform"),
        ("log2", {"normalise": "total_sum"}, "preprocess.normalise"),
        ("count", {"normalise": "median"}, "preprocess.normalise"),
        ("free", {"normalise": "median"}, "preprocess.normalise"),
        ("count", {"normalise": "quantile"}, "preprocess.normalise"),
        ("count", {"transform": "asin_sqrt"}, "preprocess.transform"),
        ("count", {"transform": "sqrt"}, "preprocess.transform"),
        ("reads", {}, "data.scale"),
    ],
)
def test_wrong_configs(scale, config, column):
    with pytest.raises(MixflowError) as error:
        prepare(np.array([[1.0, 2.0], [3.0, 5.0]]), scale, config)
    assert error.value.problems[0].column == column
    assert error.value.problems[0].remedy


@pytest.mark.parametrize(
    ("x", "config", "column", "named"),
    [
        ([[1.0, np.inf], [1.0, 2.0]], {}, "data", "sample b"),
        ([[1.0, 0.0], [1.0, 0.0]], {"normalise": "total_sum"}, "preprocess.normalise", "b"),
        ([[1.0, np.nan], [1.0, np.nan]], {"normalise": "total_sum"}, "preprocess.normalise", "b"),
        ([[1.0, -1.0], [1.0, 5.0]], {"normalise": "total_sum"}, "preprocess.normalise", "b"),
        (
            [[1.0, np.nan], [1.0, np.nan]],
            {"transform": "log2", "normalise": "median"},
            "preprocess.normalise",
            "b",
        ),
    ],
)
def test_hostile_values_name_the_sample(x, config, column, named):
    with pytest.raises(MixflowError) as error:
        prepare(np.array(x), "count", config, samples=["a", "b"])
    assert error.value.problems[0].column == column
    assert named in error.value.problems[0].message


def test_a_study_without_samples_is_refused():
    with pytest.raises(MixflowError) as error:
        prepare(np.ones((2, 2)), "free", {}, is_sample=np.zeros(2, dtype=bool))
    assert error.value.problems[0].column == "samples.role"


def test_hmp2_by_config(shared_data):
    """Total-sum scaling and arcsine square root of the table that MaAsLin2 publishes: all 87 species stay."""
    table = pd.read_csv(shared_data / "microbiome/hmp2_maaslin2_taxonomy.tsv", sep="\t", index_col=0)
    x = table.to_numpy().T
    done = prepare(x, "proportion", {"transform": "asin_sqrt", "normalise": "total_sum"})
    assert done.kept.all()
    assert len(done.kept) == 87
    np.testing.assert_allclose(done.value, np.arcsin(np.sqrt(x / x.sum(axis=0))), rtol=1e-12)
