"""Filters: what each drops, and that only samples count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.errors import MixflowError
from mixflow.preprocess import prepare

N = np.nan
X = np.array(
    [
        [1.0, 2.0, 3.0, 4.0],  # complete
        [1.0, N, N, N],  # one value
        [1.0, 2.0, N, N],  # group a only
        [1.0, N, 3.0, N],  # half of each group
        [5.0, 5.0, 5.0, N],  # constant
    ]
)
SHEET = pd.DataFrame({"group": ["a", "a", "b", "b"]})


def dropped(filters, x=X, scale="free", **kwargs):
    return prepare(x, scale, {"filters": filters}, sheet=SHEET, **kwargs).dropped_by.tolist()


def test_near_zero_variance_is_the_default_and_takes_constants_and_single_values():
    assert dropped({}) == ["", "near_zero_variance", "", "", "near_zero_variance"]
    assert dropped({"near_zero_variance": False}) == [""] * 5


def test_min_observed():
    assert dropped({"min_observed": 0.5}) == ["", "min_observed", "", "", "near_zero_variance"]
    assert dropped({"min_observed": 0.75, "near_zero_variance": False}) == [
        "", "min_observed", "min_observed", "min_observed", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "fraction", "gone"),
    [("any", 1.0, [1, 3]), ("all", 0.5, [1, 2]), ("all", 1.0, [1, 2, 3, 4]), ("any", 0.5, [])],
)
def test_min_observed_by_group(groups, fraction, gone):
    rule = {"factor": "group", "fraction": fraction, "groups": groups}
    by = dropped({"min_observed_by": rule, "near_zero_variance": False})
    assert [i for i, name in enumerate(by) if name == "min_observed_by"] == gone


def test_prevalence_and_abundance_count_values_as_read():
    counts = np.array([[0.0, 0.0, 0.0, 9.0], [2.0, 3.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
    by = dropped({"min_prevalence": 0.5}, counts, "count")
    assert by == ["min_prevalence", "", ""]
    assert dropped({"min_abundance": 2.0}, counts, "count") == ["", "", "min_abundance"]
    both = dropped({"min_prevalence": 0.5, "min_abundance": 1.5}, counts, "count")
    assert both == ["min_prevalence", "", "min_abundance"]


def test_prevalence_looks_at_raw_values_whatever_the_transform():
    counts = np.array([[0.0, 0.0, 0.0, 9.0], [2.0, 3.0, 4.0, 1.0]])
    done = prepare(counts, "count", {"transform": "clr", "filters": {"min_prevalence": 0.5}})
    assert done.dropped_by.tolist() == ["min_prevalence", ""]
    assert np.isnan(done.value[0]).all()
    assert done.dropped == {"min_prevalence": 1}


def test_only_samples_count():
    role = np.array([True, True, True, False])
    assert dropped({"min_observed": 1.0}, is_sample=role) == [
        "", "min_observed", "min_observed", "min_observed", "near_zero_variance",
    ]  # fmt: skip
    varies_in_qc_only = np.array([[3.0, 3.0, 3.0, 8.0]])
    assert dropped({}, varies_in_qc_only, is_sample=role) == ["near_zero_variance"]


def test_a_large_mean_is_not_a_constant():
    x = 1e8 + np.array([[0.0, 1.0, 2.0, 3.0]])
    assert dropped({}, x) == [""]
    assert dropped({}, np.full((1, 4), 0.1) + 1e-17) == ["near_zero_variance"]


def test_normalisation_does_not_rescue_a_constant():
    x = np.array([[5.0, 5.0, 5.0], [1.0, 2.0, 4.0], [9.0, 7.0, 30.0]])
    done = prepare(x, "intensity", {"transform": "log2", "normalise": "median"})
    assert done.dropped_by.tolist() == ["near_zero_variance", "", ""]


def test_every_feature_may_go():
    done = prepare(
        X, "free", {"filters": {"min_observed": 1.0, "min_observed_by": {"factor": "group"}}}, sheet=SHEET
    )
    assert done.kept.tolist() == [True, False, False, False, False]
    empty = prepare(np.full((3, 4), N), "free", {})
    assert not empty.kept.any()


@pytest.mark.parametrize(
    ("filters", "column", "value"),
    [
        ({"min_observed": 50}, "preprocess.filters.min_observed", 50),
        ({"min_observed": "half"}, "preprocess.filters.min_observed", "half"),
        ({"min_observed": True}, "preprocess.filters.min_observed", True),
        ({"min_observd": 0.5}, "preprocess.filters.min_observd", "min_observd"),
        ({"min_observed_by": {"factor": "grp"}}, "preprocess.filters.min_observed_by.factor", "grp"),
        (
            {"min_observed_by": {"factor": "group", "groups": "some"}},
            "preprocess.filters.min_observed_by.groups",
            "some",
        ),
        (
            {"min_observed_by": {"factor": "group", "fraction": 2}},
            "preprocess.filters.min_observed_by.fraction",
            2,
        ),
        ({"min_prevalence": 0.5}, "preprocess.filters.min_prevalence", 0.5),
        ({"min_abundance": 3}, "preprocess.filters.min_abundance", 3),
    ],
)
def test_wrong_filters_name_key_value_and_remedy(filters, column, value):
    with pytest.raises(MixflowError) as error:
        dropped(filters)
    (problem,) = error.value.problems
    assert (problem.column, problem.value) == (column, value)
    assert problem.remedy
