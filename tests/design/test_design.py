"""Terms met with data: levels, rows left out, QR, new data, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixflow.design import build
from mixflow.design.orthogonal import factor
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse


def sheet() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": pd.Categorical(["B", "A", "C", "B", "A", "C", "B", "A"], ["C", "A", "B", "D"]),
            "text": list("wmwmwmwm"),
            "yes": [True, False, True, True, False, False, True, False],
            "age": [30.0, 40, 50, np.nan, 60, 70, 80, 90],
            "egfr-mut": list("nynynyny"),
            "subject": [308, 308, 309, 309, 1000, 1000, 1000, 308],
            "y": np.arange(8.0),
        },
        index=[f"s{i}" for i in range(8)],
    )


def refusals(formula: str, frame: pd.DataFrame | None = None, **options: object) -> tuple[Problem, ...]:
    with pytest.raises(MixflowError) as caught:
        build(parse(formula), sheet() if frame is None else frame, **options)  # type: ignore[arg-type]
    return caught.value.problems


def test_names_levels_and_reference() -> None:
    design = build(parse("~ arm + text + yes + `egfr-mut`:age + (1 | subject)"), sheet())
    assert design.coef_names == (
        "(Intercept)", "arm[A]", "arm[B]", "text[w]", "yes[True]", "egfr-mut[n]:age", "egfr-mut[y]:age",
    )  # fmt: skip
    assert design.term_names == ("(Intercept)", "arm", "text", "yes", "egfr-mut:age")
    assert design.term_of_coef.tolist() == [0, 1, 1, 2, 3, 4, 4]
    assert design.variable("arm").levels == ("C", "A", "B")  # D is used by no sample
    assert design.variable("yes").levels == ("False", "True")


def test_rows_with_gaps_are_left_out_and_the_rest_stays_aligned() -> None:
    design = build(parse("log(y + 1) ~ age + (1 | subject)"), sheet())
    assert design.rows.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert design.dropped == ("s3",)
    assert design.labels == ("s0", "s1", "s2", "s4", "s5", "s6", "s7")
    assert design.X[:, 1].tolist() == [30, 40, 50, 60, 70, 80, 90]
    np.testing.assert_allclose(design.response, np.log(np.array([0, 1, 2, 4, 5, 6, 7]) + 1))
    assert design.random[0].index.tolist() == [0, 0, 1, 2, 2, 2, 0]
    assert design.random[0].index.dtype == np.int32


def test_a_level_whose_rows_are_all_left_out_is_gone() -> None:
    frame = sheet()
    frame.loc[frame["arm"] == "B", "age"] = np.nan
    design = build(parse("~ arm + age"), frame)
    assert design.coef_names == ("(Intercept)", "arm[A]", "age")


def test_numbers_name_groups_in_their_order() -> None:
    design = build(parse("~ 1 + (1 | subject)"), sheet())
    assert design.random[0].levels == ("308", "309", "1000")


def test_interaction_groups_hold_observed_combinations_only() -> None:
    [term] = build(parse("~ 1 + (1 | text:subject)"), sheet()).random
    assert term.group == "text:subject"
    assert term.levels == ("m:308", "m:309", "m:1000", "w:308", "w:309", "w:1000")
    [pair] = build(parse("~ 1 + (1 | text:yes)"), sheet().iloc[:3]).random
    assert pair.levels == ("m:False", "w:True")


def test_a_column_can_be_number_and_group() -> None:
    design = build(parse("~ subject + (1 | subject)"), sheet())
    assert design.coef_names == ("(Intercept)", "subject")
    assert len(design.random[0].levels) == 3


def test_numbers_as_factor() -> None:
    design = build(parse("~ C(subject)"), sheet())
    assert design.coef_names == ("(Intercept)", "C(subject)[309]", "C(subject)[1000]")
    assert design.variable("subject").levels == ("308", "309", "1000")


def test_offset_is_the_sum_of_its_expressions() -> None:
    design = build(parse("~ 1 + offset(log(subject)) + offset(y)"), sheet())
    np.testing.assert_allclose(design.offset, np.log(sheet()["subject"]) + sheet()["y"])
    np.testing.assert_allclose(design.offsets(sheet().iloc[:2]), design.offset[:2])
    assert (build(parse("~ age"), sheet()).offset == 0).all()


@pytest.mark.parametrize(
    "text", ["~ arm * age", "~ poly(y, 2)", "~ scale(age) + center(y)", "~ bs(y, df=4)", "~ cr(y, df=3)"]
)
def test_new_data_are_coded_as_the_old(text: str) -> None:
    design = build(parse(text), sheet())
    np.testing.assert_allclose(design.matrix(sheet().iloc[design.rows]), design.X, atol=1e-12)
    np.testing.assert_allclose(design.matrix(sheet().iloc[[6]]), design.X[-2:-1], atol=1e-12)


def test_new_data_may_write_levels_as_text_and_are_checked() -> None:
    design = build(parse("~ arm + age"), sheet())
    new = pd.DataFrame({"arm": ["B", "C"], "age": [1, 2]})
    np.testing.assert_allclose(design.matrix(new), [[1, 0, 1, 1], [1, 0, 0, 2]])
    for wrong, value in (("Z", 1.0), ("B", np.nan), ("B", "old")):
        with pytest.raises(MixflowError):
            design.matrix(pd.DataFrame({"arm": [wrong], "age": [value]}))
    with pytest.raises(MixflowError) as caught:
        design.matrix(pd.DataFrame({"arm": ["B"]}))
    assert caught.value.problems[0].column == "age"


def test_new_data_outside_the_range_of_a_function() -> None:
    design = build(parse("~ log(subject) + bs(age, df=4)"), sheet())
    for subject, age in ((0, 50.0), (308, 1000.0)):
        with pytest.raises(MixflowError):
            design.matrix(pd.DataFrame({"subject": [subject], "age": [age]}))


def test_labels_may_repeat_and_nullable_numbers_have_gaps() -> None:
    frame = (
        sheet().assign(age=pd.array([1, 2, None, 4, 5, 6, 7, 9], dtype="Int64")).set_axis(list("aabbccdd"))
    )
    design = build(parse("~ age + text + (1 | subject)"), frame)
    assert design.X[:, 1].tolist() == [1, 2, 4, 5, 6, 7, 9]
    assert design.dropped == ("b",)


def test_names_that_are_no_words_in_functions() -> None:
    frame = sheet().rename(columns={"age": "age (y)", "y": "Sepal.Length", "subject": "class"})
    design = build(
        parse("class + 0 ~ log(`age (y)`) + I(Sepal.Length^2) + poly(`Sepal.Length`, 2) + class"), frame
    )
    assert {v.name for v in design.variables} == {"age (y)", "Sepal.Length", "class"}
    np.testing.assert_allclose(design.response, design.X[:, -1])
    np.testing.assert_allclose(design.X[:, 2], frame["Sepal.Length"].iloc[design.rows] ** 2)


def test_a_design_travels_between_processes() -> None:
    design = build(parse("~ arm * poly(y, 2) + (1 | subject)"), sheet())
    copy = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(copy.matrix(sheet()), design.X)


class TestRefusals:
    def test_unknown_columns_are_told_together_with_the_nearest(self) -> None:
        first, second = refusals("~ agee + (1 | subjct)")
        assert (first.column, second.column) == ("agee", "subjct")
        assert "age" in str(first.remedy) and "subject" in str(second.remedy)

    def test_one_level(self) -> None:
        frame = sheet().assign(site="X", lab="L")
        first, second = refusals("~ site + lab + age", frame)
        assert {first.column, second.column} == {"site", "lab"}
        assert first.value in ("X", "L")
        assert refusals("~ age + (1 | site)", frame)[0].column == "site"

    def test_empty(self) -> None:
        assert "no rows" in refusals("~ age", sheet().iloc[:0])[0].message
        [problem] = refusals("~ age", sheet().assign(age=np.nan))
        assert (problem.column, problem.value) == ("age", "8 of 8 missing")

    def test_text_in_a_function(self) -> None:
        [problem] = refusals("~ log(text)")
        assert (problem.column, problem.value) == ("text", "w")
        assert "text" in refusals("text ~ age")[0].message or refusals("text ~ age")[0].value == "text"

    def test_values_that_are_not_finite(self) -> None:
        [infinite] = refusals("~ age", sheet().assign(age=[1.0, np.inf, 2, 3, 4, 5, 6, 7]))
        assert infinite.column == "age" and "s1" in infinite.message and infinite.value == np.inf
        [log] = refusals("~ log(y)")
        assert log.column == "log(y)" and "s0" in log.message
        assert refusals("~ offset(log(y))")[0].column == "log(y)"
        assert refusals("log(y) ~ age")[0].column == "log(y)"

    def test_columns_that_are_no_numbers(self) -> None:
        dates = sheet().assign(day=pd.Timestamp("2020-01-01"))
        assert refusals("~ day", dates)[0].column == "day"

    def test_a_name_that_stands_twice(self) -> None:
        frame = pd.concat([sheet(), sheet()[["age"]]], axis=1)
        assert "Two columns" in refusals("~ age", frame)[0].message

    def test_no_fixed_effect(self) -> None:
        assert "no fixed effect" in refusals("~ 0 + (1 | subject)")[0].message

    def test_coding_of_what_is_no_factor(self) -> None:
        first, second = refusals("~ age + arm", contrasts={"age": "sum", "nothing": "sum"})
        assert (first.column, second.column) == ("age", "nothing")
        assert first.remedy == "Factors of the formula: arm."

    def test_unknown_coding(self) -> None:
        [problem] = refusals("~ arm", contrasts={"arm": "fancy"})
        assert problem.value == "fancy" and "helmert" in str(problem.remedy)

    def test_arguments_that_fit_no_function(self) -> None:
        assert "does not fit" in refusals("~ poly(age, degree=2, nonsense=3)")[0].message

    def test_levels_written_alike(self) -> None:
        frame = sheet().assign(mixed=pd.Series([1, "1", 2, 2, 1, 1, 2, 2], dtype=object).to_numpy())
        assert "alike" in refusals("~ mixed", frame)[0].message


def check_qr(x: np.ndarray, rank: int) -> None:
    q, r = factor(x)
    np.testing.assert_allclose(q @ r, x, atol=1e-10 * max(1.0, np.abs(x).max()))
    kept = q.any(axis=0)
    np.testing.assert_allclose(q[:, kept].T @ q[:, kept], np.eye(kept.sum()), atol=1e-12)
    assert kept.sum() == rank
    assert (np.tril(r, -1) == 0).all() and (np.diag(r) > 0).all()
    assert (np.diag(r)[~kept] == 1).all()


def test_qr_sets_the_later_dependent_column_aside() -> None:
    one, x = np.ones(6), np.arange(6.0)
    table = np.column_stack([one, x, 3 * x - one, np.zeros(6), x**2])
    check_qr(table, 3)
    assert factor(table)[0].any(axis=0).tolist() == [True, True, False, False, True]


def test_qr_does_not_mind_units() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack(
        [np.ones(40), 1e9 * rng.normal(size=40), 1e-9 * rng.normal(size=40), 2000 + np.arange(40) % 3]
    )
    check_qr(x, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 12))
def test_qr_of_any_shape(seed: int, p: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(n, p)).astype(float)
    check_qr(x, int(np.linalg.matrix_rank(x)))


def test_dependent_coefficients_are_named() -> None:
    design = build(parse("~ age + I(2 * age) + arm"), sheet())
    assert design.rank == 4
    assert design.dependent == ("I(2 * age)",)
