"""Cut the text of a formula into tokens that know their place; strings and backticks stay whole.

formulaic evaluates any Python and stumbles over ``|``; the bars, ``offset()`` and the check of the functions'
names are done on these tokens, so that an error can say at which character it happened.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixflow.errors import MixflowError, Problem

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<quoted>`[^`]*`)
      | (?P<string>"[^"\\]*"|'[^'\\]*')
      | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | (?P<op>\|\||\*\*|%in%|==|!=|<=|>=|[-+*/:^|~,=<>%])
      | (?P<open>[(\[])
      | (?P<close>[)\]])""",
    re.VERBOSE,
)
_DEEPEST = 50
_PAIR = {")": "(", "]": "["}


@dataclass(frozen=True)
class Token:
    """A piece of a formula; ``start`` is its 0-based place in the text."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Place just after the token."""
        return self.start + len(self.text)


def refuse(message: str, start: int, value: str | None = None, remedy: str | None = None) -> MixflowError:
    """The error for a place in a formula: ``column`` is the 1-based character."""
    place = f"{message} (character {start + 1} of the formula)"
    return MixflowError(Problem(place, column=str(start + 1), value=value, remedy=remedy))


def tokenize(text: str) -> tuple[Token, ...]:
    """Tokens of ``text`` without white space; raises on what no formula can hold and on open parentheses."""
    tokens = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(text, place)
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), place))
        place = match.end()
    _check_pairs(tokens)
    return tuple(tokens)


def _unreadable(text: str, place: int) -> MixflowError:
    character = text[place]
    if character in "`\"'":
        return refuse(f"The quote {character} is never closed", place, text[place:])
    remedy = "Write a column whose name is not a plain word in backticks, such as `egfr-mut`."
    if character == ".":
        remedy = "Name the columns one by one; `.` for all columns is not supported."
    return refuse(f"The character {character!r} has no meaning in a formula", place, character, remedy)


def _check_pairs(tokens: Sequence[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            opened.append(token)
        elif token.kind == "close" and (not opened or opened.pop().text != _PAIR[token.text]):
            raise refuse(f"{token.text!r} closes nothing", token.start, token.text)
        if len(opened) > _DEEPEST:
            raise refuse(f"More than {_DEEPEST} parentheses are open", token.start, token.text)
    if opened:
        raise refuse(f"{opened[-1].text!r} is never closed", opened[-1].start, opened[-1].text)


def depths(tokens: Sequence[Token]) -> Iterator[tuple[Token, int]]:
    """Each token with the number of parentheses around it (a parenthesis counts as outside itself)."""
    depth = 0
    for token in tokens:
        depth -= token.kind == "close"
        yield token, depth
        depth += token.kind == "open"


def outside_calls(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens that the formula language reads: those that are no argument of a function."""
    function = False
    opened: list[bool] = []
    for token in tokens:
        if token.kind == "close":
            opened.pop()
        if not any(opened):
            yield token
        if token.kind == "open":
            opened.append(function or token.text == "[")
        function = token.kind == "name"


def split(tokens: Sequence[Token], *texts: str) -> list[tuple[Token | None, tuple[Token, ...]]]:
    """Parts of ``tokens`` between the operators ``texts`` at depth 0, each with the operator before it."""
    parts: list[tuple[Token | None, list[Token]]] = [(None, [])]
    for token, depth in depths(tokens):
        if depth == 0 and token.kind == "op" and token.text in texts:
            parts.append((token, []))
        else:
            parts[-1][1].append(token)
    return [(operator, tuple(part)) for operator, part in parts]


def has_bar(tokens: Sequence[Token], depth: int | None = None) -> bool:
    """Whether a bar stands among the tokens (at this depth only, if given)."""
    return any(t.kind == "op" and t.text in ("|", "||") and depth in (None, d) for t, d in depths(tokens))


def inner(tokens: Sequence[Token]) -> tuple[Token, ...] | None:
    """The tokens inside ``( ... )`` if one pair of parentheses spans all of ``tokens``, else None."""
    if len(tokens) < 2 or tokens[0].text != "(" or tokens[-1].text != ")":
        return None
    if any(depth == 0 for _, depth in list(depths(tokens))[1:-1]):
        return None
    return tuple(tokens[1:-1])


def call(tokens: Sequence[Token]) -> tuple[Token, tuple[Token, ...]] | None:
    """Name and arguments if ``tokens`` are exactly one call ``name( ... )``, else None."""
    if len(tokens) < 3 or tokens[0].kind != "name":
        return None
    arguments = inner(tokens[1:])
    return None if arguments is None else (tokens[0], arguments)


def source(tokens: Sequence[Token], text: str) -> str:
    """The tokens as formulaic reads them: ``^`` is a power, names such as x.1 and class get backticks."""
    pieces = []
    end = tokens[0].start if tokens else 0
    for token in tokens:
        pieces.append(text[end : token.start] + _python(token))
        end = token.end
    return " ".join("".join(pieces).split("\n")).strip()


def _python(token: Token) -> str:
    if token.text == "^":
        return "**"
    if token.kind != "name" or token.text.startswith("contr.") or is_plain(token.text):
        return token.text
    return f"`{token.text}`"


def is_plain(name: str) -> bool:
    """Whether Python reads the name as a name: ``x.1`` and ``class`` are columns that need backticks."""
    return name in ("True", "False", "None") or (name.isidentifier() and not keyword.iskeyword(name))
