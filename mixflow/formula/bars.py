"""Random terms: ``(x | g)``, ``(x || g)``, ``us(x | g)``, ``ar1(time + 0 | g)`` ..., and the slash that nests groups.

The expansions are lme4's (Bates et al. 2015, J Stat Softw 67(1), table 2): ``(x | a/b)`` is
``(x | a) + (x | a:b)``; ``(x || g)`` is ``(1 | g) + (0 + x | g)``.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixflow.formula.fixed import check_fixed, term_texts
from mixflow.formula.terms import RandomTerm
from mixflow.formula.tokens import Token, call, depths, has_bar, inner, refuse, source, split

SUPPORTED = ("us", "diag", "ar1", "ou", "cs", "homcs")
PLANNED = (
    "hetar1",
    "hetcs",
    "toep",
    "homtoep",
    "exp",
    "gau",
    "mat",
    "rr",
    "propto",
    "equalto",
    "homdiag",
)
"""Covariance structures of glmmTMB that the formula language knows and mixflow does not fit yet."""
Group = tuple[str, ...]


def random_terms(tokens: Sequence[Token], text: str) -> list[RandomTerm] | None:
    """The random terms that one summand of a formula stands for; None if it is no random term."""
    inside = inner(tokens)
    if inside is not None and has_bar(inside, 0):
        return _expand(inside, tokens, text, "us")
    called = call(tokens)
    if called is None or not has_bar(called[1]):
        return None
    name, arguments = called
    whole = text[tokens[0].start : tokens[-1].end]
    if name.text in PLANNED:
        known = f"Covariance structures that mixflow fits: {', '.join(SUPPORTED)}."
        raise refuse(f"{name.text}() is not supported yet", name.start, whole, known)
    if name.text not in SUPPORTED or not has_bar(arguments, 0):
        raise refuse(f"{name.text}() cannot hold a random term", name.start, whole, "Write (x | group).")
    return _expand(arguments, tokens, text, name.text)


def _expand(inside: Sequence[Token], whole: Sequence[Token], text: str, covariance: str) -> list[RandomTerm]:
    """One term for each group (slash) and, for a double bar, for each column."""
    shown = text[whole[0].start : whole[-1].end]
    parts = split(inside, "|", "||")
    if len(parts) != 2 or has_bar(parts[0][1]) or has_bar(parts[1][1]):
        raise refuse("A random term has one bar", whole[0].start, shown, "Write (x | group).")
    (_, left), (bar, right) = parts
    assert bar is not None
    if not left or not right:
        side = "left" if not left else "right"
        raise refuse(f"Nothing stands to the {side} of the bar", bar.start, shown, "Write (1 | group).")
    if bar.text == "||" and covariance != "us":
        raise refuse(f"{covariance}() takes a single bar", bar.start, shown)
    columns = _columns(left, text, independent=bar.text == "||")
    return [RandomTerm(c, g, covariance, shown) for g in groups(right, text) for c in columns]


def _columns(left: Sequence[Token], text: str, independent: bool) -> list[str]:
    whole = source(left, text)
    check_fixed(left, text)
    terms = term_texts(whole, left[0].start)
    if not terms:
        raise refuse(
            "A random term needs a column or an intercept", left[0].start, whole, "Write (1 | group)."
        )
    slopes = [term for term in terms if term != "1"]
    if not independent:
        return [" + ".join([("1" if "1" in terms else "0"), *slopes])]
    return (["1"] if "1" in terms else []) + [f"0 + {term}" for term in slopes]


def groups(tokens: Sequence[Token], text: str) -> list[Group]:
    """Groups that ``a``, ``a:b``, ``a/b`` and their combinations stand for, outermost first."""
    parts = [part for _, part in split(tokens, "/")]
    found = _interaction(parts[0], tokens, text)
    for part in parts[1:]:
        # a/b is a + a:b, where `a` is all the factors named so far (R: %in% the whole left side)
        within = tuple(dict.fromkeys(factor for group in found for factor in group))
        found = found + [_join(within, group) for group in _interaction(part, tokens, text)]
    return found


def _interaction(tokens: Sequence[Token], whole: Sequence[Token], text: str) -> list[Group]:
    found: list[Group] = [()]
    for _, part in split(tokens, ":"):
        found = [_join(left, right) for left in found for right in _atom(part, whole, text)]
    return found


def _atom(tokens: Sequence[Token], whole: Sequence[Token], text: str) -> list[Group]:
    if len(tokens) == 1 and tokens[0].kind in ("name", "quoted"):
        return [(tokens[0].text.strip("`"),)]
    inside = inner(tokens)
    if inside:
        return groups(inside, text)
    shown = text[whole[0].start : whole[-1].end] if whole else ""
    start = next((t.start for t, _ in depths(tokens)), whole[0].start if whole else 0)
    remedy = "Right of the bar: columns joined by ':' or nested by '/', such as (1 | site/transect)."
    raise refuse("This is not a grouping factor", start, shown, remedy)


def _join(left: Group, right: Group) -> Group:
    return tuple(dict.fromkeys(left + right))
