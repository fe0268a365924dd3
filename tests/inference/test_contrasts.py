"""Contrasts in words: weights against emmeans and by hand, their text, their rows, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixflow.design import Design, build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.inference import contrasts, means

CASES = json.loads((Path(__file__).parents[1] / "reference" / "model_matrix.json").read_text())


def r_design(text: str) -> Design:
    frame = pd.DataFrame(CASES["frame"]).astype({"u": "float64"})
    for name, levels in CASES["levels"].items():
        frame[name] = pd.Categorical(frame[name], levels)
    return build(parse(text), frame)


@pytest.mark.parametrize("limit", [5000, 0], ids=["whole grid", "term by term"])
@pytest.mark.parametrize("case", CASES["means"], ids=lambda c: f"{c['formula']} {c['specs']} {c['at']}")
def test_weights_are_those_of_emmeans(
    case: dict[str, Any], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means, "LARGEST_GRID", limit)
    design = r_design(case["formula"])
    spec = {"it": {case["specs"].removeprefix("~ "): "all pairs", "at": case["at"] or {}}}
    ours = {c.name.removeprefix("it: ").replace(" vs ", " - "): c.L[0] for c in contrasts.build(spec, design)}
    assert len(case["names"]) > 0
    for name, weights in zip(case["names"], case["weights"], strict=True):
        np.testing.assert_allclose(ours[name], weights, atol=1e-10)


def sheet() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 48
    return pd.DataFrame(
        {
            "AD": pd.Categorical(rng.permutation(["control", "AD"] * 24), ["control", "AD"]),
            "time": pd.Categorical(rng.permutation(["week 0", "week 4", "week 8"] * 16)),
            "age": rng.normal(68, 6, n).round(1),
            "male": rng.integers(0, 2, n),
            "site": rng.permutation(list("abcd") * 12),
        }
    )


def design_of(text: str) -> Design:
    return build(parse(text), sheet())


def one(spec: dict[str, Any], design: Design, **options: Any) -> contrasts.Contrast:
    [found] = contrasts.build({"it": spec}, design, **options)
    return found


def refusals(spec: dict[str, Any], design: Design) -> tuple[Problem, ...]:
    with pytest.raises(MixflowError) as caught:
        contrasts.build(spec, design)
    return caught.value.problems


MAIN = "~ AD + age + male + (1 | site)"
CROSSED = "~ AD * time + age + male + (1 | site)"


def weights(contrast: contrasts.Contrast, design: Design) -> dict[str, float]:
    [row] = contrast.L
    return {
        name: float(w) for name, w in zip(design.coef_names, row.round(12), strict=True) if abs(w) > 1e-12
    }


def test_first_minus_second() -> None:
    design = design_of(MAIN)
    found = one({"AD": ["AD", "control"]}, design)
    assert weights(found, design) == {"AD[AD]": 1}
    assert (found.name, found.kind, found.factor, found.levels) == ("it", "t", "AD", ("AD", "control"))
    assert found.text == "AD minus control (AD; reference level control), adjusted for age and male"
    assert found.level_rows.all()
    assert weights(one({"AD": ["control", "AD"]}, design), design) == {"AD[AD]": -1}


def test_levels_may_be_written_as_the_sheet_has_them() -> None:
    design = design_of(MAIN)
    found = one({"AD": [1, 0]}, design, labels={"AD": {"0": "control", "1": "AD"}})
    assert weights(found, design) == {"AD[AD]": 1}


def test_an_interaction_is_averaged_over_equal_weights() -> None:
    design = design_of(CROSSED)
    found = one({"AD": ["AD", "control"]}, design)
    expected = {"AD[AD]": 1, "AD[AD]:time[week 4]": 1 / 3, "AD[AD]:time[week 8]": 1 / 3}
    assert weights(found, design) == pytest.approx(expected)
    assert found.text.endswith("averaged over the levels of time, adjusted for age and male")


def test_at_a_level_of_another_factor() -> None:
    design = design_of(CROSSED)
    found = one({"AD": ["AD", "control"], "at": {"time": "week 4"}}, design)
    assert weights(found, design) == {"AD[AD]": 1, "AD[AD]:time[week 4]": 1}
    assert ", at time = week 4" in found.text
    assert found.level_rows.tolist() == (sheet()["time"] == "week 4").tolist()


def test_at_a_number() -> None:
    design = design_of("~ AD * age")
    assert weights(one({"AD": ["AD", "control"], "at": {"age": 50}}, design), design) == {
        "AD[AD]": 1,
        "AD[AD]:age": 50,
    }
    mean = one({"AD": ["AD", "control"]}, design)
    assert weights(mean, design) == pytest.approx({"AD[AD]": 1, "AD[AD]:age": sheet()["age"].mean()})
    assert f"at mean age {sheet()['age'].mean():.4g}" in mean.text


def test_all_pairs_and_versus_reference() -> None:
    design = design_of(CROSSED)
    pairs = contrasts.build({"t": {"time": "all pairs"}}, design)
    assert [c.name for c in pairs] == ["t: week 4 vs week 0", "t: week 8 vs week 0", "t: week 8 vs week 4"]
    assert pairs[2].levels == ("week 8", "week 4")
    assert pairs[2].level_rows.sum() == 32
    against = contrasts.build({"t": {"time": "versus reference"}}, design)
    assert [c.name for c in against] == ["t: week 4 vs week 0", "t: week 8 vs week 0"]
    np.testing.assert_allclose(against[1].L, pairs[1].L)


def test_a_difference_of_a_number() -> None:
    design = design_of(MAIN)
    found = one({"age": 10}, design)
    assert weights(found, design) == pytest.approx({"age": 10})
    assert found.text == "a difference of 10 in age, adjusted for AD and male"
    assert found.level_rows.all()
    assert weights(one({"age": [60, 70]}, design), design) == pytest.approx({"age": -10})


def test_a_difference_of_a_number_that_is_not_linear_says_so() -> None:
    design = design_of("~ AD + I(age^2)")
    mean = sheet()["age"].mean()
    found = one({"age": 10}, design)
    assert weights(found, design) == pytest.approx({"I(age ** 2)": (mean + 10) ** 2 - mean**2})
    assert "not linear" in found.text


def test_a_slope_is_averaged_over_the_factor_it_differs_by() -> None:
    design = design_of("~ AD * age")
    assert weights(one({"age": 1}, design), design) == pytest.approx({"age": 1, "AD[AD]:age": 0.5})
    at = one({"age": 1, "at": {"AD": "AD"}}, design)
    assert weights(at, design) == pytest.approx({"age": 1, "AD[AD]:age": 1})


def test_omnibus() -> None:
    design = design_of(CROSSED)
    found = one({"time": "omnibus"}, design)
    assert (found.kind, found.L.shape, found.levels) == ("F", (2, 8), ("week 0", "week 4", "week 8"))
    np.testing.assert_allclose(
        found.L[0], contrasts.build({"t": {"time": ["week 4", "week 0"]}}, design)[0].L[0]
    )
    np.testing.assert_allclose(
        found.L[1], contrasts.build({"t": {"time": ["week 8", "week 0"]}}, design)[0].L[0]
    )
    assert found.text.startswith("any difference between the levels of time (week 0, week 4, week 8)")


@pytest.mark.parametrize("coding", ["sum", "helmert", "poly"])
def test_the_coding_of_a_factor_does_not_matter(coding: str) -> None:
    """The same fitted differences, whatever the coordinates: L X^+ y agrees."""
    terms, frame = parse("~ AD * time + age"), sheet()
    y = np.random.default_rng(0).normal(size=len(frame))
    estimates = []
    for design in (build(terms, frame), build(terms, frame, {"AD": coding, "time": coding})):
        found = contrasts.build({"t": {"time": "all pairs"}, "a": {"AD": ["AD", "control"]}}, design)
        estimates.append([float(c.L[0] @ np.linalg.lstsq(design.X, y, rcond=None)[0]) for c in found])
    np.testing.assert_allclose(estimates[0], estimates[1], rtol=1e-9)


def test_coefficients_and_weights() -> None:
    design = design_of("~ AD + age")
    each = contrasts.build_coefficients(design)
    assert [c.name for c in each] == ["(Intercept)", "AD[AD]", "age"]
    np.testing.assert_array_equal(np.vstack([c.L for c in each]), np.eye(3))
    [found] = contrasts.from_weights({"x": {"AD[AD]": 2, "age": -1}}, design)
    assert found.text == "2 x AD[AD] - 1 x age"
    [half] = contrasts.from_weights({"x": {"AD[AD]": -0.5, "age": 0.5}}, design)
    assert half.text == "- 0.5 x AD[AD] + 0.5 x age"
    assert each[1].text == "coefficient AD[AD]"
    np.testing.assert_array_equal(found.L, [[0, 2, -1]])
    np.testing.assert_array_equal(one({"AD[AD]": 1}, design).L, [[0, 1, 0]])
    for wrong in ({"nothing": 1}, {"age": 0}, {"age": "much"}):
        with pytest.raises(MixflowError):
            contrasts.from_weights({"x": wrong}, design)


def test_all_problems_are_told_with_the_known_names() -> None:
    design = design_of(CROSSED)
    problems = refusals(
        {
            "a": {"AD": ["AD", "healthy"]},
            "b": {"diagnosis": "all pairs"},
            "c": {"AD": ["AD", "AD"]},
            "d": {"AD": "everything"},
            "e": {"AD": ["AD", "control"], "at": {"time": "week 5"}},
            "f": {"AD": ["AD", "control"], "at": {"tme": 1}},
            "g": {"age": 0},
            "h": {"age": "all pairs"},
            "i": {"AD": ["AD", "control"], "at": {"AD": "AD"}},
            "j": {"AD": ["AD", "control"], "time": ["week 4", "week 0"]},
            "k": 3,
            "l": {"AD": ["AD", "control"], "at": {"age": "old"}},
        },
        design,
    )
    assert [p.message.split("'")[1] for p in problems] == list("abcdefghijkl")
    assert problems[0].remedy == "Known levels: control, AD."
    assert (problems[0].column, problems[0].value) == ("AD", "healthy")
    assert problems[1].remedy == "Variables of the fixed part: AD, time, age, male."
    assert problems[4].remedy == "Known levels: week 0, week 4, week 8."
    assert (problems[11].column, problems[11].value) == ("age", "old")


def test_names_stand_once() -> None:
    spec = {"t": {"time": "all pairs"}, "t: week 4 vs week 0": {"time": ["week 4", "week 0"]}}
    [problem] = refusals(spec, design_of(CROSSED))
    assert problem.value == "t: week 4 vs week 0"


def test_means_of_cells() -> None:
    design = design_of("~ AD * age + time")
    cells = means.means(design, ["AD", "time"], {"age": 70})
    assert cells.names[:3] == ("control:week 0", "control:week 4", "control:week 8")
    assert cells.L.shape == (6, 6)
    names = dict(zip(design.coef_names, cells.L[4], strict=True))
    assert names == {
        "(Intercept)": 1,
        "AD[AD]": 1,
        "age": 70,
        "time[week 4]": 1,
        "time[week 8]": 0,
        "AD[AD]:age": 70,
    }
    titles, differences = means.pairs(means.means(design, "AD", {"age": 70}))
    assert titles == ("AD vs control",)
    expected = {
        "(Intercept)": 0,
        "AD[AD]": 1,
        "age": 0,
        "time[week 4]": 0,
        "time[week 8]": 0,
        "AD[AD]:age": 70,
    }
    assert dict(zip(design.coef_names, differences[0], strict=True)) == expected
    with pytest.raises(MixflowError):
        means.means(design, "age")


def test_a_number_taken_as_factor_has_levels() -> None:
    design = design_of("~ C(male) + age")
    found = one({"male": [1, 0]}, design)
    assert weights(found, design) == {"C(male)[1]": 1}
    assert found.levels == ("1", "0")


def test_a_grid_of_the_largest_size_is_taken_whole_and_no_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next test: where the limit is lost, that one asks for a grid of 10^9 rows."""
    design, sizes = design_of(CROSSED), []
    taken = means.reference_grid
    monkeypatch.setattr(means, "reference_grid", lambda *a: sizes.append(len(taken(*a))) or taken(*a))
    for limit, expected in ((6, [6]), (5, [1, 2, 3, 1, 1, 6])):
        sizes.clear()
        monkeypatch.setattr(means, "LARGEST_GRID", limit)
        means.means(design, ())
        assert sizes == expected


