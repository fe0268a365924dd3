"""A generalised model of a study: its family, the designs of its predictors, the columns of its outcome."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.study.columns import terms_of
from mixflow.study.relationship import read
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.design import Design
    from mixflow.family import Family
    from mixflow.inference.generalised import FittedFamily

PREDICTORS = ("dispersion", "zi")
"""Predictors beside mu; also the keys with their formulas."""
SHOWN = 5
TOLD_AT = ("family", "link", "nagq", "prior", "reml", "zi", "dispersion")
"""Keys by whose names the engine tells what it cannot do."""
UNKNOWN = (0, 2)
"""Lowest and highest category of a cumulative model where the data are not known yet."""


def family_of(study: Study, model: ModelConfig, categories: tuple[int, int] = UNKNOWN) -> Family:
    """The family of a generalised model; ``categories``: lowest and highest of a cumulative one.

    Raises MixflowError, at its key, for a link or a predictor of zeros that the family has not.
    """
    from mixflow.family import named

    options: dict[str, Any] = {}
    if model.family == "cumulative":
        labels = tuple(str(k) for k in range(categories[0], categories[1] + 1))
        options = {"levels": len(labels), "labels": labels, "thresholds": model.thresholds or "flexible"}
    key = "link"
    try:
        chosen = named(model.family, model.link, **options)
        key = "zi"
        return named(model.family, model.link, zi=True, **options) if model.zi else chosen
    except MixflowError as error:
        raise MixflowError(_at(study, model, key, problem) for problem in error.problems) from error


def _at(study: Study, model: ModelConfig, key: str, problem: Problem) -> Problem:
    """The problem at a key of the model."""
    if problem.file:
        return problem
    value = problem.value if problem.value is not None else getattr(model, key)
    return replace(problem, value=value, **study.place("models", model.name, key))


def designs_of(study: Study, model: ModelConfig, frame: pd.DataFrame) -> dict[str, Design]:
    """The design of each predictor by its name, mu first, on the rows of ``frame`` complete for all.

    Problems of the formulas `dispersion` and `zi` are told at their key; those of mu name its column.
    """
    from mixflow.design.several import predictor_terms, several

    family = family_of(study, model)
    try:
        wanted = predictor_terms(family, terms_of(study, model), model.dispersion, model.zi)
    except MixflowError as error:
        raise MixflowError(_of_predictor(study, model, problem) for problem in error.problems) from error
    try:
        designs, _, _ = several(wanted, frame, **_relationship(model))
    except MixflowError as error:
        own = {name: terms.variables for name, terms in wanted.items()}
        raise MixflowError(_of_column(study, model, own, problem) for problem in error.problems) from error
    return designs


def _relationship(model: ModelConfig) -> dict[str, Any]:
    """Known covariances of groups' levels, read, as an argument of `mixflow.design.build`."""
    if not model.relationship:
        return {}
    return {"relationship": {group: read(path) for group, path in model.relationship.items()}}


def _of_predictor(study: Study, model: ModelConfig, problem: Problem) -> Problem:
    return _at(study, model, problem.column, problem) if problem.column in PREDICTORS else problem


def _of_column(
    study: Study, model: ModelConfig, own: Mapping[str, frozenset[str]], problem: Problem
) -> Problem:
    """At the key whose formula alone names the column, or at the group of a known relationship."""
    if problem.column in model.relationship:
        place = study.place("models", model.name, "relationship", problem.column)
        return replace(problem, value=problem.value if problem.value is not None else problem.column, **place)
    for key in PREDICTORS:
        if problem.column in own.get(key, ()) and problem.column not in own["mu"]:
            message = f"{problem.message} (column {problem.column})"
            return _at(study, model, key, replace(problem, message=message))
    return problem


def check(study: Study, model: ModelConfig, known: Sequence[str]) -> Iterator[Problem]:
    """Formulas of the predictors beside mu that cannot be read, or that name columns which are not ``known``."""
    from mixflow.formula import parse

    for key in PREDICTORS:
        text = getattr(model, key)
        if not text:
            continue
        try:
            parse(text, columns=list(known))
        except MixflowError as error:
            yield from (_at(study, model, key, problem) for problem in error.problems)


