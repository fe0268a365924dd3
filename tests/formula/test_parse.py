"""Formulas to Terms: lme4's language, its expansions, and what is refused at which character."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mixflow.errors import MixflowError
from mixflow.formula import RandomTerm, parse


def random_of(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    return [(term.columns, term.group, term.covariance) for term in parse(text).random]


def test_embedded_study() -> None:
    terms = parse("~ AD + age + male + (1 | collection_site)")
    assert terms.response is None
    assert terms.fixed == "AD + age + male"
    assert terms.random == (RandomTerm("1", ("collection_site",), "us", "(1 | collection_site)"),)
    assert terms.offset == ()
    assert terms.variables == {"AD", "age", "male", "collection_site"}
    assert str(terms) == "~ AD + age + male + (1 | collection_site)"


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ("(x | g)", [("1 + x", ("g",), "us")]),
        ("(1 + x | g)", [("1 + x", ("g",), "us")]),
        ("(0 + x | g)", [("0 + x", ("g",), "us")]),
        ("(x - 1 | g)", [("0 + x", ("g",), "us")]),
        ("(-1 + x | g)", [("0 + x", ("g",), "us")]),
        ("(x || g)", [("1", ("g",), "us"), ("0 + x", ("g",), "us")]),
        ("(0 + x || g)", [("0 + x", ("g",), "us")]),
        ("(1 || g)", [("1", ("g",), "us")]),
        ("(x*z||g)", [(c, ("g",), "us") for c in ("1", "0 + x", "0 + z", "0 + x:z")]),
        ("(1 | a/b)", [("1", ("a",), "us"), ("1", ("a", "b"), "us")]),
        ("(1 | a/b/c)", [("1", ("a",), "us"), ("1", ("a", "b"), "us"), ("1", ("a", "b", "c"), "us")]),
        ("(1 | a:b)", [("1", ("a", "b"), "us")]),
        ("(1 | a:b/c)", [("1", ("a", "b"), "us"), ("1", ("a", "b", "c"), "us")]),
        ("(1 | (a/b):c)", [("1", ("a", "c"), "us"), ("1", ("a", "b", "c"), "us")]),
        ("us(x | g)", [("1 + x", ("g",), "us")]),
        ("diag(x | g)", [("1 + x", ("g",), "diag")]),
        ("((x | g))", [("1 + x", ("g",), "us")]),
        ("(log(x) + I(x^2) | g)", [("1 + log(x) + I(x ** 2)", ("g",), "us")]),
        ("(`dose-mg` | `lab id`)", [("1 + `dose-mg`", ("lab id",), "us")]),
    ],
)  # fmt: skip
def test_bars(bar: str, expected: list) -> None:
    assert random_of(f"y ~ w + {bar}") == expected


def test_double_bar_with_nested_groups_keeps_every_combination() -> None:
    found = random_of("~ 1 + (x || a/b)")
    assert found == [
        ("1", ("a",), "us"), ("0 + x", ("a",), "us"), ("1", ("a", "b"), "us"), ("0 + x", ("a", "b"), "us"),
    ]  # fmt: skip


def test_a_term_said_twice_counts_once() -> None:
    assert random_of("~ 1 + (1 | a/b) + (1 | a)") == [("1", ("a",), "us"), ("1", ("a", "b"), "us")]


def test_parentheses_around_a_sum_are_opened() -> None:
    terms = parse("~ (a + (1 | g)) + b")
    assert terms.fixed == "a + b"
    assert len(terms.random) == 1


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("~ 1", "1"),
        ("~ 0 + a", "0 + a"),
        ("~ a - 1 + (1 | g)", "a - 1"),
        ("~ (1 | g) - 1 + a", "- 1 + a"),
        ("~ (1 | g)", "1"),
        ("~ a + -1", "a - 1"),
        ("~ a - -b", "a + b"),
        ("~ (a + b)^2", "(a + b)**2"),
        ("~ Sepal.Length", "`Sepal.Length`"),
        ("~ log(Sepal.Length)", "log(`Sepal.Length`)"),
        ("~ class + lambda", "`class` + `lambda`"),
        ("~ C(a, contr.sum)", "C(a, contr.sum)"),
        ("~ C(a, contr.treatment('B'))", "C(a, contr.treatment('B'))"),
        ("~ a %in% b", "a %in% b"),
    ],
)
def test_fixed_part(text: str, fixed: str) -> None:
    assert parse(text).fixed == fixed


def test_response_offset_and_variables() -> None:
    terms = parse("log(y + 1) ~ bs(age, df=4) + offset(log(reads)) + offset(`log-size`) + (1 | s:t)")
    assert terms.response == "log(y + 1)"
    assert terms.fixed == "bs(age, df=4)"
    assert terms.offset == ("log(reads)", "`log-size`")
    assert terms.variables == {"y", "age", "reads", "log-size", "s", "t"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("~ a + hetar1(time + 0 | subject)", 7, "hetar1() is not supported yet"),
        ("~ hetcs(x | g)", 3, "hetcs() is not supported yet"),
        ("~ a + toep(t | g)", 7, "toep() is not supported yet"),
        ("~ te(age)", 3, "te() is not supported yet"),
        ("~ b + (s(age) | g)", 8, "s() can only be added"),
        ("~ foo(x | g)", 3, "foo() cannot hold a random term"),
        ("~ log(class)", 7, "word of Python"),
        ("~ cs(x)", 3, "cs() is not a function"),
        ("~ __import__('os')", 3, "__import__() is not a function"),
        ("~ np.log(x)", 3, "np.log() is not a function"),
        ("~ log(x).real", 9, "no meaning"),
        ("~ (x.__class__)(y)", 16, "cannot be read"),
        ("~ a + offset(x) * b", 7, "offset() can only be added"),
        ("~ a - offset(x)", 7, "cannot be subtracted"),
        ("~ a - (1 | g)", 7, "cannot be subtracted"),
        ("~ offset()", 3, "offset() needs a column"),
        ("~ a | b", 5, "not in a random term"),
        ("~ x * (1 | g)", 10, "not in a random term"),
        ("~ (1 | g):x", 6, "not in a random term"),
        ("~ (1 | g | h)", 3, "one bar"),
        ("~ ( | g)", 5, "left of the bar"),
        ("~ (x | )", 6, "right of the bar"),
        ("~ (0 | g)", 4, "needs a column or an intercept"),
        ("~ (1 | g + h)", 8, "not a grouping factor"),
        ("~ (1 | log(g))", 8, "not a grouping factor"),
        ("~ diag(x || g)", 10, "single bar"),
        ("a + b", 1, "needs a '~'"),
        ("a ~ b ~ c", 7, "one '~'"),
        ("a ~", 3, "right of '~'"),
        ("~", 1, "right of '~'"),
        ("(1 | g) ~ x", 1, "response"),
        ("~ a +", 5, "Nothing follows"),
        ("~ (a", 3, "never closed"),
        ("~ a)", 4, "closes nothing"),
        ("~ (a]", 5, "closes nothing"),
        ("~ `a", 3, "never closed"),
        ("~ .", 3, "no meaning"),
        ("~ {a}", 3, "no meaning"),
        ("~ a; b", 4, "no meaning"),
        ("~ 'a'", 3, "names columns"),
        ("~ [a]", 3, "names columns"),
        ("~ a == b", 5, "no meaning here"),
        ("~ (a + b)^9", 11, "power of terms"),
        ("~ a*b*c*d*e*f*g*h", 16, "crossed"),
        ("~ C(a, contr.nonsense)", 8, "not a coding"),
        ("~ " + "(" * 60 + "a" + ")" * 60, 53, "parentheses are open"),
    ],
)
def test_refused_at_its_place(text: str, place: int, words: str) -> None:
    with pytest.raises(MixflowError) as caught:
        parse(text)
    [problem] = caught.value.problems
    assert words in problem.message
    if words != "cannot be read":
        assert problem.column == str(place)


@pytest.mark.parametrize(
    "text",
    ["~ I(lambda: 3)", "~ I(x[0])", "~ I([y for y in x])", "~ I(9**9**9)", "~ I('a' * 9)",
     "~ I(x if y else z)", "~ I(x @ y)", "~ I([1] * 9)",
     "~ I(x and y)", "~ 3 * a", "~ 3:a", "~ a b", "~ I(f'{x}')",
     "~ offset(__import__('os').getcwd())", "eval('1') ~ x", "~ bs(x, knots=[log(y)])"],
)  # fmt: skip
def test_code_is_refused_before_it_runs(text: str) -> None:
    with pytest.raises(MixflowError) as caught:
        parse(text)
    assert caught.value.problems[0].message


def test_words_of_python_are_names_of_columns() -> None:
    terms = parse("yield ~ class * lambda + (lambda | in)")
    assert terms.variables == {"yield", "class", "lambda", "in"}
    assert terms.random[0].columns == "1 + `lambda`"


def test_a_point_belongs_to_the_name_of_a_column() -> None:
    assert parse("~ I(x.real) + C.__class__").variables == {"x.real", "C.__class__"}


class TestKnownColumns:
    columns = ("egfr-mut", "#SampleID", "age", "site", "my col")

    @pytest.mark.parametrize(
        ("text", "column"),
        [("~ egfr-mut + age", "egfr-mut"), ("~ #SampleID", "#SampleID"), ("~ age + (1 | my col)", "my col")],
    )
    def test_backticks_are_shown(self, text: str, column: str) -> None:
        with pytest.raises(MixflowError) as caught:
            parse(text, self.columns)
        [problem] = caught.value.problems
        assert problem.value == column
        assert problem.remedy == f"Write `{column}`."
        assert problem.column == str(text.index(column) + 1)

    def test_backticked_names_are_read(self) -> None:
        terms = parse("~ `egfr-mut` * age + (1 | `my col`)", self.columns)
        assert terms.variables == {"egfr-mut", "age", "my col"}

    def test_unknown_names_are_told_all_at_once_with_the_nearest(self) -> None:
        with pytest.raises(MixflowError) as caught:
            parse("~ Age + log(agee) + (1 | sit)", self.columns)
        problems = caught.value.problems
        assert [p.value for p in problems] == ["Age", "agee", "sit"]
        assert [p.remedy for p in problems] == [
            "Did you mean age?",
            "Did you mean age?",
            "Did you mean site?",
        ]

    def test_nothing_near_lists_the_columns(self) -> None:
        with pytest.raises(MixflowError) as caught:
            parse("~ zzz", self.columns)
        assert (
            caught.value.problems[0].remedy == "Known columns: `egfr-mut`, `#SampleID`, age, site, `my col`."
        )

    def test_a_minus_between_two_columns_is_a_minus(self) -> None:
        assert parse("~ a-b", ("a", "b", "a-b")).variables == {"a"}

    def test_arguments_and_codings_are_no_columns(self) -> None:
        assert parse("~ bs(age, df=4) + C(site, contr.sum)", self.columns).variables == {"age", "site"}


def test_importing_the_formula_imports_neither_formulaic_nor_pandas() -> None:
    code = (
        "import sys, mixflow.formula; print([m for m in ('formulaic', 'pandas', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~ s(x)", [("x", None, None, "s(x)")]),
        ("~ g + s(log(x), k = 5, by = g)", [("log(x)", 5, "g", "s(log(x)):g")]),
        (
            "~ s(`my x`, by=`a b`) + s(x, k=4)",
            [("`my x`", None, "a b", "s(my x):a b"), ("x", 4, None, "s(x)")],
        ),
    ],
)
def test_smooths(text: str, expected: list) -> None:
    terms = parse(text)
    assert [(s.variable, s.k, s.by, s.name) for s in terms.smooths] == expected
    assert "s(" not in terms.fixed
    assert terms.variables >= {name for s in terms.smooths for name in ([s.by] if s.by else [])}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("~ s()", 3, "needs a column"),
        ("~ s(2)", 3, "needs a column"),
        ("~ s(x, y)", 8, "takes one column"),
        ("~ s(x, bs = 'cr')", 8, "does not know the argument 'bs'"),
        ("~ s(x, k = 2)", 12, "number of columns"),
        ("~ s(x, k = n)", 12, "number of columns"),
        ("~ s(x, by = g:h)", 13, "by is one column"),
        ("~ s(x, k = 4, k = 5)", 15, "given twice"),
        ("~ s(scale(x))", 5, "cannot stand inside"),
        ("~ s(eval('1'))", 5, "is not a function"),
        ("~ a * s(x)", 7, "can only be added"),
        ("~ a - s(x)", 7, "cannot be subtracted"),
        ("~ s(x) + s(x, k = 4)", 10, "stands twice"),
        ("~ s(x, )", 3, "Nothing stands between"),
    ],
)
def test_smooths_refused_at_their_place(text: str, place: int, words: str) -> None:
    with pytest.raises(MixflowError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.column == str(place)
