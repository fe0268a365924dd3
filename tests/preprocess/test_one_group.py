"""Features seen in one group only, and missingness."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact as scipy_fisher

from mixflow.preprocess import missingness, one_group
from mixflow.preprocess.one_group import fisher_exact

N = np.nan


@given(st.integers(1, 30).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m), st.integers(1, 40))))
def test_fisher_is_scipys(sizes):
    n_observed, n_level, n_other = sizes
    expected = scipy_fisher([[n_observed, n_level - n_observed], [0, n_other]]).pvalue
    (p,) = fisher_exact(*(np.array([n]) for n in sizes))
    assert p == pytest.approx(expected, rel=1e-9)


def test_table_of_one_group():
    x = np.array(
        [[1.0, 2.0, N, N, N], [N, N, N, 3.0, N], [1.0, N, N, 1.0, N], [N] * 5, [1.0, 2.0, 3.0, N, N]]
    )
    sheet = pd.DataFrame({"arm": ["a", "a", "a", "b", "b"], "one": ["x"] * 5})
    found = one_group(x, "log2", sheet, names=["f0", "f1", "f2", "f3", "f4"])
    assert found["feature_id"].iloc[0] == "f4"  # the smallest p comes first
    found = found.sort_values("feature")
    assert found["feature_id"].tolist() == ["f0", "f1", "f4"]
    assert found["level"].tolist() == ["a", "b", "a"]
    assert found[["n_observed", "n_level", "n_other"]].to_numpy().tolist() == [
        [2, 3, 2],
        [1, 2, 3],
        [3, 3, 2],
    ]
    np.testing.assert_allclose(found["p_value"], [0.4, 0.4, 0.1])
    assert set(found["factor"]) == {"arm"}


def test_zero_counts_are_not_seen_and_missing_levels_and_qc_do_not_count():
    x = np.array([[4.0, 1.0, 0.0, 7.0, 7.0]])
    sheet = pd.DataFrame({"arm": ["a", "a", "b", None, "b"]})
    role = np.array([True, True, True, True, False])
    found = one_group(x, "count", sheet, role)
    assert found[["n_observed", "n_level", "n_other"]].to_numpy().tolist() == [[2, 2, 1]]
    assert one_group(x, "log2", sheet, role).empty


def test_no_such_feature_gives_an_empty_table_with_its_columns():
    empty = one_group(np.ones((3, 4)), "log2", pd.DataFrame({"arm": list("aabb")}), names=list("xyz"))
    assert len(empty) == 0
    assert empty.columns.tolist() == [
        "feature_id", "feature", "factor", "level", "n_observed", "n_level", "n_other", "p_value",
    ]  # fmt: skip
    assert one_group(np.ones((3, 4)), "log2", pd.DataFrame(index=range(4))).empty


def test_no_p_where_units_repeat_among_the_samples_counted():
    x = np.array([[1.0, N, N, N, 1.0], [1.0, 2.0, N, N, N]])
    sheet = pd.DataFrame({"arm": list("aabbb")})
    role = np.array([True, True, True, True, False])
    units = pd.Series(["P1", "P2", "P3", None, "P1"])
    alone = one_group(x, "log2", sheet, role, units=units)
    np.testing.assert_allclose(alone["p_value"], [1 / 3, 1.0])
    units[1] = "P1"
    found = one_group(x, "log2", sheet, role, units=units)
    assert found["p_value"].isna().all() and found["feature"].tolist() == [1, 0], "most observed first"
    counts = ["n_observed", "n_level", "n_other"]
    assert found[counts].to_numpy().tolist() == [[2, 2, 2], [1, 2, 2]]


def test_missingness():
    mean, missing = missingness(
        np.array([[1.0, N, 3.0, 100.0], [N, N, N, 5.0]]), np.array([True, True, True, False])
    )
    np.testing.assert_array_equal(mean, [2.0, N])
    np.testing.assert_allclose(missing, [1 / 3, 1.0])
