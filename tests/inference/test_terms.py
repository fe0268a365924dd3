"""Tables of type I, II and III against lmerTest's anova, with both denominators (tests/reference/kr.R)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.inference.terms import COLUMNS, hypotheses, term_tests
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.ragged import fit_ragged
from tests.reference.cases import CASES, HERE, Fitted, fitted

TABLES = {
    c["id"]: c["kr"]
    for c in json.loads((HERE / "kr.json").read_text())["cases"]
    if "type3_Satterthwaite" in c.get("kr", {})
}
METHODS = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger"}


@pytest.mark.parametrize("name", TABLES)
def test_agrees_with_lmertest(name: str) -> None:
    got = fitted(next(case for case in CASES if case["id"] == name), kr=True)
    for kind in (1, 2, 3):
        for label, method in METHODS.items():
            _compare(got, kind, method, TABLES[name][f"type{kind}_{label}"])


def _compare(got: Fitted, kind: int, method: str, by_r: list[dict]) -> None:
    found = term_tests(got.fit, got.design, kind, method, np.isfinite(got.values)[None]).set_index("term")
    assert list(found.columns) == [c for c in COLUMNS if c != "term"]
    assert set(found.index) == {row["term"] for row in by_r}
    for row in by_r:
        ours = found.loc[row["term"]]
        assert ours["df_num"] == row["df_num"]
        assert ours["statistic"] == pytest.approx(row["f"], rel=1e-3), (kind, method, row["term"])
        assert ours["df"] == pytest.approx(row["df"], rel=1e-3), (kind, method, row["term"])
        assert ours["p_value"] == pytest.approx(row["p"], rel=2e-2, abs=1e-300)


def _factorial(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Unbalanced, three factors' levels, a dose written as a number."""
    rng = np.random.default_rng(seed)
    n = 120
    frame = pd.DataFrame(
        {"x": rng.normal(size=n) + 2, "dose": rng.choice([0.0, 1.0, 5.0], n, p=[0.2, 0.3, 0.5])}
    )
    for name, levels in (("a", 3), ("b", 2), ("g", 10)):
        frame[name] = pd.Categorical([f"{name}{i}" for i in rng.integers(0, levels, n)])
    y = rng.normal(size=(4, n)) + rng.normal(size=(4, 10))[:, frame["g"].cat.codes]
    return frame, y


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_coding_does_not_matter(kind: int) -> None:
    frame, y = _factorial()
    formula = parse("~ a * b + a:x + x + C(dose) + (1 | g)")
    tables = []
    for codings in ({}, {"a": "sum", "b": "helmert"}, {"a": "diff"}):
        design = build(formula, frame, codings)
        tables.append(term_tests(fit_features(design, y, list("wxyz")), design, kind))
    for other in tables[1:]:
        assert list(other["term"]) == list(tables[0]["term"])
        np.testing.assert_allclose(other["statistic"], tables[0]["statistic"], rtol=1e-6)
        # lmerTest's df of several rows depend on which rows say it: they follow the coding in types I and II.
        np.testing.assert_allclose(other["df"], tables[0]["df"], rtol=1e-5 if kind == 3 else 1e-3)


def test_numbers_written_as_factors_are_factors() -> None:
    frame, y = _factorial()
    written = build(parse("~ C(dose) * b + (1 | g)"), frame)
    frame["dose"] = pd.Categorical(frame["dose"].map(lambda d: f"d{d:g}"))
    real = build(parse("~ dose * b + (1 | g)"), frame)
    for kind in (2, 3):
        first, second = (term_tests(fit_features(d, y, list("wxyz")), d, kind) for d in (written, real))
        np.testing.assert_allclose(first["statistic"], second["statistic"], rtol=1e-7)


def test_an_empty_cell_is_told_for_the_feature_that_has_it() -> None:
    frame, y = _factorial()
    y[2, ((frame["a"] == "a1") & (frame["b"] == "b1")).to_numpy()] = np.nan
    design = build(parse("~ a * b + (1 | g)"), frame)
    table = term_tests(fit_features(design, y, list("wxyz")), design, 3)
    own = table[table["feature"] == "y"].set_index("term")
    assert (own["status"] == "not estimable").all() and own["p_value"].isna().all()
    assert table[table["feature"] != "y"]["p_value"].notna().all()


def test_result_and_mistakes() -> None:
    frame, y = _factorial()
    frame["y"] = y[0]
    result = mixflow.fit("y ~ a * b + (1 | g)", data=frame, df="kenward-roger")
    table = result.terms()
    assert list(table.columns) == list(COLUMNS)
    assert list(table["term"]) == ["a", "b", "a:b"]
    other = result.terms(type=3, df="satterthwaite")
    assert not np.allclose(other["df"], table["df"], rtol=1e-9)
    assert result.coefficients["df"].notna().all()
    with pytest.raises(MixflowError, match="Unknown type"):
        result.terms(type=4)
    with pytest.raises(MixflowError, match="Unknown method"):
        mixflow.fit("y ~ a + (1 | g)", data=frame, df="kenward")
    assert hypotheses(build(parse("~ 1 + (1 | g)"), frame)) == []


def test_types_one_and_two_are_of_each_features_own_rows() -> None:
    """A table of many features is the tables of each one alone."""
    frame, y = _factorial()
    y[1, ::5] = np.nan
    y[3, 7:40] = np.nan
    formula = parse("~ a * b + x + (1 | g)")
    design = build(formula, frame)
    for kind in (1, 2):
        whole = term_tests(fit_features(design, y, list("wxyz")), design, kind, observed=np.isfinite(y))
        for i, name in enumerate("wxyz"):
            seen = np.isfinite(y[i])
            alone = build(formula, frame[seen])
            one = term_tests(fit_features(alone, y[i : i + 1, seen], [name]), alone, kind)
            own = whole[whole["feature"] == name]
            for column in ("df_num", "df", "statistic", "p_value"):
                np.testing.assert_allclose(own[column], one[column], rtol=1e-6)


def test_analysis_terms() -> None:
    """The table of the analysis is that of the fit; features with rows of their own have theirs."""
    frame, y = _factorial()
    y[1, ::5] = np.nan
    design = build(parse("~ a * b + (1 | g)"), frame)
    fit = fit_features(design, y, list("wxyz"))
    run = ANALYSES["terms"].run
    expected = term_tests(fit, design, 2, "residual", np.isfinite(y))
    pd.testing.assert_frame_equal(run(Subject(fit, design, y), type=2, df="residual"), expected)
    assert set(ANALYSES["terms"].columns) == set(expected)

    long = pd.concat([frame] * 2, ignore_index=True)
    feature = np.repeat([0, 1], len(frame))
    own = build(parse("~ a * b + (1 | g)"), long)
    ragged = fit_ragged(own, y[:2].ravel(), feature, ["w", "x"])
    subject = Subject(ragged, own, y[:2].ravel(), feature_of_row=feature)
    both = run(subject, type=2, df="residual")
    for column in ("df_num", "df", "statistic"):
        np.testing.assert_allclose(both[column], expected[column][: len(both)], rtol=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_thresholds_in_place_of_the_intercept_change_no_hypothesis(kind: int) -> None:
    frame, terms = _factorial()[0], parse("~ a * b + x")
    whole = hypotheses(build(terms, frame), kind)
    beside = hypotheses(build(replace(terms, thresholds=True), frame), kind)
    assert [c.name for c in beside] == [c.name for c in whole] == ["a", "b", "x", "a:b"]
    for one, other in zip(whole, beside, strict=True):
        np.testing.assert_allclose(other.L, one.L[:, 1:], atol=1e-9)
