"""A formula in plain English, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixflow.formula.fixed import term_texts
from mixflow.formula.residual import ResidualTerm
from mixflow.formula.terms import RandomTerm, Smooth, Terms

ALIKE = {
    "ar1": "an autoregressive correlation",
    "ou": "an autoregressive correlation in continuous time",
    "cs": "one correlation",
    "homcs": "one variance and one correlation",
}
"""Structures of a random term's effects."""
RESIDUALS = {
    "ar1": "autoregressive residuals",
    "ou": "residuals autoregressive in continuous time",
    "cs": "equally correlated residuals",
    "us": "residuals of any covariance",
}


def words(terms: Terms, labels: Mapping[str, str] | None = None) -> str:
    """The model as a sentence without a full stop, e.g.

    ``AD, age and male as fixed effects; a random intercept for each collection_site``.
    ``labels``: what to call a column in its place.
    """
    names = dict(labels or {})
    parts = [_fixed(terms, names), *(_random(term, terms.random, names) for term in terms.random)]
    parts += [_smooth(term, names) for term in terms.smooths]
    parts += [f"{_name(offset, names)} as an offset" for offset in terms.offset]
    return "; ".join(parts)


def structure_words(
    residual: ResidualTerm | None,
    dispersion: Terms | None,
    relationship: Sequence[str] = (),
    weights: str | None = None,
    variances: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """What the keys of a model add to its formula, in the same form; empty where they add nothing."""
    names, parts = dict(labels or {}), []
    parts += [f"levels of {_name(group, names)} related by a given matrix" for group in relationship]
    if residual:
        along = f" along {_name(residual.position, names)}" if residual.position else ""
        unit = _and([_name(factor, names) for factor in residual.group])
        parts.append(f"{RESIDUALS[residual.structure]}{along} within each {unit}")
    if dispersion:
        effects = [_term(term, names) for term in term_texts(dispersion.fixed) if term != "1"]
        parts.append(f"residual spread by {_and(effects)}")
    if weights:
        parts.append(f"samples weighted by {_name(weights, names)}")
    if variances:
        parts.append(f"residual variances known from {_name(variances, names)}")
    return "; ".join(parts)


def _fixed(terms: Terms, names: Mapping[str, str]) -> str:
    found = term_texts(terms.fixed)
    effects = [_term(term, names) for term in found if term != "1"]
    if not effects:
        return "an intercept as the only fixed effect"
    noun = "fixed effect" if len(effects) == 1 else "fixed effects"
    return f"{_and(effects)} as {noun}" + ("" if "1" in found else ", without an intercept")


def _term(term: str, names: Mapping[str, str]) -> str:
    factors = [_name(factor, names) for factor in _factors(term)]
    return factors[0] if len(factors) == 1 else f"the interaction of {_and(factors)}"


def _factors(term: str) -> list[str]:
    """Factors of a written term: the colons outside parentheses and backticks divide it."""
    found, depth, quoted = [""], 0, False
    for character in term:
        quoted ^= character == "`"
        depth += (character in "([") - (character in ")]")
        if character == ":" and not depth and not quoted:
            found.append("")
        else:
            found[-1] += character
    return found


def _random(term: RandomTerm, others: Sequence[RandomTerm], names: Mapping[str, str]) -> str:
    columns = term_texts(term.columns)
    if term.covariance in ALIKE:
        shown = _and([_term(column, names) for column in columns if column != "1"] or ["one"])
        return f"effects of {shown} with {ALIKE[term.covariance]} for each {_group(term, others, names)}"
    effects = ["a random intercept"] if "1" in columns else []
    effects += [f"a random slope of {_term(column, names)}" for column in columns if column != "1"]
    correlation = ""
    if len(effects) > 1:
        correlation = " (correlated)" if term.covariance == "us" else " (uncorrelated)"
    return f"{_and(effects)} for each {_group(term, others, names)}{correlation}"


def _smooth(term: Smooth, names: Mapping[str, str]) -> str:
    by = "" if term.by is None else f" by {_name(term.by, names)}"
    return f"a smooth curve of {_name(term.variable, names)}{by}"


def _group(term: RandomTerm, others: Sequence[RandomTerm], names: Mapping[str, str]) -> str:
    factors = [_name(factor, names) for factor in term.group]
    if len(factors) == 1:
        return factors[0]
    if any(other.group == term.group[:-1] for other in others):
        return f"{factors[-1]} within {_and(factors[:-1])}"
    return f"combination of {_and(factors)}"


def _name(text: str, names: Mapping[str, str]) -> str:
    plain = text.strip("`")
    return names.get(plain, plain)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
