"""Every way in which the fit of a feature, or the test of a contrast, can end.

The integers are stored, so they are append-only: never renumber, never reuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """Status of a feature's fit or of one of its tests."""

    NOT_RUN = 0
    OK = 1
    SINGULAR = 2
    NO_CONVERGENCE = 3
    TOO_FEW_OBSERVATIONS = 4
    NO_VARIATION = 5
    TOO_FEW_LEVELS = 6
    ONE_OBSERVATION_PER_LEVEL = 7
    NOT_ESTIMABLE = 8
    TOO_FEW_VALUES_IN_CONTRAST = 9
    NOT_FINITE = 10
    NO_CURVATURE = 11
    SEPARATION = 12
    NOT_DEFINITE = 13
    SIMPLER_FAMILY = 14
    PENALISED = 15
    NO_MAXIMUM = 16


@dataclass(frozen=True)
class Meaning:
    """What a status means (`sentence`) and what a user can do about it (`remedy`)."""

    label: str
    sentence: str
    remedy: str


MEANING: dict[Status, Meaning] = {
    Status.NOT_RUN: Meaning(
        "not run",
        "This feature was not fitted.",
        "If the run ended without an error, this is a defect: please report it.",
    ),
    Status.OK: Meaning("ok", "The fit converged.", "Nothing to do."),
    Status.SINGULAR: Meaning(
        "singular",
        "The fit converged on the boundary: a random-effect variance is zero, or a correlation "
        "is +1 or -1. The estimates are valid; parameters on the boundary contribute nothing to "
        "the degrees of freedom.",
        "Usual with few groups or small group effects; drop the term only if the design allows it.",
    ),
    Status.NO_CONVERGENCE: Meaning(
        "no convergence",
        "The optimiser did not reach a minimum within its iterations.",
        "Simplify the random effects of this model, or look at the feature's data.",
    ),
    Status.TOO_FEW_OBSERVATIONS: Meaning(
        "too few observations",
        "There are not more observed values than coefficients.",
        "Raise preprocess.filters.min_observed so that such features are set aside beforehand.",
    ),
    Status.NO_VARIATION: Meaning(
        "no variation",
        "The observed values are constant, or the fixed effects explain them exactly.",
        "Look for a constant or derived feature.",
    ),
    Status.TOO_FEW_LEVELS: Meaning(
        "too few levels",
        "A grouping factor has a single observed level, so its variance cannot be estimated.",
        "Drop the term, or set such features aside by a filter.",
    ),
    Status.ONE_OBSERVATION_PER_LEVEL: Meaning(
        "as many random effects as observations",
        "A random term has at least as many effects as there are observed values, so it cannot be "
        "told from the residual.",
        "Drop the term, or ask for more observations per level.",
    ),
    Status.NOT_ESTIMABLE: Meaning(
        "not estimable",
        "The samples in which this feature was observed cannot estimate this coefficient or "
        "contrast, for example because one of the compared groups was never observed.",
        "See the table of features seen in one group only.",
    ),
    Status.TOO_FEW_VALUES_IN_CONTRAST: Meaning(
        "too few values in contrast",
        "Fewer values than models.*.min_values were observed in the groups compared.",
        "Lower min_values if you want this test.",
    ),
    Status.NOT_FINITE: Meaning(
        "not finite",
        "The computation overflowed or met values that are not finite.",
        "Look at the feature's scale and values.",
    ),
    Status.NO_CURVATURE: Meaning(
        "no curvature",
        "The likelihood is flat in a variance parameter: the values cannot tell a random effect from the "
        "residual. Only comparisons within the levels of that effect are tested.",
        "Simplify the random effects of this model, or set such features aside by a filter.",
    ),
    Status.SEPARATION: Meaning(
        "separation",
        "A coefficient has no finite estimate: all outcomes of a group are zero, or all are one. What does not "
        "involve it is estimated and tested as usual.",
        "Compare groups that have both outcomes, or merge levels.",
    ),
    Status.NOT_DEFINITE: Meaning(
        "Hessian not positive definite",
        "The optimiser stopped where the likelihood still rises in some direction.",
        "Simplify the model of this feature, or look at its data.",
    ),
    Status.SIMPLER_FAMILY: Meaning(
        "simpler family",
        "A dispersion or zero-inflation parameter has no finite estimate: the values show nothing beyond the "
        "simpler family (a negative binomial is then a Poisson), whose answer the other estimates are.",
        "Nothing to do; a simpler family gives the same.",
    ),
    Status.PENALISED: Meaning(
        "penalised",
        "The coefficients of this feature are penalised by the prior that was asked for, since its own likelihood "
        "has no finite maximum. Estimates are drawn towards zero; their errors are those of the penalised likelihood.",
        "Read the size of such effects with care: the prior speaks too.",
    ),
    Status.NO_MAXIMUM: Meaning(
        "no maximum",
        "The likelihood has no maximum: so many values are identical (zeros, for example) that it grows without "
        "bound as the scale of the distribution goes to zero.",
        "Take a family that has such values: censored for those below a limit, a hurdle or tweedie for zeros; "
        "gaussian where they are due to rounding.",
    ),
}

FITTED = frozenset({Status.OK, Status.SINGULAR, Status.SEPARATION, Status.SIMPLER_FAMILY, Status.PENALISED})
"""Statuses whose estimates are numbers."""
