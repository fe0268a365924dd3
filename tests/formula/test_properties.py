"""Whatever is written, the parser answers with Terms or with a MixflowError; what it reads, it reads back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixflow.errors import MixflowError
from mixflow.formula import Terms, parse

names = st.sampled_from(["a", "b", "time", "x1", "Sepal.Length", "`egfr-mut`", "`#id`", "_u"])
columns = st.one_of(
    names,
    names.map(lambda n: f"log({n})"),
    names.map(lambda n: f"I({n}^2)"),
    st.tuples(names, names).map(":".join),
)
sums = st.lists(columns, min_size=1, max_size=3).map(" + ".join)
lefts = st.one_of(st.just("1"), sums, sums.map("0 + {}".format), sums.map("{} - 1".format))
groups = st.lists(names, min_size=1, max_size=3).flatmap(
    lambda g: st.sampled_from([":".join(g), "/".join(g)])
)
bars = st.builds("({} {} {})".format, lefts, st.sampled_from(["|", "||"]), groups)
structured = st.builds("{}({} | {})".format, st.sampled_from(["us", "diag"]), lefts, groups)
summands = st.one_of(columns, bars, structured, names.map(lambda n: f"offset({n})"))
formulas = st.builds(
    "{} ~ {}".format,
    st.sampled_from(["", "y", "log(y)"]),
    st.lists(summands, min_size=1, max_size=4).map(" + ".join),
)
pieces = st.sampled_from(
    ["(", ")", "|", "||", "~", "+", "-", "*", "/", ":", "^", "1", "0", "2", "a", "b", "log", "offset", "us",
     "ar1", "`", "'", ",", ".", "[", "]", "=", " ", "%in%",
     "I", "lambda", "{", "\n", "é", "\x00", "**", "1e999", "s", "not"]
)  # fmt: skip


def written(terms: Terms) -> str:
    """Terms as a formula again."""
    parts = [terms.fixed]
    parts += [f"{t.covariance}({t.columns} | {':'.join(f'`{g}`' for g in t.group)})" for t in terms.random]
    parts += [f"offset({expression})" for expression in terms.offset]
    return f"{terms.response or ''} ~ {' + '.join(parts)}"


@settings(max_examples=150, deadline=None)
@given(formulas)
def test_what_is_read_is_read_back(text: str) -> None:
    terms = parse(text)
    again = parse(written(terms))
    assert (again.response, again.fixed, again.offset) == (terms.response, terms.fixed, terms.offset)
    assert again.variables == terms.variables
    assert [(t.columns, t.group, t.covariance) for t in again.random] == [
        (t.columns, t.group, t.covariance) for t in terms.random
    ]


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=14).map("".join))
def test_random_pieces_never_crash(text: str) -> None:
    for formula in (text, f"~ a + {text}", f"y ~ ({text} | g)", f"~ (x | {text})", f"~ log({text})"):
        try:
            terms = parse(formula)
        except MixflowError as error:
            assert error.problems[0].message
        else:
            assert isinstance(terms, Terms)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_text_never_crashes(text: str) -> None:
    try:
        parse(text, columns=["a", "b c", text])
    except MixflowError as error:
        assert str(error)
