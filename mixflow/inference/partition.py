"""The variance of each feature, split by the terms of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mixflow.design.observed import times
from mixflow.errors import MixflowError, Problem
from mixflow.inference.r2 import random_variances
from mixflow.inference.refit import Fitted
from mixflow.inference.rows import mean_residual
from mixflow.optimise.prepare import prepare
from mixflow.status import MEANING, Status

RESIDUAL, INTERCEPT = "Residual", "(Intercept)"
COLUMNS = {
    "feature": "feature",
    "source": "term of the fixed part, random effect, or Residual",
    "role": "role of the source as the config has it: biological, technical, batch; residual; empty where it has none",
    "variance": "variance of the source (squared unit of the feature)",
    "share": "its share of the sum over all sources",
    "status": "how the fit ended",
}


def partition(fitted: Fitted, roles: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Variance and share of each source for every feature (see `COLUMNS`), as variancePartition.

    Hoffman and Schadt (2016), BMC Bioinformatics 17:483, calcVarPart: random effects by their variances (of
    slopes, smooths: mean of z' Sigma z over the feature's rows), the residual by its own, the fixed part by
    the variance (divisor n) of X beta, given to its terms in proportion to the variances of X_t beta_t. Where
    variancePartition splits a factor of several levels by its columns, the term is whole here, so that the
    shares do not hang on the factor's reference level. The offset is left out. ``roles``: {role: [source or
    variable]}; raises for names that the model does not have.
    """
    sources, parts = _fixed(fitted)
    found = prepare(fitted.design, fitted.fit.reml)
    seen = fitted.observed.astype(float)
    count = np.maximum(seen.sum(axis=1), 1.0)
    for effect, total in zip(found.effects, random_variances(fitted, found.layout, seen), strict=True):
        sources.append(_source(fitted, effect.group, effect.terms))
        parts.append(total / count)
    residual = mean_residual(fitted, found.layout)
    return _table(fitted, [*sources, RESIDUAL], np.column_stack([*parts, residual]), roles or {})


def _fixed(fitted: Fitted) -> tuple[list[str], list[np.ndarray]]:
    """Names of the fixed part's terms and their variances, which sum to that of X beta."""
    design, beta = fitted.design, np.nan_to_num(fitted.fit.solution)
    names, lines = [], []
    for number, name in enumerate(design.term_names):
        own = [j for j in np.flatnonzero(design.term_of_coef == number) if design.coef_names[j] != INTERCEPT]
        if own:
            names.append(name)
            lines.append(times(beta[:, own], design.X[:, own].T))
    if not names:
        return [], []
    seen = fitted.observed.astype(float)
    alone = [_variance(line, seen) for line in lines]
    total, together = _variance(np.sum(lines, axis=0), seen), np.sum(alone, axis=0)
    scale = np.where(together > 0, total / np.where(together > 0, together, 1.0), 0.0)
    return names, [part * scale for part in alone]


def _variance(line: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Variance over each feature's own rows, divisor n. (N, n) -> (N,)."""
    count = np.maximum(seen.sum(axis=1), 1.0)
    mean = (seen * line).sum(axis=1) / count
    return (seen * (line - mean[:, None]) ** 2).sum(axis=1) / count


def _source(fitted: Fitted, group: str, terms: Sequence[str]) -> str:
    """`s(age).curved` for a smooth, beside its `s(age).linear`; else the random effect as `_name` has it."""
    return f"{group}.curved" if group in _smooths(fitted) else _name(group, terms)


def _smooths(fitted: Fitted) -> set[str]:
    return {basis.name for basis in fitted.design.smooths}


def _name(group: str, terms: Sequence[str]) -> str:
    """`subject` for an intercept, `(1 + time | subject)` for others."""
    if tuple(terms) == (INTERCEPT,):
        return group
    columns = " + ".join("1" if term == INTERCEPT else term for term in terms[:4])
    return f"({columns}{' + ...' if len(terms) > 4 else ''} | {group})"


def _table(
    fitted: Fitted, sources: list[str], variance: np.ndarray, roles: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    fit, m = fitted.fit, len(sources)
    variance = np.where(fit.fitted[:, None], variance, np.nan)
    role = _roles(fitted, sources, roles)
    table = {
        "feature": np.repeat(fit.feature_ids, m),
        "source": np.tile(np.array(sources, dtype=object), len(variance)),
        "role": np.tile(np.array(role, dtype=object), len(variance)),
        "variance": variance.ravel(),
        "share": (variance / variance.sum(axis=1, keepdims=True)).ravel(),
        "status": np.repeat(np.array([MEANING[Status(s)].label for s in fit.status], dtype=object), m),
    }
    return pd.DataFrame(table)


def _roles(fitted: Fitted, sources: list[str], roles: Mapping[str, Sequence[str]]) -> list[str]:
    """Role of each source: named itself, or by all the variables that it is made of."""
    of_name = {str(name): role for role, names in roles.items() for name in names}
    made_of = {source: {source} for source in sources} | _fixed_variables(fitted)
    for term in fitted.design.random:
        linear = made_of.get(f"{term.group}.linear", set()) if term.group in _smooths(fitted) else set()
        made_of[_source(fitted, term.group, term.terms)] = set(term.factors) | linear - {
            f"{term.group}.linear"
        }
    made_of[RESIDUAL] = set()
    known = {*sources, *(name for names in made_of.values() for name in names)}
    unknown = sorted(set(of_name) - known)
    if unknown:
        remedy = f"Sources of the model: {', '.join(sources)}."
        message = "A role is given to what the model does not have"
        raise MixflowError(Problem(message, column="roles", value=", ".join(unknown), remedy=remedy))
    found = []
    for source in sources:
        parts = {of_name.get(name, "") for name in made_of[source]}
        rest = parts.pop() if len(parts) == 1 else ""
        found.append(of_name.get(source, rest or ("residual" if source == RESIDUAL else "")))
    return found


def _fixed_variables(fitted: Fitted) -> dict[str, set[str]]:
    encoding = fitted.design.encoding
    return {name: set(read) for name, read in zip(encoding.term_names, encoding.term_variables, strict=True)}
