"""Smooths of a model as analyses: their curves, and their effective degrees of freedom with tests."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.smooths import CURVE_COLUMNS, EDF_COLUMNS, curves, smooth_edf


def run_curves(subject: Subject, *, points: int = 50) -> pd.DataFrame:
    """The smooths on a grid of x."""
    return curves(subject.generalised or subject.fitted, points, 1 - subject.alpha)


def run_edf(subject: Subject) -> pd.DataFrame:
    """Effective df, variance and tests of the smooths."""
    return smooth_edf(subject.generalised or subject.fitted)


register(
    Analysis(
        name="smooths",
        title="Smooth effects",
        purpose="Shows how each feature changes along a variable that the model smooths.",
        help=(
            "Each curve is the effect of the variable with mean zero over the samples, beside the model's"
            " other terms; the band holds the pointwise limits. They cover the true curve at about the "
            "stated rate on average along the curve (Marra and Wood 2012), not at every point at once. "
            "The spline is a thin-plate regression spline (Wood 2003), its smoothing parameter estimated "
            "by REML as the variance of a random effect, separately for each feature."
        ),
        run=run_curves,
        options={
            "points": {
                "type": "integer",
                "minimum": 2,
                "default": 50,
                "description": "Number of values of x at which each curve is given.",
            }
        },
        columns=CURVE_COLUMNS,
        models=("gaussian", "generalised"),
    )
)
register(
    Analysis(
        name="smooth_edf",
        title="Smooth effects: how curved, and tests",
        purpose="Tells for every feature whether a smoothed variable matters and how curved its effect is.",
        help=(
            "edf, the effective degrees of freedom, is 1 for a straight line and grows with curvature. "
            "p_value tests that the variable has no effect at all, by Wood's (2013) Wald test, as mgcv's "
            "summary. p_curved tests that its effect is a straight line: a likelihood ratio of the "
            "variance of the curved part, whose null value zero is the end of the scale, against the "
            "equal mixture of chi-squared with 0 and 1 degrees of freedom (Self and Liang 1987), which is"
            " on the safe side for one smooth (Crainiceanu and Ruppert 2004). Of a smooth by a factor, "
            "all levels share one variance: p_curved is for all of them together."
        ),
        run=run_edf,
        columns=EDF_COLUMNS,
        models=("gaussian", "generalised"),
    )
)
