"""Values of a response as the columns of a family, and whether they lie in its support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family

YES_NO = ("success", "failure")
"""Columns of the families of yes/no outcomes."""
LIMITS = ("lower", "upper")
"""Columns of the families of outcomes seen through limits."""
MOST_TOLD = 20
MOST_CATEGORIES = 100


def outcome_columns(
    family: Family, values: np.ndarray, second: np.ndarray | None, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The family's columns (N, n, c) of a response (N, n), and the weights that are left.

    ``second`` (n,) or (N, n): failures beside successes. Binomial with one column: 0 and 1, or proportions
    whose weights are the trials, as in R's glm. Raises MixflowError for failures of any other family.
    """
    if family.columns == LIMITS and second is None:
        return np.stack([values, values], axis=-1), weights
    if family.columns != YES_NO:
        if second is not None:
            remedy = "Name one column left of `~`."
            raise MixflowError(
                Problem(f"{family.name} has no cbind() response", column="formula", remedy=remedy)
            )
        return values[:, :, None], weights
    if second is not None:
        return np.stack([values, np.broadcast_to(second, values.shape)], axis=-1), weights
    trials = np.ones(values.shape) if weights is None else np.broadcast_to(weights, values.shape)
    success = values * trials
    whole = np.round(success)
    success = np.where(np.abs(success - whole) < 1e-6 * np.maximum(trials, 1.0), whole, success)
    return np.stack([success, trials - success], axis=-1), None


def below(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Lower and upper end (N, n, 2) of ``values`` (N, n) of which those up to ``limit`` (n,) say no more than that."""
    hidden = values <= limit
    ends = np.where(hidden, -np.inf, values), np.where(hidden, np.broadcast_to(limit, values.shape), values)
    return np.stack(ends, axis=-1)


def whole_numbers(values: np.ndarray) -> tuple[int, int]:
    """Lowest and highest of ordered categories given as whole numbers; raises MixflowError for other numbers."""
    seen = values[np.isfinite(values)]
    wrong = seen[seen != np.floor(seen)]
    if not seen.size or wrong.size or np.ptp(seen) > MOST_CATEGORIES:
        message = f"Ordered categories are whole numbers, at most {MOST_CATEGORIES} of them"
        value = float(wrong[0]) if wrong.size else None
        raise MixflowError(Problem(message, value=value, remedy="Number the categories 1, 2, 3, ..."))
    return int(seen.min()), int(seen.max())


def check_support(family: Family, y: np.ndarray, ids: Sequence[str] | np.ndarray) -> None:
    """Raise MixflowError with a sentence for each feature of ``y`` (N, n, c) that has values outside the support."""
    problems = []
    for name, own in zip(ids, y, strict=True):
        sentence = family.problems(own[~np.isnan(own).any(axis=1)])
        if sentence:
            problems.append(Problem(sentence, column=str(name)))
    if problems:
        raise MixflowError(problems[:MOST_TOLD])
