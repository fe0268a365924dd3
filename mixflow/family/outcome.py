"""Values of a response as the columns of a family, and whether they lie in its support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family

YES_NO = ("success", "failure")
"""Columns of the families of yes/no outcomes."""
MOST_TOLD = 20


def outcome_columns(
    family: Family, values: np.ndarray, second: np.ndarray | None, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The family's columns (N, n, c) of a response (N, n), and the weights that are left.

    ``second`` (n,) or (N, n): failures beside successes. Binomial with one column: 0 and 1, or proportions
    whose weights are the trials, as in R's glm. Raises MixflowError for failures of any other family.
    """
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


def check_support(family: Family, y: np.ndarray, ids: Sequence[str] | np.ndarray) -> None:
    """Raise MixflowError with a sentence for each feature of ``y`` (N, n, c) that has values outside the support."""
    problems = []
    for name, own in zip(ids, y, strict=True):
        sentence = family.problems(own[np.isfinite(own).all(axis=1)])
        if sentence:
            problems.append(Problem(sentence, column=str(name)))
    if problems:
        raise MixflowError(problems[:MOST_TOLD])
