"""The check of an expression is a wall of its own: it holds for text that no formula let through."""

from __future__ import annotations

import pandas as pd
import pytest

from mixflow.design.terms import encode, evaluate
from mixflow.errors import MixflowError
from mixflow.formula.allowed import variables


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("().__class__.__bases__", "not allowed"),
        ("contr.nonsense", "not allowed"),
        ("a.contr", "not allowed"),
        ("open('x')", "open() is not a function"),
        ("(lambda: 1)()", "is not a function"),
        ("log(x)(y)", "is not a function"),
        ("[x for x in y]", "not allowed"),
        ("x if y else z", "not allowed"),
        ("x[0]", "not allowed"),
        ("{x}", "not allowed"),
        ("f'{x}'", "not allowed"),
        ("(x := 1)", "not allowed"),
        ("x & y", "operator is not allowed"),
        ("2 ** x", "power needs"),
        ("x ** y", "power needs"),
        ("9 ** 9", "power needs"),
        ("'a' * 3", "columns or numbers"),
        ("x + [1]", "columns or numbers"),
        ("bs(x, knots=[log(y)])", "numbers only"),
        ("a b", "cannot be read"),
        ("\x00", "cannot be read"),
        ("class", "cannot be read"),
    ],
)
def test_refused(expression: str, words: str) -> None:
    for check in (variables, lambda text: evaluate(text, pd.DataFrame({"x": [1.0]}))):
        with pytest.raises(MixflowError) as caught:
            check(expression)
        assert words in caught.value.problems[0].message
        assert caught.value.problems[0].value == expression


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("x", {"x"}),
        ("log(x + 1) / -y", {"x", "y"}),
        ("`a b` * x ** -2", {"a b", "x"}),
        ("I(x > 3)", {"x"}),
        ("C(g, contr.treatment('B'))", {"g"}),
        ("poly(x, degree=2, raw=True)", {"x"}),
        ("bs(x, knots=[1, -2.5])", {"x"}),
        ("1", set()),
    ],
)
def test_allowed(expression: str, columns: set[str]) -> None:
    assert variables(expression) == columns


def test_a_column_may_have_the_name_of_a_function() -> None:
    frame = pd.DataFrame({"log": [1.0, 2.0], "x": [3.0, 5.0]})
    assert encode("log + x", frame, {}).matrix.tolist() == [[1, 1, 3], [1, 2, 5]]
    assert evaluate("log + x", frame).tolist() == [4, 7]
