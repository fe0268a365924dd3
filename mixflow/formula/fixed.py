"""The part of a formula that formulaic parses: its check, its terms and its columns."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixflow.formula.allowed import CONTRASTS, FUNCTIONS, variables
from mixflow.formula.tokens import Token, is_plain, outside_calls, refuse

if TYPE_CHECKING:
    from formulaic.parser.types import Term

SMOOTHS = ("te", "ti", "t2")
MOST_CROSSINGS = 6
_POWERS = ("1", "2", "3", "4")
_OPERATORS = frozenset(["+", "-", "*", "/", ":", "^", "**", "%in%"])
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|[⧛⧚]|\[1;31m|\[0m")


def check_fixed(tokens: Sequence[Token], text: str) -> None:
    """Refuse by place what formulaic would evaluate, misread, not know, or never be done with."""
    for number, token in enumerate(tokens):
        following = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if token.kind == "name" and following == "(":
            _check_call(token)
        elif token.kind == "name" and token.text.startswith("contr."):
            _check_coding(token)
    language = list(outside_calls(tokens))
    _check_language(language)
    for token in tokens:
        if token not in language and not is_plain(token.text) and keyword.iskeyword(token.text):
            remedy = "Rename the column to use it in a function."
            raise refuse(f"{token.text!r} is a word of Python", token.start, token.text, remedy)


def _check_language(tokens: Sequence[Token]) -> None:
    crossings = [token for token in tokens if token.text in ("*", "/")]
    if len(crossings) > MOST_CROSSINGS:
        raise refuse(f"More than {MOST_CROSSINGS} columns are crossed", crossings[-1].start, "*")
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.kind == "string" or token.text == "[":
            raise refuse(
                "A formula names columns", token.start, token.text, "Write a column's name as `name`."
            )
        if token.kind == "op" and token.text not in _OPERATORS:
            raise refuse(f"{token.text!r} has no meaning here", token.start, token.text)
        if before and before.text in ("^", "**") and token.text not in _POWERS:
            raise refuse(
                "A power of terms is 1, 2, 3 or 4", token.start, token.text, "Write I(x ** 2) for a square."
            )


def _check_call(name: Token) -> None:
    if name.text in SMOOTHS:
        remedy = "Use s(x) for a smooth of one variable."
        raise refuse(f"{name.text}() is not supported yet", name.start, name.text, remedy)
    if name.text == "s":
        remedy = "Write ... + s(x), or s(x, by = group) for a smooth in each group."
        raise refuse("s() can only be added", name.start, name.text, remedy)
    if name.text == "offset":
        raise refuse("offset() can only be added", name.start, name.text, "Write ... + offset(log(reads)).")
    if name.text.startswith("contr."):
        _check_coding(name)
    elif name.text not in FUNCTIONS:
        known = f"Functions of a formula: {', '.join(sorted(FUNCTIONS))}."
        raise refuse(f"{name.text}() is not a function of mixflow's formulas", name.start, name.text, known)


def _check_coding(name: Token) -> None:
    if name.text.removeprefix("contr.") not in CONTRASTS:
        known = f"Known: {', '.join('contr.' + c for c in sorted(CONTRASTS))}."
        raise refuse(f"{name.text} is not a coding of mixflow's formulas", name.start, name.text, known)


def formulaic_terms(right: str, start: int = 0) -> list[Term]:
    """Terms of a right-hand side in R's order, every factor of which was seen to be harmless."""
    import formulaic

    reader: Any = formulaic  # its own types call Formula abstract
    try:
        terms = list(reader.Formula(right))
        factors = [factor for term in terms for factor in term.factors]
    except Exception as error:  # formulaic raises many kinds for what is one thing: a formula it cannot read
        message = _DECORATION.sub("", str(error)).split("\n")[0]
        raise refuse(f"This part of the formula cannot be read: {message}", start, right) from error
    for factor in factors:
        _check_factor(factor, right, start)
    return terms


def _check_factor(factor: Any, right: str, start: int) -> None:
    method = factor.eval_method.value
    if method == "literal" and factor.expr != "1":
        raise refuse("A number cannot be a term", start, right, "Write I(2 * x) to scale a column.")
    if method == "python":
        variables(factor.expr)


def term_texts(right: str, start: int = 0) -> list[str]:
    """The terms written out: ``1 + a*b`` gives ``1``, ``a``, ``b``, ``a:b`` (backticks kept)."""
    return [term_text(term) for term in formulaic_terms(right, start)]


def term_text(term: Term) -> str:
    """One term as a formula writes it, with backticks where a name needs them."""
    return ":".join(factor_text(factor) for factor in term.factors) or "1"


def factor_text(factor: Any) -> str:
    """A factor as a formula writes it."""
    return (
        factor.expr if is_plain(factor.expr) or factor.eval_method.value != "lookup" else f"`{factor.expr}`"
    )


def factor_columns(factor: Any) -> frozenset[str]:
    """The columns a factor reads."""
    if factor.eval_method.value == "literal":
        return frozenset()
    if factor.eval_method.value == "lookup":
        return frozenset({factor.expr})
    return variables(factor.expr)


def columns(right: str, start: int = 0) -> tuple[str, ...]:
    """Every column that a right-hand side names, in the order of its terms."""
    factors = (factor for term in formulaic_terms(right, start) for factor in term.factors)
    return tuple(dict.fromkeys(name for factor in factors for name in sorted(factor_columns(factor))))
