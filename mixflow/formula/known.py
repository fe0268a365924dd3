"""Names of a formula against the names of the columns: unknown ones, and those that need backticks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from mixflow.errors import MixflowError, Problem
from mixflow.formula.tokens import Token

_PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'")


def nearest(name: str, known: Sequence[str]) -> str:
    """What to do about an unknown column: the columns with similar names, or all of them."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    folded = [column for column in known if column.lower() == name.lower()]
    names = list(dict.fromkeys(folded + close))
    if names:
        return f"Did you mean {' or '.join(quoted(n) for n in names)}?"
    return f"Known columns: {', '.join(quoted(n) for n in known[:20])}{' ...' if len(known) > 20 else ''}."


def quoted(name: str) -> str:
    """The name as a formula writes it."""
    return name if _PLAIN.fullmatch(name) else f"`{name}`"


def check_known(text: str, tokens: Sequence[Token], known: Sequence[str]) -> None:
    """Raise one problem for each name that is no column, or that is part of an unquoted column name."""
    problems = [_problem(name, place, text, known) for name, place in _unknown(tokens, known).items()]
    if problems:
        first = {problem.value: problem for problem in reversed(problems)}
        raise MixflowError(list(first.values())[::-1])


def unquoted(text: str, known: Sequence[str]) -> MixflowError | None:
    """The error for a column such as ``#SampleID`` that stands in the text without backticks, if one does."""
    column = _unquoted_column("", text, known)
    return None if column is None else MixflowError(_needs_backticks(column, text.find(column)))


def _unknown(tokens: Sequence[Token], known: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, token in enumerate(tokens):
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if token.kind not in ("name", "quoted") or (token.kind == "name" and after in ("(", "=")):
            continue
        name = token.text.strip("`")
        if name not in known and not name.startswith("contr.") and name not in ("True", "False", "None"):
            found.setdefault(name, token.start)
    return found


def _problem(name: str, place: int, text: str, known: Sequence[str]) -> Problem:
    whole = _unquoted_column(name, text, known)
    if whole is not None:
        return _needs_backticks(whole, place)
    message = f"The formula names a column that does not exist (character {place + 1} of the formula)"
    return Problem(message, column=str(place + 1), value=name, remedy=nearest(name, known))


def _needs_backticks(column: str, place: int) -> Problem:
    message = f"The column '{column}' needs backticks in a formula (character {place + 1} of the formula)"
    return Problem(message, column=str(place + 1), value=column, remedy=f"Write `{column}`.")


def _unquoted_column(name: str, text: str, known: Sequence[str]) -> str | None:
    """The column, not a plain word, that stands unquoted in the text and that ``name`` is a part of."""
    bare = re.sub(r"\s+", "", _QUOTED.sub("\0", text))
    for column in sorted(known, key=len, reverse=True):
        if not _PLAIN.fullmatch(column) and name in column and re.sub(r"\s+", "", column) in bare:
            return column
    return None
