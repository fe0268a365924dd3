"""Contrasts of means in emmeans' words, and p over the contrasts of one feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError
from mixflow.inference import mean_contrasts as words


def _frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 6)
    dose, sex = np.tile(["a", "b", "c"], 24), np.array(["f", "m"])[g % 2]
    y = random.normal(size=12)[g] + random.normal(size=72) + (dose == "c")
    return pd.DataFrame({"g": g, "dose": dose, "sex": sex, "y": y}).drop(index=[1, 8, 40])


def test_polynomials_are_those_of_the_tables() -> None:
    """Whole-number orthogonal polynomials (Fisher and Yates; R: emmeans:::poly.emmc)."""
    names, rows = words.polynomial("abcd")
    assert names == ("linear", "quadratic", "cubic")
    np.testing.assert_array_equal(rows, [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]])
    np.testing.assert_array_equal(words.polynomial("abcde")[1][3], [1, -4, 6, -4, 1])


def test_words_sum_to_zero_and_say_what_they_compare() -> None:
    for method in words.METHODS:
        names, rows = words.weights(method, ("x", "y", "z"))
        assert len(names) == len(rows)
        np.testing.assert_allclose(rows.sum(axis=1), 0.0, atol=1e-12)
    assert words.weights("pairwise", "xyz")[0] == ("x - y", "x - z", "y - z")
    assert words.weights("trt.vs.ctrl", "xyz")[0] == ("y - x", "z - x")
    assert words.interaction(("pairwise", "poly"), ("ab", "xyz"))[0] == (
        "a - b | linear",
        "a - b | quadratic",
    )


def test_means_and_their_contrasts_of_a_fit() -> None:
    fit = mixflow.fit("y ~ dose * sex + (1 | g)", _frame())
    means = fit.means("dose").table.set_index("dose")["estimate"]
    table = fit.means("dose").contrast("trt.vs.ctrl").set_index("contrast")
    assert table.loc["c - a", "estimate"] == pytest.approx(means["c"] - means["a"])
    both = fit.means(["dose", "sex"]).contrast(("pairwise", "pairwise"))
    beta = fit.coefficients.set_index("term")["estimate"]
    assert both.set_index("contrast").loc["a - b | f - m", "estimate"] == pytest.approx(
        beta["dose[b]:sex[m]"]
    )
    analysed = fit.analyse("means", factors="dose", contrast="trt.vs.ctrl")
    np.testing.assert_allclose(analysed["estimate"], table["estimate"])


def test_adjusted_p() -> None:
    """Tukey by the studentised range (R: ptukey(3.5 * sqrt(2), 3, 20, lower.tail = FALSE) = 0.0061032644)."""
    p, t = np.array([[0.01, 0.02, 0.5]]), np.array([[3.5, 2.6, 0.7]])
    df = np.full((1, 3), 20.0)
    np.testing.assert_allclose(words.adjusted(p, t, df, "tukey", 3)[0, 0], 0.006103264391, rtol=1e-6)
    np.testing.assert_allclose(words.adjusted(p, t, df, "holm", 3), [[0.03, 0.04, 0.5]])
    np.testing.assert_allclose(words.adjusted(p, t, df, "bonferroni", 3), [[0.03, 0.06, 1.0]])
    np.testing.assert_allclose(words.adjusted(p, t, df, "sidak", 3), 1 - (1 - p) ** 3)
    missing = words.adjusted(np.array([[np.nan, 0.02]]), t[:, :2], df[:, :2], "holm", 3)
    np.testing.assert_allclose(missing, [[np.nan, 0.02]])
    for wrong in (lambda: words.adjusted(p, t, df, "dunnett", 3), lambda: words.weights("some", "ab")):
        with pytest.raises(MixflowError) as refused:
            wrong()
        assert refused.value.problems[0].remedy