def rehearse(study: Study, model: ModelConfig, frame: pd.DataFrame) -> Iterator[Problem]:
    """What family, designs and options cannot mean together, found by a fit of no features."""
    try:
        none = np.zeros((0, len(designs_of(study, model, frame)["mu"].rows)))
        fitted_family(study, model, frame, none, [])
    except MixflowError as error:
        for problem in error.problems:
            key = problem.column if problem.column in TOLD_AT else "family"
            yield _at(study, model, key, problem)


def outcome(
    study: Study,
    model: ModelConfig,
    frame: pd.DataFrame,
    design: Design,
    values: np.ndarray,
    categories: tuple[int, int] | None = None,
) -> tuple[Family, np.ndarray, np.ndarray | None]:
    """Family, its columns (N, n, c) of ``values`` (N, n) on the rows of the design, and the weights that are left.

    ``categories``: lowest and highest whole number among all features, of a cumulative model.
    """
    from mixflow.family.outcome import below, outcome_columns
    from mixflow.inference.weights import prior_weights

    family = family_of(study, model, categories or UNKNOWN)
    weights = prior_weights(frame, model.weights, design)
    if model.limit:
        return family, below(values, frame[model.limit].to_numpy(dtype=float)[design.rows]), weights
    if model.trials:
        trials = frame[model.trials].to_numpy(dtype=float)[design.rows]
        return family, *outcome_columns(family, values, trials - values, weights)
    return family, *outcome_columns(family, values - (categories or UNKNOWN)[0], None, weights)


def fitted_family(
    study: Study,
    model: ModelConfig,
    frame: pd.DataFrame,
    values: np.ndarray,
    ids: Sequence[str] | np.ndarray,
    categories: tuple[int, int] | None = None,
    **options: Any,
) -> FittedFamily:
    """The model fitted to ``values`` (N, n) on the rows of its design; ``options`` of `fit_generalised`.

    Raises MixflowError for values outside the family's support, with feature and sample.
    """
    from mixflow.inference.generalised import FittedFamily
    from mixflow.optimise.generalised import fit_generalised

    designs = designs_of(study, model, frame)
    family, y, weights = outcome(study, model, frame, designs["mu"], values, categories)
    problems = support(study, model, family, y, ids, designs["mu"].labels)
    if problems:
        raise MixflowError(problems)
    arguments = fit_arguments(model)
    fit = fit_generalised(
        designs, family, y, np.asarray(ids, dtype=object), weights=weights, **arguments, **options
    )
    return FittedFamily(fit, designs, family, y, weights, arguments)


def extent(model: ModelConfig, values: np.ndarray) -> tuple[int, int] | None:
    """Lowest and highest category among the ``values`` of all features; None for other than ordered categories."""
    if model.family != "cumulative":
        return None
    from mixflow.family.outcome import whole_numbers

    return whole_numbers(values) if np.isfinite(values).any() else UNKNOWN


def fit_arguments(model: ModelConfig) -> dict[str, Any]:
    """Arguments of `fit_generalised` that the keys of a model ask for: what a refit must repeat."""
    from mixflow.optimise.glmm_prior import Prior

    return {"nodes": model.nagq, "reml": model.reml, "prior": Prior.of(model.prior)}


def support(
    study: Study,
    model: ModelConfig,
    family: Family,
    y: np.ndarray,
    ids: Sequence[str] | np.ndarray,
    samples: Sequence[str],
) -> list[Problem]:
    """Features with values outside the family's support, each with its first such sample, at its key."""
    found = []
    for name, own in zip(ids, y, strict=True):
        seen = np.flatnonzero(~np.isnan(own).any(axis=1))
        if family.problems(own[seen]) is None:
            continue
        at = next(i for i in seen if family.problems(own[[i]]) is not None)
        told = re.sub(r" \(at position 1\)", "", str(family.problems(own[[at]])))
        found.append((f"{told} (feature {name}, sample {samples[int(at)]})", own[at].tolist()))
    place = study.place("models", model.name, "trials" if model.trials else "family")
    remedy = (
        f"the values are the successes among as many trials as the column `{model.trials}` says: correct it"
        if model.trials
        else "name another family, or set such features aside by preprocess.filters"
    )
    more = f" (and {len(found) - SHOWN} more features)" if len(found) > SHOWN else ""
    return [
        Problem(f"{sentence}{more if i == 0 else ''}", **place, value=value[0], remedy=remedy)
        for i, (sentence, value) in enumerate(found[:SHOWN])
    ]
