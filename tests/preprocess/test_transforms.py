"""Transforms: inverse pairs, order kept, misfits refused with place and remedy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mixflow.errors import MixflowError
from mixflow.preprocess import TRANSFORMS, apply, invert
from mixflow.preprocess.scales import Labels
from mixflow.preprocess.transforms import check_fits

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=6)
DOMAIN = {
    "none": ("free", st.floats(-1e6, 1e6)),
    "log2": ("intensity", st.floats(1e-6, 1e9)),
    "log1p": ("count", st.integers(0, 10**7).map(float)),
    "logit": ("proportion", st.floats(1e-6, 1 - 1e-6)),
    "asin_sqrt": ("proportion", st.floats(0, 1)),
}


def case(name: str):
    scale, values = DOMAIN[name]
    return st.tuples(st.just(name), st.just(scale), arrays(np.float64, SHAPES, elements=values))


CASES = st.sampled_from(sorted(DOMAIN)).flatmap(case)


@given(CASES)
def test_inverse_gives_the_values_back(drawn):
    name, scale, x = drawn
    z, new_scale, _ = apply(x, name, scale)
    assert new_scale == (scale if name == "none" else name)
    np.testing.assert_allclose(invert(z, name), x, rtol=1e-7, atol=1e-12)


@given(CASES)
def test_order_is_kept(drawn):
    name, scale, x = drawn
    z = apply(x, name, scale)[0]
    assert (np.diff(z.ravel()[np.argsort(x.ravel(), kind="stable")]) >= 0).all()


@given(CASES, st.integers(0, 35))
def test_missing_stays_missing_and_touches_nothing_else(drawn, place):
    name, scale, x = drawn
    hole = x.copy()
    hole.ravel()[place % x.size] = np.nan
    z, whole = apply(hole, name, scale)[0], apply(x, name, scale)[0]
    assert np.isnan(z.ravel()[place % x.size])
    assert np.array_equal(np.isnan(z), np.isnan(hole))
    np.testing.assert_array_equal(z[~np.isnan(z)], whole[~np.isnan(z)])


@given(arrays(np.float64, SHAPES, elements=st.floats(1e-3, 1e3)), st.floats(0.01, 100))
def test_clr_sums_to_zero_ignores_depth_and_closes_to_proportions(x, depth):
    z = apply(x, "clr", "intensity")[0]
    np.testing.assert_allclose(z.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(apply(x * depth, "clr", "intensity")[0], z, atol=1e-9)
    np.testing.assert_allclose(invert(z, "clr"), x / x.sum(axis=0), rtol=1e-9)


def test_known_values():
    x = np.array([[0.25, 1.0]])
    assert apply(np.array([[8.0]]), "log2", "intensity")[0] == 3.0
    np.testing.assert_allclose(apply(x, "asin_sqrt", "proportion")[0], [[np.pi / 6, np.pi / 2]])
    # two features with counts 1 and 3, pseudocount 0.5: logs of 1.5 and 3.5 less their mean
    clr = apply(np.array([[1.0], [3.0]]), "clr", "count")[0]
    np.testing.assert_allclose(clr[1, 0], (np.log(3.5) - np.log(1.5)) / 2)


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("log2", "log2"),
        ("log1p", "log2"),
        ("logit", "count"),
        ("asin_sqrt", "count"),
        ("asin_sqrt", "intensity"),
        ("clr", "free"),
        ("clr", "clr"),
        ("log1p", "proportion"),
    ],
)
def test_misfits_are_refused(name, scale):
    with pytest.raises(MixflowError) as error:
        apply(np.array([[0.5]]), name, scale)
    (problem,) = error.value.problems
    assert (problem.column, problem.value) == ("preprocess.transform", name)
    assert problem.remedy
    assert "none" in problem.remedy


def test_log2_of_log2_says_so():
    with pytest.raises(MixflowError, match="on this scale already"):
        check_fits("log2", "log2")
    with pytest.raises(MixflowError, match="total_sum"):
        check_fits("asin_sqrt", "count")


@pytest.mark.parametrize(("name", "scale"), [("lg", "count"), ("log2", "counts")])
def test_unknown_names_are_answered_with_the_known_ones(name, scale):
    with pytest.raises(MixflowError) as error:
        apply(np.array([[1.0]]), name, scale)
    assert "log2" in str(error.value.problems[0].remedy)


@pytest.mark.parametrize(
    ("name", "scale", "value"),
    [
        ("log2", "count", 0.0),
        ("log2", "free", -3.0),
        ("log2", "intensity", -1.0),
        ("log1p", "count", -2.0),
        ("logit", "proportion", 0.0),
        ("logit", "proportion", 1.0),
        ("logit", "free", 1.5),
        ("asin_sqrt", "proportion", 45.0),
        ("asin_sqrt", "proportion", -0.1),
        ("clr", "proportion", 0.0),
        ("clr", "count", -1.0),
    ],
)
def test_values_outside_the_domain_name_feature_sample_and_value(name, scale, value):
    x = np.full((2, 3), 0.5)
    x[1, 2] = value
    with pytest.raises(MixflowError) as error:
        apply(x, name, scale, pseudocount=0.0, labels=Labels(["P1", "P2"], ["a", "b", "c"]))
    (problem,) = error.value.problems
    assert "P2" in problem.message
    assert "sample c" in problem.message
    assert (problem.column, problem.value) == ("preprocess.transform", value)
    assert problem.remedy


def test_many_offenders_are_counted_and_five_shown():
    with pytest.raises(MixflowError) as error:
        apply(np.zeros((4, 5)), "log2", "count")
    assert len(error.value.problems) == 5
    assert "20 such values" in error.value.problems[0].message


def test_zero_is_missing_on_the_intensity_scale_only():
    assert np.isnan(apply(np.array([[0.0, 4.0]]), "log2", "intensity")[0][0, 0])
    assert apply(np.array([[0.0]]), "log1p", "count")[0] == 0.0


def test_logit_with_a_pseudocount_is_finite_and_symmetric():
    z = apply(np.array([[0.0, 0.02, 0.98, 1.0]]), "logit", "proportion", pseudocount=0.01)[0]
    np.testing.assert_allclose(z[0], -z[0, ::-1])
    assert np.isfinite(z).all()


@pytest.mark.parametrize("pseudocount", [0.5, -1.0, np.nan])
def test_a_pseudocount_may_not_outweigh_the_data(pseudocount):
    with pytest.raises(MixflowError) as error:
        apply(np.array([[0.0], [0.01]]), "clr", "proportion", pseudocount=pseudocount)
    assert error.value.problems[0].column == "preprocess.zero.pseudocount"


def test_units_tell_what_was_done():
    x = np.array([[0.5]])
    assert apply(x, "log2", "intensity", unit="LFQ intensity")[2] == "log2 LFQ intensity"
    assert apply(x, "asin_sqrt", "proportion")[2] == "arcsine square root of proportion"
    assert set(TRANSFORMS) == {"none", "log2", "log1p", "logit", "asin_sqrt", "clr"}
