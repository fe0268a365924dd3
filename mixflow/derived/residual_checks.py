"""Checks of a generalised model by its randomised quantile residuals, as analyses."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference import residual_checks
from mixflow.inference.generalised import FittedFamily

SEED = {
    "type": "integer",
    "minimum": 0,
    "description": "Of the random numbers; the study's seed if not given.",
}
OPTIONS = {
    "simulations": {"type": "integer", "minimum": 20, "description": "Data sets simulated for a feature."},
    "seed": SEED,
}


def outcome_of(subject: Subject) -> FittedFamily:
    """The outcomes of a generalised model; the registry gives these analyses no other."""
    if subject.generalised is None:
        raise ValueError("the analysis takes generalised models")
    return subject.generalised


def run(subject: Subject, *, simulations: int = residual_checks.SIMULATIONS, seed: int = 1) -> pd.DataFrame:
    """Checks of every feature."""
    return residual_checks.residual_checks(outcome_of(subject), simulations, seed)


def run_quantiles(
    subject: Subject, *, simulations: int = residual_checks.SIMULATIONS, seed: int = 1
) -> pd.DataFrame:
    """Quantiles of every feature's residuals."""
    return residual_checks.quantiles(outcome_of(subject), simulations, seed)


register(
    Analysis(
        name="residual_checks",
        title="Does the model describe the values?",
        purpose=(
            "Tests for every feature whether values are distributed as the model has it, vary more than it expects, "
            "hold more zeros, or lie beyond all that it would give."
        ),
        help=(
            "Data are simulated from each fitted model with new random effects, and each value is ranked among "
            "its simulated ones (randomised quantile residuals: Dunn and Smyth 1996; DHARMa, Hartig 2022). Each "
            "statistic is standardised by that of simulated data sets, and p is read from features whose data were "
            "simulated from the model and fitted again, so that estimation is allowed for; where the model holds, "
            "5 % of features have p below 0.05. Dispersion compares residuals within the levels of the finest "
            "group, since between levels random effects take up any spread: above 1, a Poisson model misses "
            "variation that a negative binomial has. Zeros above 1 may be zero inflation, or dispersion. Of yes/no "
            "outcomes there is no dispersion beyond the model, so that check says little."
        ),
        run=run,
        options=OPTIONS,
        columns=residual_checks.COLUMNS,
        models=("generalised",),
    )
)

register(
    Analysis(
        name="residual_quantiles",
        title="Quantiles of the residuals",
        purpose="Shows for every feature how its randomised quantile residuals lie beside those the model expects.",
        help=(
            "Residuals are the ranks of values among those simulated from the model with new random effects, "
            "uniform between 0 and 1 where the model holds. Points above the diagonal at small quantiles and below "
            "it at large ones mean values in the middle too often; an S the other way, tails that are too heavy "
            "for the model. Limits hold 95 % of simulated data sets at each quantile by itself; they are wide, "
            "since parameters are taken as known there: `residual_checks` has the tests."
        ),
        run=run_quantiles,
        options=OPTIONS,
        columns=residual_checks.QUANTILE_COLUMNS,
        models=("generalised",),
    )
)
