"""``s(x, k = 10, by = g)``: a smooth of one variable, in mgcv's words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mixflow.errors import MixflowError
from mixflow.formula.allowed import variables
from mixflow.formula.fixed import check_fixed
from mixflow.formula.terms import Smooth
from mixflow.formula.tokens import Token, refuse, source, split

LEAST_COLUMNS = 3
ROWWISE = frozenset({"log", "log2", "log10", "log1p", "exp", "sqrt", "abs", "I"})
"""Functions whose value in a row hangs on that row alone, so that new data mean the same."""

_REMEDY = "Write s(x), s(x, k = 10) or s(x, by = group)."


def smooth(name: Token, arguments: Sequence[Token], text: str) -> Smooth:
    """The smooth that a call ``s( ... )`` asks for; raises with its place for what mixflow does not know."""
    parts = [part for _, part in split(arguments, ",")]
    if not parts or not parts[0]:
        raise refuse("s() needs a column", name.start, "s()", _REMEDY)
    given: dict[str, tuple[Token, ...]] = {}
    for part in parts[1:]:
        key, value = _named(part, name, text)
        if key.text in given:
            raise refuse(f"'{key.text}' is given twice", key.start, key.text)
        given[key.text] = value
    variable = _variable(parts[0], name, text)
    return Smooth(
        variable,
        _columns(given["k"], text) if "k" in given else None,
        _by(given["by"], text) if "by" in given else None,
        text[name.start : arguments[-1].end + 1] if arguments else "s()",
    )


def _named(part: Sequence[Token], name: Token, text: str) -> tuple[Token, tuple[Token, ...]]:
    if not part:
        raise refuse("Nothing stands between these commas", name.start, "s()", _REMEDY)
    key = part[0]
    if len(part) < 3 or part[1].text != "=":
        message = "s() takes one column; its other arguments are k and by"
        raise refuse(message, key.start, source(part, text), _REMEDY)
    if key.text not in ("k", "by"):
        remedy = f"{_REMEDY} The basis is a thin-plate regression spline, as mgcv's default."
        raise refuse(f"s() does not know the argument '{key.text}'", key.start, source(part, text), remedy)
    return key, tuple(part[2:])


def _variable(part: Sequence[Token], name: Token, text: str) -> str:
    written = source(part, text)
    if any(token.text in ("=", "~", "|", "||") for token in part):
        raise refuse("The first argument of s() is a column", part[0].start, written, _REMEDY)
    check_fixed(part, text)
    for token, after in itertools.pairwise(part):
        if token.kind == "name" and after.text == "(" and token.text not in ROWWISE:
            known = f"Functions inside s(): {', '.join(sorted(ROWWISE))}."
            raise refuse(f"{token.text}() cannot stand inside s()", token.start, written, known)
    try:
        found = variables(written)
    except MixflowError as error:
        raise refuse(error.problems[0].message, part[0].start, written, _REMEDY) from error
    if not found:
        raise refuse("s() needs a column", name.start, written, _REMEDY)
    return written


def _columns(part: Sequence[Token], text: str) -> int:
    written = source(part, text)
    if len(part) != 1 or not written.isdigit() or int(written) < LEAST_COLUMNS:
        remedy = f"Give a whole number of at least {LEAST_COLUMNS}, such as s(x, k = 10)."
        raise refuse("k is the number of columns of the smooth", part[0].start, written, remedy)
    return int(written)


def _by(part: Sequence[Token], text: str) -> str:
    if len(part) != 1 or part[0].kind not in ("name", "quoted"):
        message = "by is one column: a factor for a smooth in each level, a number for a varying coefficient"
        raise refuse(message, part[0].start, source(part, text), _REMEDY)
    return part[0].text.strip("`")


def check_distinct(smooths: Sequence[Smooth], text: str) -> None:
    """Raise where two smooths are of the same variable by the same column."""
    for number, term in enumerate(smooths):
        if term.name in {other.name for other in smooths[:number]}:
            raise refuse("This smooth stands twice", text.rfind(term.text), term.text, "Remove one of them.")