def test_a_grid_too_large_for_memory_is_taken_term_by_term() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"f{k}": rng.permutation(list("abcdefghij") * 20) for k in range(9)})
    design = build(parse("~ " + " + ".join(frame) + " + f0:f1"), frame)
    found = one({"f0": ["b", "a"]}, design)
    got = weights(found, design)
    assert got["f0[b]"] == 1
    assert {name: w for name, w in got.items() if name != "f0[b]"} == pytest.approx(
        {f"f0[b]:f1[{level}]": 0.1 for level in "bcdefghij"}
    )
    [row] = means.means(design, ()).L
    assert row[0] == 1
    np.testing.assert_allclose(row[1:82], 0.1)
    assert found.text.endswith("averaged over the levels of f1, adjusted for f2, f3, f4, f5, f6, f7 and f8")


def test_the_reference_grid() -> None:
    whole = means.reference_grid(design_of(CROSSED))
    assert len(whole) == 6
    assert whole[["AD", "time"]].iloc[1].tolist() == ["control", "week 4"]
    with pytest.raises(MixflowError):
        means.reference_grid(design_of(CROSSED), {"nothing": 1})
    table = means.reference_grid(design_of(CROSSED), {"time": "week 4"})
    assert len(table) == 2
    assert table["age"].nunique() == 1 and table["age"].iloc[0] == pytest.approx(sheet()["age"].mean())
