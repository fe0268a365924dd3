"""``parse``: the text of a formula -> `Terms`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mixflow.errors import MixflowError
from mixflow.formula.allowed import variables
from mixflow.formula.bars import random_terms
from mixflow.formula.fixed import check_fixed, columns
from mixflow.formula.known import check_known, unquoted
from mixflow.formula.smooths import check_distinct, smooth
from mixflow.formula.terms import RandomTerm, Smooth, Terms
from mixflow.formula.tokens import Token, call, has_bar, inner, refuse, source, split, tokenize


@dataclass
class _Sum:
    """The summands of a right-hand side, sorted by who reads them."""

    fixed: list[str] = field(default_factory=list)
    random: list[RandomTerm] = field(default_factory=list)
    offset: list[str] = field(default_factory=list)
    smooths: list[Smooth] = field(default_factory=list)


def parse(text: str, columns: Iterable[str] | None = None) -> Terms:
    """Read a formula in lme4's language, e.g. ``~ condition * time + (time | subject) + offset(log(reads))``.

    ``columns``: names of the sheet's columns, if known; an unknown one, or one that needs backticks, is then
    refused with the right spelling. Raises MixflowError with the character at which the formula is wrong.
    """
    known = None if columns is None else tuple(columns)
    tokens = _tokens(text, known or ())
    if known is not None:
        check_known(text, tokens, known)
    response, right = _sides(text, tokens)
    summands = _Sum()
    _read_sum(right, text, summands)
    return _terms(text, response, summands)


def _tokens(text: str, known: Sequence[str]) -> tuple[Token, ...]:
    try:
        return tokenize(text)
    except MixflowError as error:
        raise unquoted(text, known) or error from None


def _sides(text: str, tokens: Sequence[Token]) -> tuple[str | None, tuple[Token, ...]]:
    parts = split(tokens, "~")
    tildes = [token for token in tokens if token.text == "~"]
    if not tildes:
        raise refuse("A formula needs a '~'", 0, text, "Write ~ age + (1 | site), or y ~ age + (1 | site).")
    if len(tildes) > 1 or len(parts) != 2:
        raise refuse("A formula has one '~', outside parentheses", tildes[-1].start, text)
    left, right = parts[0][1], parts[1][1]
    if not right:
        raise refuse(
            "Nothing stands to the right of '~'", tildes[0].start, text, "Write ~ 1 for an intercept."
        )
    if has_bar(left):
        raise refuse("The response cannot hold a bar", left[0].start, text)
    return (source(left, text) or None), right


def _read_sum(tokens: Sequence[Token], text: str, into: _Sum) -> None:
    negative, last = False, None
    for operator, part in split(tokens, "+", "-"):
        negative ^= operator is not None and operator.text == "-"
        last = operator
        if part:
            _read_summand("-" if negative else "+", part, text, into)
            negative = False
    if last is not None and last is tokens[-1]:
        raise refuse("Nothing follows this sign", last.start, last.text)


def _read_summand(sign: str, part: tuple[Token, ...], text: str, into: _Sum) -> None:
    random = random_terms(part, text)
    inside = inner(part)
    called = call(part)
    if random is not None or (called and called[0].text in ("offset", "s")):
        if sign == "-":
            raise refuse("This term cannot be subtracted", part[0].start, source(part, text))
        if random is None and called and called[0].text == "s":
            into.smooths.append(smooth(*called, text))
            return
        into.random.extend(random or [])
        into.offset.extend(
            [] if called is None or random is not None else [_offset(called[1], part[0], text)]
        )
    elif inside and has_bar(inside) and sign == "+":
        _read_sum(inside, text, into)
    else:
        _check_no_bar(part, text)
        check_fixed(part, text)
        into.fixed.append(f"{sign} {source(part, text)}")


def _offset(arguments: Sequence[Token], name: Token, text: str) -> str:
    if not arguments:
        raise refuse("offset() needs a column", name.start, "offset()", "Write offset(log(reads)).")
    return source(arguments, text)


def _check_no_bar(part: Sequence[Token], text: str) -> None:
    for token in part:
        if token.text in ("|", "||"):
            remedy = "Write a random term in parentheses of its own: ... + (1 | group)."
            raise refuse(
                "This bar is not in a random term that is added", token.start, source(part, text), remedy
            )


def _terms(text: str, response: str | None, parts: _Sum) -> Terms:
    fixed = " ".join(parts.fixed).removeprefix("+ ") or "1"
    random: dict[tuple[object, ...], RandomTerm] = {}
    for term in parts.random:  # (1 | a/b) + (1 | a) says (1 | a) twice
        random.setdefault((term.columns, term.group, term.covariance), term)
    found = set(columns(fixed))
    for term in random.values():
        found |= {*columns(term.columns), *term.group}
    for expression in (*parts.offset, *([response] if response else [])):
        found |= variables(expression)
    for term in parts.smooths:
        found |= variables(term.variable) | ({term.by} if term.by else set())
    check_distinct(parts.smooths, text)
    return Terms(
        text.strip(),
        response,
        fixed,
        tuple(random.values()),
        tuple(parts.offset),
        frozenset(found),
        tuple(parts.smooths),
    )
