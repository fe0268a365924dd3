"""The functions a formula may call, and the check of an expression before anything evaluates it."""

from __future__ import annotations

import ast
import re

from mixflow.errors import MixflowError, Problem

FUNCTIONS = frozenset(
    ["log", "log2", "log10", "log1p", "sqrt", "exp", "abs", "I", "C", "poly", "center", "scale", "bs", "cr"]
)
"""Names a formula may call; all else is refused before evaluation."""
CONTRASTS = frozenset(["treatment", "sum", "helmert", "diff", "poly"])
"""Codings for ``C(x, contr.NAME)``."""
_QUOTED = re.compile(r"`([^`]*)`")
_HARMLESS = (
    ast.Expression, ast.Load, ast.keyword, ast.operator, ast.unaryop, ast.cmpop,
    ast.UnaryOp, ast.Compare, ast.Name, ast.Constant,
)  # fmt: skip


def variables(expression: str) -> frozenset[str]:
    """Columns an expression such as ``log(reads + 1)`` names; raises MixflowError unless it is harmless.

    Harmless: arithmetic and comparisons of columns and numbers, and calls of `FUNCTIONS`. No attribute, no
    subscript, no lambda, no comprehension; a power needs a column below and a plain number above.
    """
    tree, aliases = _tree(expression)
    for node in ast.walk(tree):
        _check(node, expression)
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    coding = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in called and n not in coding)
    return frozenset(aliases.get(node.id, node.id) for node in names)


def python(expression: str) -> tuple[str, dict[str, str]]:
    """The expression with plain names for backticked ones, and what those stand for."""
    aliases: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        name = f"quoted_name_{len(aliases)}_"
        aliases[name] = match.group(1)
        return name

    return _QUOTED.sub(alias, expression), aliases


def _tree(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    plain, aliases = python(expression)
    try:
        return ast.parse(plain.strip(), mode="eval"), aliases
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refusal("This expression cannot be read", expression) from error


def _refusal(message: str, expression: str, remedy: str | None = None) -> MixflowError:
    known = f"Functions of a formula: {', '.join(sorted(FUNCTIONS))}."
    return MixflowError(Problem(message, value=expression, remedy=remedy or known))


def _check(node: ast.AST, expression: str) -> None:
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Attribute) and getattr(node.func, "id", None) not in FUNCTIONS:
            name = ast.unparse(node.func)
            raise _refusal(f"{name}() is not a function of mixflow's formulas", expression)
    elif isinstance(node, ast.Attribute):
        if not (isinstance(node.value, ast.Name) and node.value.id == "contr" and node.attr in CONTRASTS):
            remedy = f"Only contr.NAME with NAME one of {', '.join(sorted(CONTRASTS))} may follow a point."
            raise _refusal(f"{ast.unparse(node)} is not allowed in a formula", expression, remedy)
    elif isinstance(node, ast.BinOp):
        _check_arithmetic(node, expression)
    elif isinstance(node, (ast.List, ast.Tuple)):
        if not all(isinstance(item, (ast.Constant, ast.UnaryOp)) for item in node.elts):
            raise _refusal("A list in a formula may hold numbers only", expression)
    elif not isinstance(node, _HARMLESS):
        raise _refusal(f"A {type(node).__name__} is not allowed in a formula", expression)


def _check_arithmetic(node: ast.BinOp, expression: str) -> None:
    """Numbers only: a string or list times a number, or a tower of powers, could fill the memory."""
    for side in (node.left, node.right):
        text = isinstance(side, ast.Constant) and not isinstance(side.value, (int, float))
        if text or isinstance(side, (ast.List, ast.Tuple)):
            raise _refusal("Arithmetic in a formula needs columns or numbers", expression)
    if isinstance(node.op, ast.Pow):
        names = any(isinstance(n, ast.Name) for n in ast.walk(node.left))
        exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        if not names or not isinstance(exponent, ast.Constant):
            raise _refusal("A power needs a column below and a number above", expression, "Write I(x ** 2).")
    elif not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.FloorDiv)):
        raise _refusal("This operator is not allowed in a formula", expression)
