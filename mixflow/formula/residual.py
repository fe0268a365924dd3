"""The residual side in words: ``ar1(time | subject)``, ``ou(...)``, ``cs(... )``, ``us(visit | subject)``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mixflow.errors import MixflowError, Problem
from mixflow.formula.bars import groups
from mixflow.formula.known import check_known
from mixflow.formula.tokens import call, has_bar, refuse, split, tokenize

RESIDUAL = ("ar1", "ou", "cs", "us")
"""Correlation structures of the residuals."""


@dataclass(frozen=True)
class ResidualTerm:
    """Residuals of one unit are correlated by their position.

    ``structure``: ar1 by the order of the positions, ou in continuous time, cs alike for all, us free for each
    pair; ``position``: column of the position (None: the order of the rows, for cs and ar1); ``group``: factors
    whose combinations are the units.
    """

    structure: str
    position: str | None
    group: tuple[str, ...]
    text: str

    @property
    def variables(self) -> frozenset[str]:
        """Columns it names."""
        return frozenset({*self.group, *([self.position] if self.position else [])})


def parse_residual(text: str, columns: Iterable[str] | None = None) -> ResidualTerm:
    """Read a residual structure; raises MixflowError with the character at which it is wrong."""
    tokens = tokenize(text)
    if columns is not None:
        check_known(text, tokens, tuple(columns))
    called = call(tokens)
    remedy = "Write ar1(time | subject), ou(time | subject), cs(1 | subject) or us(visit | subject)."
    if called is None or called[0].text not in RESIDUAL or not has_bar(called[1], 0):
        raise refuse("This is no residual structure", 0, text, remedy)
    name, arguments = called
    parts = split(arguments, "|", "||")
    if len(parts) != 2 or parts[1][0] is None or parts[1][0].text != "|":
        raise refuse("A residual structure has one bar", name.start, text, remedy)
    left, right = parts[0][1], parts[1][1]
    found = groups(right, text) if right else []
    if len(found) != 1:
        raise refuse(
            "Right of the bar stands one unit, such as subject or site:subject", name.start, text, remedy
        )
    return ResidualTerm(name.text, _position(name.text, left, text, remedy), found[0], text.strip())


def _position(structure: str, left: tuple, text: str, remedy: str) -> str | None:
    kept = [part for sign, part in split(left, "+") if not (len(part) == 1 and part[0].text == "0")]
    if len(kept) != 1 or len(kept[0]) != 1 or kept[0][0].kind not in ("name", "quoted", "number"):
        raise refuse("Left of the bar stands one column", left[0].start if left else 0, text, remedy)
    token = kept[0][0]
    if token.kind != "number":
        return token.text.strip("`")
    if token.text != "1":
        raise refuse("Left of the bar stands one column", token.start, text, remedy)
    if structure in ("ou", "us"):
        message = f"{structure}() needs the column of the {'time' if structure == 'ou' else 'visit'}"
        raise MixflowError(Problem(message, value=text, remedy=remedy))
    return None
